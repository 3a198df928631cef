#pragma once

#include <memory>

#include "arrow/io/type_fwd.h"
#include "capi/formats/parquet_reader.h"

namespace capi::formats::internal {

/// The bytes as the library reads them. Mapped bytes are not copied. Of other inputs each range is
/// fetched once for all readers that use it at the same time: a column chunk belongs to several
/// slices. Thread-safe; what is behind `bytes` must outlive it.
std::shared_ptr<arrow::io::RandomAccessFile> OpenParquetSource(const ParquetBytes& bytes);

}  // namespace capi::formats::internal
