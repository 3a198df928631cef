#include "capi/script/near_name.h"

#include <algorithm>
#include <cctype>

namespace capi::script {

namespace {

constexpr size_t kLongestName = 128;

char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/// Inserted, deleted, replaced and swapped characters, letter case not counting.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);
  std::vector<size_t> last(b.size() + 1);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) {
    last[j] = j;
  }
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = Lower(a[i - 1]) == Lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && Lower(a[i - 1]) == Lower(b[j - 2]) &&
                           Lower(a[i - 2]) == Lower(b[j - 1]);
      if (swapped) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string NearName(std::string_view name, const std::vector<std::string>& known) {
  std::string nearest;
  if (name.empty() || name.size() > kLongestName) {
    return nearest;
  }
  // Twice the distance, plus one for another first letter: of equally distant names the one that
  // begins alike is meant.
  const size_t most = name.size() <= 3 ? 1 : std::max<size_t>(2, name.size() / 3);
  size_t limit = 2 * most + 2;
  for (const std::string& candidate : known) {
    if (candidate.empty() || candidate.size() > kLongestName) {
      continue;
    }
    const size_t distance = EditDistance(name, candidate);
    const size_t score = 2 * distance + (Lower(name[0]) == Lower(candidate[0]) ? 0 : 1);
    if (score < limit && distance < candidate.size()) {
      limit = score;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string DidYouMean(std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = NearName(name, known);
  return nearest.empty() ? nearest : "; did you mean " + nearest + "?";
}

}  // namespace capi::script
