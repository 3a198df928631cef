#include "capi/base/near_name.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>

namespace capi {

namespace {

constexpr size_t kMaxLength = 255;
// An edit weighs more than all letter-case changes of a name together.
constexpr int kEditCost = 1024;
constexpr int kCaseCost = 1;
// Of names with as many edits the one that begins alike is meant.
constexpr int kFirstLetterCost = kEditCost / 2;

char ToLowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int ReplaceCost(char left, char right) {
  if (left == right) return 0;
  return ToLowerAscii(left) == ToLowerAscii(right) ? kCaseCost : kEditCost;
}

/// Optimal string alignment over three rows.
int EditCost(std::string_view left, std::string_view right) {
  std::array<std::array<int, kMaxLength + 1>, 3> rows;
  for (size_t j = 0; j <= right.size(); ++j) rows[0][j] = static_cast<int>(j) * kEditCost;
  for (size_t i = 1; i <= left.size(); ++i) {
    std::array<int, kMaxLength + 1>& row = rows[i % 3];
    const std::array<int, kMaxLength + 1>& above = rows[(i + 2) % 3];
    const std::array<int, kMaxLength + 1>& above_two = rows[(i + 1) % 3];
    row[0] = static_cast<int>(i) * kEditCost;
    for (size_t j = 1; j <= right.size(); ++j) {
      row[j] = std::min({above[j] + kEditCost, row[j - 1] + kEditCost,
                         above[j - 1] + ReplaceCost(left[i - 1], right[j - 1])});
      if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
        row[j] = std::min(row[j], above_two[j - 2] + kEditCost);
      }
    }
  }
  return rows[left.size() % 3][right.size()];
}

template <typename Text>
std::string Nearest(std::string_view name, std::span<const Text> candidates) {
  if (name.empty() || name.size() > kMaxLength) return {};
  int best = INT_MAX;
  std::string_view nearest;
  for (const std::string_view candidate : candidates) {
    if (candidate.empty() || candidate.size() > kMaxLength) continue;
    const size_t longer = std::max(name.size(), candidate.size());
    const size_t shorter = std::min(name.size(), candidate.size());
    const int most_edits = std::max(static_cast<int>(longer) / 3, 1);
    const int limit = std::min(best, (most_edits + 1) * kEditCost);
    if (static_cast<int64_t>(longer - shorter) * kEditCost >= limit) continue;
    const bool begins_alike = ToLowerAscii(name[0]) == ToLowerAscii(candidate[0]);
    const int cost = EditCost(name, candidate) + (begins_alike ? 0 : kFirstLetterCost);
    // A name of which nothing remains is no suggestion.
    if (cost >= limit || cost >= static_cast<int>(shorter) * kEditCost) continue;
    best = cost;
    nearest = candidate;
  }
  return std::string(nearest);
}

}  // namespace

std::string NearestName(std::string_view name, std::span<const std::string> candidates) {
  return Nearest(name, candidates);
}

std::string NearestName(std::string_view name, std::span<const std::string_view> candidates) {
  return Nearest(name, candidates);
}

std::string DidYouMean(std::string_view nearest) {
  return nearest.empty() ? std::string() : "; did you mean " + std::string(nearest) + "?";
}

}  // namespace capi
