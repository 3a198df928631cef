#include "capi/cli/text_table.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace capi::cli {

int64_t CharacterCount(const std::string& text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

std::string TextTable::ToText() const {
  std::vector<int64_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], CharacterCount(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(static_cast<size_t>(widths[i] - CharacterCount(row[i])), ' ');
      if (i > 0) line += "  ";
      line += alignments_[i] == Align::kRight ? blanks + row[i] : row[i] + blanks;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string WithThousands(int64_t number) {
  std::string digits = std::to_string(number);
  const size_t first = number < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string HumanBytes(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text.data();
}

std::string HumanDuration(int64_t milliseconds) {
  std::array<char, 48> text;
  const int64_t seconds = milliseconds / 1000;
  if (seconds < 10) {
    std::snprintf(text.data(), text.size(), "%.2f s", static_cast<double>(milliseconds) / 1000);
  } else if (seconds < 120) {
    std::snprintf(text.data(), text.size(), "%lld s", static_cast<long long>(seconds));
  } else {
    std::snprintf(text.data(), text.size(), "%lld min %02lld s",
                  static_cast<long long>(seconds / 60), static_cast<long long>(seconds % 60));
  }
  return text.data();
}

}  // namespace capi::cli
