#pragma once

// Command line flags in the syntax of the original's tools (spec/toolbelt.md 1): -name=value,
// --name=value, -name value; booleans need "=" unless they are just named; parsing ends at the
// first other word or at "--"; of a repeated flag the last one counts.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capi::cli {

class GoFlags {
 public:
  enum class Type : uint8_t { kString, kInt, kBool };
  enum class Outcome : uint8_t {
    kParsed,
    kHelp,   ///< -h or -help was given
    kWrong,  ///< see problem()
  };

  void Define(std::string_view name, Type type, std::string_view usual, std::string_view help);
  Outcome Parse(const std::vector<std::string>& arguments);
  const std::string& problem() const { return problem_; }
  /// The words at which parsing ended, without "--".
  const std::vector<std::string>& rest() const { return rest_; }

  bool Given(std::string_view name) const;
  const std::string& Text(std::string_view name) const;
  int64_t Int(std::string_view name) const;
  bool Bool(std::string_view name) const;
  std::vector<std::string> Names() const;  ///< sorted
  /// All flags with types, help and defaults, sorted by name.
  std::string Usage() const;

 private:
  struct Flag {
    std::string name;
    Type type = Type::kString;
    std::string usual;
    std::string help;
    std::string value;
    bool given = false;
  };
  /// flags_.size() if there is none. The accessors above are for defined flags only.
  size_t IndexOf(std::string_view name) const;
  bool Set(Flag* flag, const std::string& value);

  std::vector<Flag> flags_;
  std::string problem_;
  std::vector<std::string> rest_;
};

}  // namespace capi::cli
