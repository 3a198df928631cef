#pragma once

// What formulas may call: functions defined at the top level of Python sources
// (spec/script.md 12.2).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace capi::script {

struct PythonFunction {
  int64_t min_arguments = 0;
  int64_t max_arguments = 0;  ///< kAnyNumber after *args
  static constexpr int64_t kAnyNumber = INT64_MAX;
};

using PythonFunctions = std::map<std::string, PythonFunction>;

/// Functions of `def` statements at the beginning of a line, outside of strings. Arguments may have
/// annotations and defaults and may go over several lines; those that can be given by name only do
/// not count (a function that requires one cannot be called from a formula and is left out). Of
/// several definitions of a name the last one counts. Text that is not Python yields what can be
/// recognised.
PythonFunctions FindPythonFunctions(std::string_view source);

/// str int float round len bool abs, all with one argument.
const PythonFunctions& PythonBuiltins();

}  // namespace capi::script
