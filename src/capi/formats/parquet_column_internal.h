#pragma once

// Values of one column chunk -> columns of data/types.h.

#include <cstdint>
#include <memory>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/formats/parquet_file_internal.h"

namespace capi::formats::internal {

/// Reads rows of one column of one row group, forwards only. Used by one thread at a time. Throws
/// what the library throws.
class ParquetColumnDecoder {
 public:
  /// `column` must outlive the decoder and be ReadableAs(type); default_value is of that type.
  static std::unique_ptr<ParquetColumnDecoder> Make(ParquetFile* file, int row_group,
                                                    const FileColumn& column, data::FieldType type,
                                                    const data::Value& default_value);
  virtual ~ParquetColumnDecoder() = default;

  /// Rows [begin, begin + n) of the row group; begin is not before the end of what was read last, n
  /// is 1 to data::kMaxBatchRows. Nulls become the default. When a value does not fit the type,
  /// *good_rows is how many rows before it are in the column, and *error says why.
  virtual Result<std::shared_ptr<arrow::Array>> Read(int64_t begin, int64_t n, int64_t* good_rows,
                                                     Status* error) = 0;
};

/// Text columns; one that is stored as codes stays coded where that pays.
std::unique_ptr<ParquetColumnDecoder> MakeTextDecoder(ParquetFile* file, int row_group,
                                                      const FileColumn& column,
                                                      const std::string& default_text);

}  // namespace capi::formats::internal
