#pragma once

#include "capi/base/status.h"
#include "capi/python/formula_pool.h"

namespace capi::cli {

/// Puts what the environment says over `options`: CAPI_PYCALC_INTERPRETER_PATH (or CAPI_PYTHON),
/// CAPI_PYCALC_INTERPRETER_PARAMS (comma separated), CAPI_PYCALC_EXECUTION_TIMEOUT (ms),
/// CAPI_PYCALC_MEMORY_LIMIT ("4GiB", "none"), CAPI_PYCALC_SANDBOX (a bool as Go writes it) and
/// CAPI_PYCALC_PASS_VARIABLES (names, comma separated). Empty variables count as not set. Errors:
/// kUser, naming the variable.
Status ReadFormulaEnvironment(python::PoolOptions* options);

}  // namespace capi::cli
