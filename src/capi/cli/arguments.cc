#include "capi/cli/arguments.h"

#include <algorithm>
#include <cstdio>

namespace capi::cli {

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
