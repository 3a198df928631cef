#pragma once

// Parquet -> record batches (spec/formats.md 5), row groups and parts of row groups in parallel.

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"
#include "capi/exec/context.h"

namespace capi::files {
class RandomAccessInput;
}  // namespace capi::files

namespace capi::formats {

struct ParquetColumn {
  data::Field field;
  std::string name;           ///< top-level column of the file, exact
  data::Value default_value;  ///< of the field's type; takes the place of nulls
  bool wanted = true;         ///< false: must exist and have the type, but is not read
};

struct ParquetReadOptions {
  std::string file_name;  ///< for messages
  std::vector<ParquetColumn> columns;
  /// Rows that one task decodes.
  int64_t slice_rows = 2 * data::kMaxBatchRows;
};

struct ParquetReadStatistics {
  int64_t rows = 0;
};

/// A piece of the file, as the parallel worker gets it.
struct ParquetBatch {
  /// The wanted columns in the order of options.columns; 1 to data::kMaxBatchRows rows. String
  /// columns that repeat few values are dictionaries.
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t first_row = 0;  ///< of the file, from 0
};

/// Where a Parquet file is: whole in memory (mapped), or an input that is read range by range.
/// A view: the bytes or the input must outlive it.
class ParquetBytes {
 public:
  template <std::convertible_to<std::string_view> Text>
  ParquetBytes(const Text& mapped) : mapped_(mapped) {}  // NOLINT(google-explicit-constructor)
  ParquetBytes(files::RandomAccessInput* input)          // NOLINT(google-explicit-constructor)
      : input_(input) {}

  int64_t size() const;
  /// Empty: read by ranges.
  std::string_view mapped() const;
  files::RandomAccessInput* input() const { return input_; }

 private:
  std::string_view mapped_;
  files::RandomAccessInput* input_ = nullptr;
};

/// Reads a file with all threads of context.pool: `transform` runs in parallel on batches,
/// `emit` gets its results in file order, one at a time (see exec::OrderedPipeline). Only wanted
/// columns are decompressed.
///
/// Errors are kUser and name file and column. Before any row is read: "bad_parquet" (damaged, cut
/// off, no Parquet), "parquet_missing_column" (with a near name), "parquet_nested_column",
/// "parquet_unsupported_type", "parquet_type_mismatch", "parquet_codec". Then that of the first bad
/// row, and in it of the first column: "number_out_of_range", "datetime_out_of_range". Rows before
/// it go through transform and emit first. Damage inside the data ends the reading at the begin of
/// a slice. Errors of the input as they are.
Status ReadParquet(const exec::Context& context, const ParquetBytes& file,
                   const ParquetReadOptions& options,
                   const std::function<Result<std::shared_ptr<void>>(ParquetBatch)>& transform,
                   const std::function<Status(std::shared_ptr<void>)>& emit,
                   ParquetReadStatistics* statistics);

/// What a file says of one of its top-level columns.
struct ParquetColumnInfo {
  std::string name;
  /// What it is read as; nothing for nested and unsupported columns, and for columns without any
  /// value and type.
  std::optional<data::FieldType> type;
  /// All types that it can be read as.
  std::vector<data::FieldType> readable_as;
  /// In Parquet's words: "INT64 Decimal(precision=18, scale=2)".
  std::string type_text;
  /// What becomes of values beyond `type`, for people; "" = they are kept.
  std::string change;
  int64_t num_nulls = 0;  ///< -1: the file does not tell
};

struct ParquetInfo {
  int64_t num_rows = 0;
  std::vector<ParquetColumnInfo> columns;
};

/// Reads the footer only. Errors: "bad_parquet".
Result<ParquetInfo> InspectParquet(const ParquetBytes& file, const std::string& file_name);

}  // namespace capi::formats
