#pragma once

// The records of a CSV text, one after the other, without conversion (spec/formats.md 1): for tools
// that look into a file. Reading tables: csv_reader.h.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capi::formats {

/// Used by one thread at a time. The text must outlive it.
class CsvRecords {
 public:
  /// `separator` is an ASCII character, no quote and no line end.
  CsvRecords(std::string_view text, char separator);

  /// Goes to the next record; empty lines are skipped. False at the end.
  bool Next();
  /// Cells of the record, valid until the next call.
  const std::vector<std::string_view>& cells() const { return cells_; }
  /// Physical line on which the record begins, from 1.
  int64_t line() const { return line_; }
  /// True if the text ends with this record.
  bool at_end() const { return offset_ >= static_cast<int64_t>(text_.size()); }
  /// True if a quoted cell of the record is never closed.
  bool unclosed() const { return unclosed_; }

 private:
  std::string_view text_;
  const char separator_;
  int64_t offset_ = 0;  ///< behind the record
  int64_t begin_ = 0;   ///< of the record
  int64_t line_ = 1;
  bool unclosed_ = false;
  std::vector<std::string_view> cells_;
  std::string decoded_;  ///< content of cells with doubled quotes
};

}  // namespace capi::formats
