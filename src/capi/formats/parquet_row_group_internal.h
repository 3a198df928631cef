#pragma once

// Encoding of one row group.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/formats/parquet_footer_internal.h"
#include "capi/formats/parquet_writer.h"

namespace capi::formats::internal {

/// Prepared columns as they were appended.
struct PreparedBlock {
  ParquetColumns columns;
  int64_t rows = 0;
};

/// Rows [begin, begin + rows) of a block.
struct BlockPiece {
  std::shared_ptr<const PreparedBlock> block;
  int64_t begin = 0;
  int64_t rows = 0;
};

/// Rows of one row group.
struct RowGroupPieces {
  std::vector<BlockPiece> pieces;
  int64_t rows = 0;
  int64_t bytes = 0;  ///< of values
};

/// Schema and codec of a file. Immutable, thread-safe.
class RowGroupEncoder {
 public:
  /// The codec must be a known one.
  static Result<std::unique_ptr<RowGroupEncoder>> Make(const ParquetWriteOptions& options);
  virtual ~RowGroupEncoder() = default;
  /// Depends on the values only, not on how they are divided into pieces.
  virtual Result<EncodedRowGroup> Encode(const RowGroupPieces& group) const = 0;
  /// A file without rows.
  virtual Result<std::string> EmptyFile() const = 0;
};

}  // namespace capi::formats::internal
