#pragma once

// One factory per node type; each is implemented in the file named after it.

#include <memory>

#include "capi/node/node.h"

namespace capi::node {

Result<std::unique_ptr<NodeRunner>> MakeFileTableRunner(NodeSetup setup);
/// table_table and distinct_table.
Result<std::unique_ptr<NodeRunner>> MakeTableTableRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakeLookupRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakeTableFileRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakeTagRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakePyCalcRunner(NodeSetup setup);

}  // namespace capi::node
