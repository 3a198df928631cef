#pragma once

// Placeholders (spec/script.md 2): plain text replacement in the whole script text before it is
// parsed.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/script/position_tree.h"
#include "capi/script/source_text.h"

namespace capi::script {

enum class ParameterType : uint8_t {
  kString,
  kNumber,
  kBool,
  kStringList,
  kDate,  ///< of placeholders only (ours): a string that must be a day or month, 2026-10[-31]
};
/// "string", "number", "bool", "stringlist", "date".
std::string_view ParameterTypeName(ParameterType type);

struct ParameterValue {
  ParameterType type = ParameterType::kString;
  /// What replaces the placeholder (and the quotes around it, unless the type is string).
  std::string replacement;
  SourcePlace place;  ///< unknown for --set
};

class Diagnostics;

/// The values of one load: the parameter file and the --set options over it.
class Parameters {
 public:
  /// Reads the map of a parameter file. Unusable values are reported ("bad_parameter_value").
  void ReadFile(const TreeNode& root, Diagnostics* diagnostics);
  /// --set name=value: wins over the file. The text is read as the type the placeholder asks for.
  void Override(std::string name, std::string value);

  /// The text with its placeholders replaced. Reports "bad_parameter_reference",
  /// "unresolved_parameter" and unused parameters.
  std::unique_ptr<SourceText> Apply(const std::string& file, std::string_view text,
                                    Diagnostics* diagnostics) const;

 private:
  struct Placeholder;
  class Replacer;

  std::map<std::string, ParameterValue> values_;
  /// Parameters of the file that were reported; their placeholders are not reported again.
  std::map<std::string, SourcePlace> bad_;
  std::map<std::string, std::string> overrides_;
};

}  // namespace capi::script
