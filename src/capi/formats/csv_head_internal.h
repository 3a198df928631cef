#pragma once

// The begin of a file: header line, lines before the data, positions of the columns.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/formats/csv_lines_internal.h"
#include "capi/formats/csv_reader.h"
#include "capi/formats/csv_record_internal.h"

namespace capi::formats::internal {

/// Whole records [begin, end) that are data.
struct DataSection {
  int64_t begin = 0;
  int64_t end = 0;
  /// positions[i] is the index in the record of options.columns[i], below num_cells.
  std::vector<int64_t> positions;
};

struct CsvHead {
  /// Number of cells of the first record and so of all; 0 if there is no record.
  int64_t num_cells = 0;
  /// In file order.
  std::vector<DataSection> sections;
  /// First byte of a cell before the data whose quote is never closed, or -1. It swallows the file.
  int64_t unclosed_offset = -1;
};

/// text is a trimmed file text.
Result<CsvHead> ReadHead(std::string_view text, const CsvReadOptions& options);

/// A user error at a byte of the file.
Status ErrorAt(const CsvReadOptions& options, const TextLines& lines, int64_t offset,
               std::string_view error_class, const std::string& message);
/// The same in a text that is there from its begin.
Status ErrorAt(const CsvReadOptions& options, std::string_view text, int64_t offset,
               std::string_view error_class, const std::string& message);
/// Class and message of the error of a record that does not have num_cells cells.
constexpr std::string_view kRaggedRecord = "csv_ragged_record";
std::string RaggedMessage(const RawRecord& record, int64_t num_cells);
/// Text of a cell for messages: in quotes, control characters made visible, long text shortened.
std::string QuoteForMessage(std::string_view cell);

}  // namespace capi::formats::internal
