#pragma once

// The footer of a file that is put together from separately encoded row groups.
//
// Each row group is encoded as a file of its own. Its pages are copied as they are, and its entry
// in the footer with the offsets moved. The footer is a Thrift structure in compact protocol;
// everything but the moved fields is copied byte by byte, so this code knows only the structures on
// the way to them (FileMetaData, RowGroup, ColumnChunk, ColumnMetaData of parquet.thrift).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::formats::internal {

/// An encoded row group, cut out of its file.
struct EncodedRowGroup {
  std::string bytes;  ///< pages of all columns, beginning at offset kParquetMagicBytes of its file
  std::string entry;  ///< its RowGroup structure
  int64_t rows = 0;
};

constexpr int64_t kParquetMagicBytes = 4;

/// Cuts a file with one row group into its parts. `rows` is its number of rows.
Result<EncodedRowGroup> CutRowGroup(std::string_view file, int64_t rows);

/// The entry with all offsets increased by `shift`.
Result<std::string> MoveRowGroup(std::string_view entry, int64_t shift);

/// The footer of `empty_file`, a file of the same schema without row groups, with `num_rows` and
/// the given entries, and what follows it to the end of the file.
Result<std::string> MakeFileEnd(std::string_view empty_file, int64_t num_rows,
                                const std::vector<std::string>& entries);

}  // namespace capi::formats::internal
