#include "capi/cli/arguments.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace capi::cli {

Result<int64_t> ParseBytes(std::string_view text) {
  struct Unit {
    std::string_view name;
    int64_t bytes;
  };
  constexpr std::array<Unit, 10> kUnits = {{{"", 1},
                                            {"B", 1},
                                            {"KiB", int64_t{1} << 10},
                                            {"MiB", int64_t{1} << 20},
                                            {"GiB", int64_t{1} << 30},
                                            {"TiB", int64_t{1} << 40},
                                            {"kB", 1000},
                                            {"MB", 1000000},
                                            {"GB", 1000000000},
                                            {"TB", 1000000000000}}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc()) {
    const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
    for (const Unit& known : kUnits) {
      if (unit != known.name) continue;
      const double bytes = number * static_cast<double>(known.bytes);
      if (bytes >= 1 && bytes < 9e18) return static_cast<int64_t>(bytes);
    }
  }
  return UserError("usage", "a size such as 2GiB, 500MB or 1000000 is expected, not \"" +
                                std::string(text) + "\"");
}

Result<std::pair<std::string, std::string>> ParseAssignment(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return UserError("usage", "name=value is expected, not \"" + text + "\"");
  }
  return std::make_pair(text.substr(0, equals), text.substr(equals + 1));
}

std::vector<std::string> SplitNames(const std::string& text) {
  std::vector<std::string> names;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string name = text.substr(begin, end - begin);
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) names.push_back(std::move(name));
    begin = end + 1;
  }
  return names;
}

void PrintDiagnostics(const std::vector<script::Warning>& warnings,
                      const std::vector<Status>& errors) {
  for (const script::Warning& warning : warnings) {
    std::string text;
    if (!warning.place.file.empty()) {
      text = warning.place.file + ":" + std::to_string(warning.place.line) + ":" +
             std::to_string(warning.place.column) + ": ";
    }
    text += "warning: ";
    if (!warning.field_path.empty()) text += warning.field_path + ": ";
    std::fprintf(stderr, "%s%s\n", text.c_str(), warning.message.c_str());
  }
  for (const Status& error : errors) {
    const ErrorInfo info = InfoOf(error);
    const std::string suffix = info.error_class.empty() ? "" : " [" + info.error_class + "]";
    std::fprintf(stderr, "%s%s\n", Describe(error).c_str(), suffix.c_str());
  }
}

}  // namespace capi::cli
