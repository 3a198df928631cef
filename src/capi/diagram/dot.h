#pragma once

// The graph of a script for Graphviz (spec/diagrams.md 5).

#include <string>

#include "capi/script/model.h"

namespace capi::diagram {

/// Nodes in topological order; files are nodes too; labels are escaped. Accepted by `dot -Tsvg`.
std::string RenderDot(const script::Script& script);

}  // namespace capi::diagram
