#pragma once

// JSON Schema (draft 2020-12) of script and parameter files, made from the declarations the loader
// uses. As strict as `--strict`: keys that are not declared are errors; keys must be spelt as
// declared. Values may be placeholders.

#include <string>

namespace capi::script {

/// JSON texts that end with a line end. Always the same bytes.
std::string ScriptSchema();
std::string ParameterSchema();

}  // namespace capi::script
