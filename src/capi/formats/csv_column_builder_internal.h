#pragma once

// Cells -> columns of data/types.h, a chunk at a time.

#include <cstdint>
#include <memory>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/formats/csv_conversion_internal.h"
#include "capi/formats/csv_tokenizer_internal.h"

namespace capi::formats::internal {

/// Builds one column of one batch after the other. Used by one thread.
class CsvColumnBuilder {
 public:
  /// conversion must outlive the builder.
  static std::unique_ptr<CsvColumnBuilder> Make(const CsvConversion* conversion);
  virtual ~CsvColumnBuilder() = default;
  /// Prepares for a batch of about this many rows.
  virtual Status Begin(int64_t expected_rows) = 0;
  /// Converts cells[0..n) of the chunk. Returns how many were converted; if fewer than n, *error is
  /// why the next one was not (or that memory is short).
  virtual int64_t Append(const CellChunk& chunk, const CellRef* cells, int64_t n,
                         Status* error) = 0;
  /// The first num_rows appended values.
  virtual Result<std::shared_ptr<arrow::Array>> Finish(int64_t num_rows) = 0;
  /// Bytes of text held for the batch, or 0 for other types.
  virtual int64_t text_bytes() const { return 0; }

  /// Cells so far with text left over behind the scan format.
  int64_t left_over_cells() const { return left_over_cells_; }
  /// Takes back what was counted for cells that are appended again.
  void set_left_over_cells(int64_t count) { left_over_cells_ = count; }

 protected:
  int64_t left_over_cells_ = 0;
};

}  // namespace capi::formats::internal
