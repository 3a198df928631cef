#pragma once

// Quoting of RFC 4180: a cell with the separator, a quote, CR or LF stands in quotes, and quotes in
// it are doubled.

#include <cstdint>
#include <string>
#include <string_view>

namespace capi::formats::internal {

class CsvQuoting {
 public:
  explicit CsvQuoting(std::string separator);

  const std::string& separator() const { return separator_; }
  bool NeedsQuotes(std::string_view cell) const;
  /// Appends the cell as it stands in a file.
  void Append(std::string_view cell, std::string* out) const;

  /// Bytes that Write may touch beyond the text it writes.
  static constexpr int64_t kSlack = 16;
  /// Room that Write needs at most.
  static int64_t MaxBytes(int64_t cell_bytes) { return 2 * cell_bytes + 2 + kSlack; }
  /// Writes the cell as it stands in a file and returns the end. Bytes of the cell's buffer up to
  /// readable_end may be read.
  char* Write(const char* cell, int64_t length, const char* readable_end, char* out) const;

 private:
  char* WriteQuoted(std::string_view cell, char* out) const;
  bool IsSpecial(char c) const { return c == first_ || c == '"' || c == '\n' || c == '\r'; }

  std::string separator_;
  char first_ = ',';
};

}  // namespace capi::formats::internal
