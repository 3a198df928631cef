#pragma once

// Values of command line options.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/script/loader.h"

namespace capi::cli {

/// "name=value"
Result<std::pair<std::string, std::string>> ParseAssignment(const std::string& text);
/// "a,b" -> {"a", "b"}; blanks around names are dropped.
std::vector<std::string> SplitNames(const std::string& text);
/// Prints warnings and errors as people read them: file:line:column: path: message.
void PrintDiagnostics(const std::vector<script::Warning>& warnings,
                      const std::vector<Status>& errors);

}  // namespace capi::cli
