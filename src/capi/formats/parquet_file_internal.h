#pragma once

// An open Parquet file: its columns as we read them, and the pages of its column chunks.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/types.h"
#include "capi/formats/parquet_reader.h"
#include "parquet/column_reader.h"
#include "parquet/file_reader.h"
#include "parquet/metadata.h"
#include "parquet/schema.h"

namespace capi::formats::internal {

/// What the stored values mean (spec/formats.md 5).
enum class Meaning : uint8_t {
  kNested,
  kUnsupported,
  kNothing,  ///< annotated as always null
  kSigned,
  kUnsigned,
  kReal,
  kTruth,
  kText,
  kDecimal,  ///< unscaled number, `scale` decimals
  kDate,     ///< days since 1970
  kTime,     ///< time of day
  kTimestamp,
  kImpalaTimestamp,  ///< INT96: nanoseconds of the day, Julian day
};

struct FileColumn {
  std::string name;
  Meaning meaning = Meaning::kUnsupported;
  std::string type_text;
  int leaf = -1;  ///< number of the column chunk in a row group; -1: nested
  const parquet::ColumnDescriptor* descriptor = nullptr;
  int scale = 0;
  int64_t units_per_second = 1000;  ///< of timestamps

  /// What the column is read as when nothing else is asked for.
  std::optional<data::FieldType> natural_type() const;
  /// Whether it can be read as `type`. Beside the natural type: whole numbers as float or decimal2;
  /// dates and times of day as int, which is the stored number.
  bool ReadableAs(data::FieldType type) const;
};

/// Which rows of a column chunk the loaded page holds. The pages before `target` are dropped
/// unread.
struct PageTracker {
  int64_t target = 0;
  int64_t next_begin = 0;
  int64_t loaded_begin = 0;
  int64_t loaded_end = 0;
};

/// Pages of one column chunk.
struct ColumnPages {
  std::shared_ptr<parquet::ColumnReader> reader;
  std::shared_ptr<PageTracker> tracker;
};

/// Thread-safe. Methods without a Status throw what the library throws.
class ParquetFile {
 public:
  /// What is behind `bytes` must outlive the file. `file_name` is for messages.
  static Result<std::unique_ptr<ParquetFile>> Open(const ParquetBytes& bytes,
                                                   const std::string& file_name);

  const parquet::FileMetaData& metadata() const { return *metadata_; }
  /// Top-level columns, in file order.
  const std::vector<FileColumn>& columns() const { return columns_; }

  /// With `expose_dictionary` the reader exposes dictionary codes if all pages are coded.
  ColumnPages OpenColumn(int row_group, int leaf, bool expose_dictionary);

 private:
  void ListColumns();

  parquet::ReaderProperties properties_;
  std::mutex mutex_;  // the library does not promise to open row groups in parallel
  std::unique_ptr<parquet::ParquetFileReader> reader_;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  std::vector<FileColumn> columns_;
};

}  // namespace capi::formats::internal
