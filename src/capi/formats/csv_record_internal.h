#pragma once

// The CSV dialect, one record after the other (spec/formats.md 1). Plain and sequential: used for
// header lines, very long records, splitting into blocks, error places, and as the reference that
// the block-parallel tokenizer is tested against.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::formats::internal {

/// Offsets are bytes from the begin of the text.
struct RawCell {
  int64_t begin = 0;  ///< first byte of the cell, its opening quote if it has one
  int64_t content_begin = 0;
  int64_t content_end = 0;
  bool encoded = false;   ///< content has doubled quotes or CR LF: see AppendDecoded
  bool unclosed = false;  ///< the closing quote is missing
};

struct RawRecord {
  int64_t begin = 0;
  int64_t end = 0;  ///< behind the line end
  std::vector<RawCell> cells;
};

/// Error of class "csv_bad_separator" for a character that cannot separate cells.
Status CheckSeparator(char separator);

/// The text without byte order mark and without a CR at its very end.
std::string_view TrimFileText(std::string_view text);

/// Offset of the first line at or after `offset` (begin of a line) that is not empty.
int64_t SkipEmptyLines(std::string_view text, int64_t offset);

/// Reads the record at or after `offset` (begin of a line); empty lines are skipped. False at the
/// end.
bool NextRecord(std::string_view text, char separator, int64_t offset, RawRecord* record);

/// Content of a quoted cell as it is meant: `""` becomes `"`, CR LF becomes LF. Appends.
void AppendDecoded(std::string_view content, std::string* out);
std::string CellText(std::string_view text, const RawCell& cell);

/// End of the first record that ends at or after `target`. Requires `begin` at the begin of a
/// record. Costs a search for quotes, so that it runs at memory speed over text with few quotes.
int64_t FindRecordEnd(std::string_view text, char separator, int64_t begin, int64_t target);

int64_t CountNewlines(std::string_view text);

}  // namespace capi::formats::internal
