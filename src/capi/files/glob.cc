#include <utility>

#include "capi/files/glob_internal.h"

namespace capi::files {

namespace {

std::vector<std::string_view> Split(std::string_view path) {
  std::vector<std::string_view> segments;
  size_t begin = 0;
  while (true) {
    const size_t end = path.find('/', begin);
    segments.push_back(path.substr(begin, end - begin));
    if (end == std::string_view::npos) return segments;
    begin = end + 1;
  }
}

}  // namespace

bool HasWildcard(std::string_view text) {
  return text.find_first_of("*?") != std::string_view::npos;
}

bool MatchesName(std::string_view pattern, std::string_view name) {
  if (name.starts_with('.') && !pattern.starts_with('.')) return false;
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;
  size_t star_name = 0;
  // After a mismatch the last star takes one character more.
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
      // "?" is one character, not one byte.
      if (pattern[p - 1] == '?') {
        while (n < name.size() && (static_cast<unsigned char>(name[n]) & 0xC0) == 0x80) ++n;
      }
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool MatchesPath(std::string_view pattern, std::string_view path) {
  const std::vector<std::string_view> patterns = Split(pattern);
  const std::vector<std::string_view> names = Split(path);
  if (patterns.size() != names.size()) return false;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!MatchesName(patterns[i], names[i])) return false;
  }
  return true;
}

Result<std::vector<std::string>> MatchFiles(const std::string& pattern, const ListDirectory& list) {
  const std::vector<std::string_view> segments = Split(pattern);
  // Prefixes that exist, each with its slash behind it.
  std::vector<std::string> prefixes = {""};
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    if (!HasWildcard(segments[i])) {
      for (std::string& prefix : prefixes) prefix += std::string(segments[i]) + "/";
      continue;
    }
    std::vector<std::string> deeper;
    for (const std::string& prefix : prefixes) {
      CAPI_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, list(prefix));
      for (const DirectoryEntry& entry : entries) {
        if (entry.is_directory && MatchesName(segments[i], entry.name)) {
          deeper.push_back(prefix + entry.name + "/");
        }
      }
    }
    prefixes = std::move(deeper);
  }
  std::vector<std::string> files;
  for (const std::string& prefix : prefixes) {
    CAPI_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, list(prefix));
    for (const DirectoryEntry& entry : entries) {
      if (!entry.is_directory && MatchesName(segments.back(), entry.name)) {
        files.push_back(prefix + entry.name);
      }
    }
  }
  return files;
}

}  // namespace capi::files
