#pragma once

// One factory per node type; each is implemented in the file named after it. And what they share.

#include <memory>
#include <string>

#include "capi/node/node.h"

namespace capi::node {

Result<std::unique_ptr<NodeRunner>> MakeFileTableRunner(NodeSetup setup);
/// table_table and distinct_table.
Result<std::unique_ptr<NodeRunner>> MakeTableTableRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakeLookupRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakeTableFileRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakeTagRunner(NodeSetup setup);
Result<std::unique_ptr<NodeRunner>> MakePyCalcRunner(NodeSetup setup);

/// Opens a sink whose plan was recorded by task.before_create; *plan is what was recorded last.
Result<std::unique_ptr<files::Sink>> CreateRecordedSink(const NodeSetup& setup,
                                                        const BatchTask& task,
                                                        const std::string& url,
                                                        files::SinkPlan* plan);

}  // namespace capi::node
