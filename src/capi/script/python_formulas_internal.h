#pragma once

#include "capi/script/load_state_internal.h"

namespace capi::script {

/// Checks the formulas of a py_calc node against fields and Python functions and puts the
/// calculated fields into an order in which each comes after those it uses.
void CompileFormulas(NodeDraft* draft, LoadState* state);

}  // namespace capi::script
