#pragma once

// Record batches -> Parquet (spec/formats.md 6), row groups encoded in parallel.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/types.h"
#include "capi/exec/context.h"

namespace capi::formats {

struct ParquetOutputColumn {
  data::Field field;
  std::string name;  ///< of the file's column
};

struct ParquetWriteOptions {
  std::string codec = "gzip";  ///< or "snappy", "uncompressed"
  std::vector<ParquetOutputColumn> columns;
  /// A row group ends before the row that would exceed one of these. They depend on nothing but the
  /// rows, so the bytes of the file do too.
  int64_t row_group_rows = 122880;
  int64_t row_group_bytes = int64_t{64} << 20;  ///< of values, before encoding
};

using ParquetColumns = std::vector<std::shared_ptr<arrow::Array>>;

/// Writes one file. Rows are collected by Append, encoded by Flush with all threads of the pool,
/// and leave as text for the file in order:
///   while rows are left: { until Full(): Append(Prepare(rows)); Flush(); }  Finish();
/// The bytes do not depend on how the rows are divided among calls, nor on threads, nor on memory.
class ParquetWriter {
 public:
  using AppendBytes = std::function<Status(std::string_view)>;

  /// Errors: kUser "bad_codec", "duplicate_column". `append` gets the bytes of the file in order,
  /// never two calls at once.
  static Result<std::unique_ptr<ParquetWriter>> Make(const exec::Context& context,
                                                     const ParquetWriteOptions& options,
                                                     AppendBytes append);
  virtual ~ParquetWriter() = default;

  /// Brings rows (columns in the order of the options, any layout of data/types.h) to the layout
  /// that Append takes. Thread-safe. A decimal2 beyond 18 digits: kUser "number_out_of_range",
  /// *bad_row is its row.
  virtual Result<ParquetColumns> Prepare(const ParquetColumns& columns, int64_t num_rows,
                                         int64_t* bad_row) const = 0;
  /// Takes prepared rows. One thread at a time.
  virtual Status Append(ParquetColumns columns, int64_t num_rows) = 0;
  /// True when there is work for all threads, or no more memory for waiting rows. Thread-safe.
  virtual bool Full() const = 0;
  /// Encodes and writes the row groups that are complete. Not while Append runs.
  virtual Status Flush() = 0;
  /// Writes the rest and the footer. Nothing may follow.
  virtual Status Finish() = 0;
};

}  // namespace capi::formats
