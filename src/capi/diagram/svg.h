#pragma once

// The graph of a script as a stand-alone SVG picture, for light and dark backgrounds.

#include <string>

#include "capi/base/status.h"
#include "capi/script/model.h"

namespace capi::diagram {

/// Boxes are coloured by node type; solid arrows carry tables, dashed ones are lookups; a thick
/// border marks a manual start. Each box has data-node with the node's name and a tooltip.
Result<std::string> RenderSvg(const script::Script& script);

}  // namespace capi::diagram
