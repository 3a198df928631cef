#pragma once

// The graph of a script as JSON, for programs.

#include <string>

#include "capi/script/model.h"

namespace capi::diagram {

/// {"nodes": [{"name", "type", "description", "start_policy", "batches", "reads": table or files,
/// "writes": table or file}], "edges": [{"from", "to", "kind": "table" or "lookup", "table",
/// "index" of lookups, "fields"}]}. Nodes in topological order, edges in that of their ends, fields
/// sorted.
std::string RenderJson(const script::Script& script);

}  // namespace capi::diagram
