#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace capi::cli {

/// Columns of text aligned for a terminal. Widths are in characters (UTF-8), not bytes.
class TextTable {
 public:
  enum class Align { kLeft, kRight };
  TextTable(std::vector<std::string> headers, std::vector<Align> alignments)
      : alignments_(std::move(alignments)), rows_{std::move(headers)} {}
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string ToText() const;

 private:
  std::vector<Align> alignments_;
  std::vector<std::vector<std::string>> rows_;
};

/// 1234567 -> "1,234,567"
std::string WithThousands(int64_t number);
/// "512 B", "1.4 MB", "2.0 GB" (powers of 1000)
std::string HumanBytes(int64_t bytes);
/// "0.3 s", "12 s", "3 min 05 s"
std::string HumanDuration(int64_t milliseconds);
/// Number of characters of a UTF-8 text.
int64_t CharacterCount(const std::string& text);

}  // namespace capi::cli
