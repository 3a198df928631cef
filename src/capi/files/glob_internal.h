#pragma once

// Patterns with "*" and "?" in file addresses. Neither matches "/"; a name that begins with "." is
// matched only by a pattern that does.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::files {

bool HasWildcard(std::string_view text);
/// Of one name, without slashes.
bool MatchesName(std::string_view pattern, std::string_view name);
/// Of a path, segment by segment.
bool MatchesPath(std::string_view pattern, std::string_view path);

/// What is in a directory: names, and whether they are directories. A missing directory is empty.
struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
};
using ListDirectory = std::function<Result<std::vector<DirectoryEntry>>(const std::string&)>;
/// Files (no directories) that the pattern matches, in any order. Only directories that lead to a
/// match are listed.
Result<std::vector<std::string>> MatchFiles(const std::string& pattern, const ListDirectory& list);

}  // namespace capi::files
