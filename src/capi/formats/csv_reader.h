#pragma once

// CSV -> record batches (spec/formats.md 1, 2, 4), block-parallel.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"
#include "capi/exec/context.h"
#include "capi/files/input.h"

namespace capi::formats {

namespace internal {
class TextLines;
}  // namespace internal

struct CsvColumn {
  data::Field field;
  std::string header;  ///< by-header mode
  int64_t index = 0;   ///< by-index mode
  std::string format;  ///< scan format or time layout, "" = none
  std::string default_text;
  std::vector<std::string> null_values;
};

/// A data record that cannot be used.
struct CsvReject {
  Status error;        ///< kUser, with the place in the file
  int64_t line = 0;    ///< 1-based physical line on which the record begins
  std::string record;  ///< as it stands in the file, without its line end

  // Of use to the reader only.
  int64_t offset = 0;          ///< where the record begins
  int64_t lines_to_error = 0;  ///< lines between the begin of the record and the error
  int64_t column = 1;          ///< of the error in its line
};

struct CsvReadOptions {
  std::string file_name;  ///< for messages
  char separator = ',';
  bool by_header = false;
  int64_t header_line = 0;
  int64_t first_data_line = 0;
  /// Only these are converted. Other cells of a record are only counted.
  std::vector<CsvColumn> columns;
  /// Unclosed quote and left-over text after a scan format are errors instead of counted warnings.
  bool strict = false;
  /// Set: records that cannot be read are left out and given to it, in file order and between the
  /// calls of `emit`. An error it returns is that of the reading. Not set: the first such record
  /// ends the reading.
  std::function<Status(CsvReject)> reject;
  /// Size of the blocks that are parsed in parallel.
  int64_t block_bytes = 4 << 20;
};

struct CsvReadStatistics {
  int64_t records = 0;  ///< data records, without rejected ones
  int64_t unclosed_quotes = 0;
  int64_t left_over_cells = 0;
};

/// A piece of the file, as the parallel worker gets it.
struct CsvBatch {
  /// Columns in the order of options.columns; 1 to data::kMaxBatchRows rows. String columns that
  /// repeat few values are dictionaries.
  std::shared_ptr<arrow::RecordBatch> batch;

  /// 1-based physical line on which a row begins. For messages only: it reads the text up to there.
  /// Valid during the call of the transform that got the batch.
  int64_t LineOf(int64_t row) const;
  /// Gives rows that the transform cannot use to options.reject, behind the batch's own result.
  /// Ascending rows with their errors.
  void Reject(const std::vector<std::pair<int64_t, Status>>& rows) const;

  std::string_view text;     ///< at least up to the last row; its begin may be gone
  int64_t first_offset = 0;  ///< where the first row begins
  char separator = ',';
  const internal::TextLines* lines = nullptr;
  std::vector<CsvReject>* rejects = nullptr;
};

/// Reads the whole input with all threads of context.pool: `transform` runs in parallel on batches,
/// `emit` gets its results in file order, one at a time (see exec::OrderedPipeline).
/// The error is that of the first bad row of the file, and in it of the first column of
/// options.columns: kUser, place = file:line:column of the cell, message names column, cell text
/// (shortened) and what was wrong. An error of `transform` counts for the first row of its batch.
/// Data rows before the header line (first_data_line < header_line) read cell 0 for every column.
/// Text that arrives over time is read as it comes, and given up behind the last batch emitted.
/// Errors of the input as they are.
Status ReadCsv(const exec::Context& context, files::InputText* input, const CsvReadOptions& options,
               const std::function<Result<std::shared_ptr<void>>(CsvBatch)>& transform,
               const std::function<Status(std::shared_ptr<void>)>& emit,
               CsvReadStatistics* statistics);
/// Of a text that is there already and stays valid during the call.
Status ReadCsv(const exec::Context& context, std::string_view text, const CsvReadOptions& options,
               const std::function<Result<std::shared_ptr<void>>(CsvBatch)>& transform,
               const std::function<Status(std::shared_ptr<void>)>& emit,
               CsvReadStatistics* statistics);

/// Splits text into records without conversion: for tests and tools. Stops with an error at the
/// first record of another length; the records before it are in *records.
Status SplitCsv(std::string_view text, char separator,
                std::vector<std::vector<std::string>>* records);

/// Converts one cell as a reader would (case file csv_value_cases.jsonl).
Result<data::Value> ConvertCsvCell(std::string_view cell, const CsvColumn& column, bool strict);

}  // namespace capi::formats
