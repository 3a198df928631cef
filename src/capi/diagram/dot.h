#pragma once

// The graph of a script for Graphviz (spec/diagrams.md 5).

#include <string>

#include "capi/script/model.h"

namespace capi::diagram {

/// What the labels of arrows tell.
struct DotLabels {
  bool indexes = true;  ///< tables with their batches, and indexes
  bool fields = false;  ///< the fields that are read or written
};

/// Nodes in topological order; files are nodes too; labels are escaped. Accepted by `dot -Tsvg`.
std::string RenderDot(const script::Script& script, const DotLabels& labels = {});

}  // namespace capi::diagram
