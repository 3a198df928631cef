#include "capi/formats/parquet_reader.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/record_batch.h"
#include "arrow/util/compression.h"
#include "capi/base/near_name.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/formats/parquet_column_internal.h"
#include "capi/formats/parquet_file_internal.h"
#include "capi/formats/parquet_library_internal.h"
#include "parquet/statistics.h"

namespace capi::formats {

namespace internal {

namespace {

/// Text of a batch that is aimed at, by the average of the row group.
constexpr int64_t kBatchTextBytes = int64_t{64} << 20;

/// A wanted column.
struct ColumnPlan {
  const ParquetColumn* column = nullptr;
  const FileColumn* file_column = nullptr;
};

/// Rows of one row group that one task decodes.
struct Slice {
  int row_group = 0;
  int64_t begin = 0;  ///< in the row group
  int64_t end = 0;
  int64_t file_bytes = 0;
};

/// A row group and how it is cut. Depends on nothing but the file and the options.
struct GroupPlan {
  int64_t rows = 0;
  int64_t first_row = 0;  ///< in the file
  int64_t batch_rows = 0;
  int64_t slice_rows = 0;
  int64_t file_bytes = 0;   ///< of the wanted columns
  int64_t slice_bytes = 0;  ///< decoded, about
};

/// What became of a slice. The error, if any, comes behind the results.
struct SliceResult {
  std::vector<std::shared_ptr<void>> results;
  Status status;
  int64_t rows = 0;
  int64_t file_bytes = 0;
};

/// What is common to all slices of a file. Immutable, but for the file, which is thread-safe.
struct ReadPlan {
  const ParquetReadOptions* options = nullptr;
  const std::function<Result<std::shared_ptr<void>>(ParquetBatch)>* transform = nullptr;
  std::unique_ptr<ParquetFile> file;
  std::vector<ColumnPlan> columns;
  std::vector<data::Field> fields;
  std::vector<GroupPlan> groups;
};

std::string InFile(const ParquetReadOptions& options, const std::string& column) {
  return options.file_name + ", column \"" + column + "\"";
}

Result<const FileColumn*> FindColumn(const ParquetFile& file, const ParquetReadOptions& options,
                                     const ParquetColumn& column) {
  const FileColumn* found = nullptr;
  std::vector<std::string> names;
  for (const FileColumn& candidate : file.columns()) {
    names.push_back(candidate.name);
    if (candidate.name != column.name) continue;
    if (found != nullptr) {
      return UserError("bad_parquet", "the Parquet file has several columns of the same name: " +
                                          InFile(options, column.name));
    }
    found = &candidate;
  }
  if (found == nullptr) {
    return UserError("parquet_missing_column",
                     "no such column in the Parquet file: " + InFile(options, column.name) +
                         DidYouMean(NearestName(column.name, names)));
  }
  return found;
}

Status CheckColumn(const ParquetReadOptions& options, const ParquetColumn& column,
                   const FileColumn& found) {
  const std::string place = InFile(options, column.name) + " of type " + found.type_text;
  if (found.meaning == Meaning::kNested) {
    return UserError("parquet_nested_column",
                     "nested and repeated columns of a Parquet file cannot be read: " + place);
  }
  if (found.meaning == Meaning::kUnsupported) {
    return UserError("parquet_unsupported_type",
                     "this type of a Parquet column cannot be read: " + place);
  }
  if (!found.ReadableAs(column.field.type)) {
    return UserError("parquet_type_mismatch",
                     "a column of the Parquet file has another type than col_type says: " + place +
                         " is read as " + std::string(data::FieldTypeName(*found.natural_type())) +
                         ", col_type of " + column.field.name + " is " +
                         std::string(data::FieldTypeName(column.field.type)));
  }
  return Status::OK();
}

Status PlanColumns(ReadPlan* plan) {
  for (const ParquetColumn& column : plan->options->columns) {
    CAPI_ASSIGN_OR_RETURN(const FileColumn* found, FindColumn(*plan->file, *plan->options, column));
    CAPI_RETURN_NOT_OK(CheckColumn(*plan->options, column, *found));
    if (!column.wanted) continue;
    plan->columns.push_back({&column, found});
    plan->fields.push_back(column.field);
  }
  return Status::OK();
}

Status CheckChunk(const ReadPlan& plan, const ColumnPlan& column,
                  const parquet::ColumnChunkMetaData& chunk, int64_t rows) {
  const std::string place = InFile(*plan.options, column.column->name);
  if (chunk.num_values() != rows) {
    return UserError("bad_parquet", "a Parquet column does not have the rows of its row group: " +
                                        place + ", " + std::to_string(chunk.num_values()) +
                                        " values, " + std::to_string(rows) + " rows");
  }
  if (!chunk.can_decompress()) {
    return UserError("parquet_codec",
                     "the codec of a Parquet column is not supported: " + place + ", codec " +
                         arrow::util::Codec::GetCodecAsString(chunk.compression()));
  }
  return Status::OK();
}

Result<GroupPlan> PlanGroup(const ReadPlan& plan, int number, int64_t file_size) {
  constexpr int64_t kFixedBytes = 16;
  constexpr int64_t kMostBytes = int64_t{1} << 30;  // sizes of a damaged file
  const auto row_group = plan.file->metadata().RowGroup(number);
  GroupPlan group;
  group.rows = row_group->num_rows();
  if (group.rows < 0 || row_group->num_columns() != plan.file->metadata().num_columns()) {
    return UserError("bad_parquet",
                     "a row group of the Parquet file is damaged: " + plan.options->file_name +
                         ", row group " + std::to_string(number));
  }
  int64_t text_per_row = 1;
  int64_t decoded_per_row = 0;
  for (const ColumnPlan& column : plan.columns) {
    const auto chunk = row_group->ColumnChunk(column.file_column->leaf);
    CAPI_RETURN_NOT_OK(CheckChunk(plan, column, *chunk, group.rows));
    group.file_bytes += std::clamp<int64_t>(chunk->total_compressed_size(), 0, file_size);
    const int64_t stored = std::clamp<int64_t>(chunk->total_uncompressed_size(), 0,
                                               std::numeric_limits<int64_t>::max()) /
                           std::max<int64_t>(1, group.rows);
    decoded_per_row += std::clamp(stored, kFixedBytes, kMostBytes);
    if (column.column->field.type == data::FieldType::kString) {
      text_per_row += std::min(stored, kMostBytes);
    }
  }
  group.batch_rows = std::clamp<int64_t>(kBatchTextBytes / text_per_row, 1, data::kMaxBatchRows);
  group.slice_rows = std::clamp<int64_t>(plan.options->slice_rows, 1, 2 * group.batch_rows);
  decoded_per_row = std::min(decoded_per_row, 4 * kMostBytes);
  // Decoded columns and what transforms make of them.
  group.slice_bytes = 2 * decoded_per_row * std::min(group.rows, group.slice_rows);
  return group;
}

Status PlanGroups(int64_t file_size, ReadPlan* plan) {
  int64_t first_row = 0;
  for (int number = 0; number < plan->file->metadata().num_row_groups(); ++number) {
    CAPI_ASSIGN_OR_RETURN(GroupPlan group, PlanGroup(*plan, number, file_size));
    group.first_row = first_row;
    if (__builtin_add_overflow(first_row, group.rows, &first_row)) {
      return UserError("bad_parquet",
                       "row counts of the Parquet file are damaged: " + plan->options->file_name);
    }
    plan->groups.push_back(group);
  }
  return Status::OK();
}

/// Gives slice after slice of the file.
class SliceCutter {
 public:
  explicit SliceCutter(const ReadPlan* plan) : plan_(*plan) {}

  std::optional<Slice> Next() {
    while (group_ < plan_.groups.size() && begin_ >= plan_.groups[group_].rows) {
      ++group_;
      begin_ = 0;
    }
    if (group_ == plan_.groups.size()) return std::nullopt;
    const GroupPlan& group = plan_.groups[group_];
    Slice slice;
    slice.row_group = static_cast<int>(group_);
    slice.begin = begin_;
    slice.end = begin_ + std::min(group.rows - begin_, group.slice_rows);
    slice.file_bytes = static_cast<int64_t>(static_cast<double>(group.file_bytes) *
                                            static_cast<double>(slice.end - slice.begin) /
                                            static_cast<double>(group.rows));
    begin_ = slice.end;
    return slice;
  }

 private:
  const ReadPlan& plan_;
  size_t group_ = 0;
  int64_t begin_ = 0;
};

/// Decoders of one row group. Used by one thread at a time, moving forwards only.
class GroupReader {
 public:
  GroupReader(const ReadPlan* plan, int row_group) : plan_(*plan), row_group_(row_group) {
    decoders_.resize(plan->columns.size());
  }

  int row_group() const { return row_group_; }
  int64_t position() const { return position_; }

  SliceResult Read(const Slice& slice) {
    SliceResult result;
    result.file_bytes = slice.file_bytes;
    const GroupPlan& group = plan_.groups[static_cast<size_t>(row_group_)];
    for (int64_t begin = slice.begin; begin < slice.end && result.status.ok();) {
      const int64_t n = std::min(group.batch_rows, slice.end - begin);
      result.status = ReadBatch(group.first_row + begin, begin, n, &result);
      begin += n;
    }
    position_ = slice.end;
    return result;
  }

 private:
  Status ReadBatch(int64_t first_row, int64_t begin, int64_t n, SliceResult* result) {
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    // Only an earlier row makes a column's error count.
    int64_t good_rows = n;
    Status error;
    size_t bad_column = 0;
    for (size_t i = 0; i < plan_.columns.size(); ++i) {
      int64_t column_rows = 0;
      Status column_error;
      const Status status = CatchExceptions(
          [&] { return Decode(i, begin, n, &arrays, &column_rows, &column_error); });
      if (!status.ok()) return DamagedColumn(status, first_row, i);
      if (column_rows < good_rows) {
        good_rows = column_rows;
        error = std::move(column_error);
        bad_column = i;
      }
    }
    if (good_rows > 0) {
      for (auto& array : arrays) {
        if (array->length() > good_rows) array = array->Slice(0, good_rows);
      }
      ParquetBatch batch;
      batch.batch = data::MakeBatch(plan_.fields, std::move(arrays), good_rows);
      batch.first_row = first_row;
      CAPI_ASSIGN_OR_RETURN(result->results.emplace_back(), (*plan_.transform)(std::move(batch)));
      result->rows += good_rows;
    }
    return good_rows == n ? Status::OK() : BadValue(error, first_row + good_rows, bad_column);
  }

  Status Decode(size_t i, int64_t begin, int64_t n,
                std::vector<std::shared_ptr<arrow::Array>>* arrays, int64_t* good_rows,
                Status* error) {
    const ColumnPlan& column = plan_.columns[i];
    if (decoders_[i] == nullptr) {
      decoders_[i] =
          ParquetColumnDecoder::Make(plan_.file.get(), row_group_, *column.file_column,
                                     column.column->field.type, column.column->default_value);
    }
    CAPI_ASSIGN_OR_RETURN(arrays->emplace_back(), decoders_[i]->Read(begin, n, good_rows, error));
    return Status::OK();
  }

  Status DamagedColumn(const Status& why, int64_t first_row, size_t i) const {
    return Prefixed(why, "cannot read the Parquet file: " +
                             InFile(*plan_.options, plan_.columns[i].column->name) +
                             ", row group " + std::to_string(row_group_) + ", from row " +
                             std::to_string(first_row + 1) + ": ");
  }
  Status BadValue(const Status& why, int64_t row, size_t i) const {
    const ColumnPlan& column = plan_.columns[i];
    return Prefixed(why, "cannot read a value as " +
                             std::string(data::FieldTypeName(column.column->field.type)) + ": " +
                             InFile(*plan_.options, column.column->name) + " of type " +
                             column.file_column->type_text + ", row " + std::to_string(row + 1) +
                             ": ");
  }

  const ReadPlan& plan_;
  const int row_group_;
  int64_t position_ = 0;
  std::vector<std::unique_ptr<ParquetColumnDecoder>> decoders_;
};

/// Readers at rest, each somewhere in a row group. A slice is read by the one that is nearest
/// before it: the dictionary is decoded once, and only pages at the edges of slices are
/// decompressed twice. Thread-safe.
class GroupReaderPool {
 public:
  explicit GroupReaderPool(const ReadPlan* plan) : plan_(*plan) {}

  SliceResult Read(const Slice& slice) {
    std::unique_ptr<GroupReader> reader = Take(slice);
    SliceResult result = reader->Read(slice);
    const std::lock_guard lock(mutex_);
    if (result.status.ok() && reader->row_group() == newest_group_ &&
        slice.end < plan_.groups[static_cast<size_t>(slice.row_group)].rows) {
      idle_.push_back(std::move(reader));
    }
    return result;
  }

 private:
  std::unique_ptr<GroupReader> Take(const Slice& slice) {
    {
      const std::lock_guard lock(mutex_);
      if (slice.row_group > newest_group_) {
        newest_group_ = slice.row_group;
        idle_.clear();
      }
      const auto best = std::max_element(idle_.begin(), idle_.end(),
                                         [&slice](const auto& left, const auto& right) {
                                           return Rank(*left, slice) < Rank(*right, slice);
                                         });
      if (best != idle_.end() && Rank(**best, slice) >= 0) {
        std::unique_ptr<GroupReader> reader = std::move(*best);
        idle_.erase(best);
        return reader;
      }
    }
    return std::make_unique<GroupReader>(&plan_, slice.row_group);
  }

  static int64_t Rank(const GroupReader& reader, const Slice& slice) {
    const bool usable = reader.row_group() == slice.row_group && reader.position() <= slice.begin;
    return usable ? reader.position() : -1;
  }

  const ReadPlan& plan_;
  std::mutex mutex_;
  int newest_group_ = 0;
  std::vector<std::unique_ptr<GroupReader>> idle_;
};

/// Slices that are between planning and emitting at once: fewer when they would take much of the
/// memory limit, but always one per thread.
int PipelineWindow(const exec::Context& context, int64_t slice_bytes) {
  constexpr int64_t kLimitFraction = 4;
  const int64_t threads = context.pool->num_threads();
  int64_t window = 2 * threads + 1;
  if (context.memory != nullptr && context.memory->limit_bytes() > 0) {
    const int64_t affordable =
        context.memory->limit_bytes() / kLimitFraction / std::max<int64_t>(1, slice_bytes);
    window = std::clamp(affordable, threads, window);
  }
  return static_cast<int>(window);
}

}  // namespace

}  // namespace internal

Status ReadParquet(const exec::Context& context, const ParquetBytes& file,
                   const ParquetReadOptions& options,
                   const std::function<Result<std::shared_ptr<void>>(ParquetBatch)>& transform,
                   const std::function<Status(std::shared_ptr<void>)>& emit,
                   ParquetReadStatistics* statistics) {
  *statistics = {};
  internal::ReadPlan plan;
  plan.options = &options;
  plan.transform = &transform;
  CAPI_ASSIGN_OR_RETURN(plan.file, internal::ParquetFile::Open(file, options.file_name));
  CAPI_RETURN_NOT_OK(internal::PlanColumns(&plan));
  const int64_t file_size = file.size();
  CAPI_RETURN_NOT_OK(
      internal::CatchExceptions([&] { return internal::PlanGroups(file_size, &plan); }));
  int64_t slice_bytes = 0;
  int64_t fetched_bytes = 0;  // column chunks of a row group that are held in memory
  int64_t num_slices = 0;
  for (const internal::GroupPlan& group : plan.groups) {
    if (file.mapped().empty()) fetched_bytes = std::max(fetched_bytes, group.file_bytes);
    slice_bytes = std::max(slice_bytes, group.slice_bytes);
    num_slices += group.rows / group.slice_rows + 1;
  }
  const int window = internal::PipelineWindow(context, slice_bytes);
  exec::Reservation reservation;
  if (context.memory != nullptr) {
    reservation = exec::Reservation(context.memory);
    reservation.ForceGrow(fetched_bytes + slice_bytes * std::min<int64_t>(window, num_slices));
  }
  internal::GroupReaderPool readers(&plan);
  int64_t bytes_done = 0;
  const auto add_progress = [&context, &bytes_done](int64_t bytes, int64_t rows) {
    bytes_done += bytes;
    if (context.progress != nullptr) {
      context.progress->work_done.fetch_add(bytes, std::memory_order_relaxed);
      context.progress->rows_in.fetch_add(rows, std::memory_order_relaxed);
    }
  };
  internal::SliceCutter cutter(&plan);
  CAPI_RETURN_NOT_OK((exec::OrderedPipeline<internal::Slice, internal::SliceResult>(
      context.pool, context.cancel, window,
      [&cutter]() -> Result<std::optional<internal::Slice>> { return cutter.Next(); },
      [&readers](const internal::Slice& slice) -> Result<internal::SliceResult> {
        return readers.Read(slice);
      },
      [&](internal::SliceResult slice) -> Status {
        for (std::shared_ptr<void>& result : slice.results) {
          CAPI_RETURN_NOT_OK(emit(std::move(result)));
        }
        statistics->rows += slice.rows;
        add_progress(slice.file_bytes, slice.rows);
        return slice.status;
      })));
  add_progress(file_size - bytes_done, 0);  // footer, other columns
  return Status::OK();
}

namespace {

std::string ChangeOf(const internal::FileColumn& column) {
  constexpr int kDecimals = 2;
  constexpr int64_t kMillis = 1000;
  switch (column.meaning) {
    case internal::Meaning::kDecimal:
      return column.scale > kDecimals ? "numbers are rounded to two decimals" : "";
    case internal::Meaning::kTimestamp:
      return column.units_per_second > kMillis ? "times are rounded down to milliseconds" : "";
    case internal::Meaning::kImpalaTimestamp:
      return "times are rounded down to milliseconds";
    case internal::Meaning::kDate:
      return "dates become moments, at midnight";
    case internal::Meaning::kTime:
      return "times of day become whole numbers";
    default:
      return "";
  }
}

/// -1 if the file does not tell.
int64_t NullsOf(const parquet::FileMetaData& metadata, int leaf) {
  int64_t sum = 0;
  if (metadata.schema()->Column(leaf)->max_definition_level() == 0) return 0;
  for (int group = 0; group < metadata.num_row_groups(); ++group) {
    const auto chunk = metadata.RowGroup(group)->ColumnChunk(leaf);
    const auto statistics = chunk->statistics();
    if (statistics == nullptr || !statistics->HasNullCount()) return -1;
    sum += statistics->null_count();
  }
  return sum;
}

}  // namespace

Result<ParquetInfo> InspectParquet(const ParquetBytes& file, const std::string& file_name) {
  static constexpr data::FieldType kAllTypes[] = {
      data::FieldType::kInt,  data::FieldType::kFloat,    data::FieldType::kString,
      data::FieldType::kBool, data::FieldType::kDecimal2, data::FieldType::kDatetime};
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<internal::ParquetFile> opened,
                        internal::ParquetFile::Open(file, file_name));
  ParquetInfo info;
  info.num_rows = opened->metadata().num_rows();
  for (const internal::FileColumn& column : opened->columns()) {
    ParquetColumnInfo& found = info.columns.emplace_back();
    found.name = column.name;
    found.type = column.natural_type();
    for (const data::FieldType type : kAllTypes) {
      if (column.ReadableAs(type)) found.readable_as.push_back(type);
    }
    found.type_text = column.type_text;
    found.change = ChangeOf(column);
    if (!found.type) continue;
    CAPI_RETURN_NOT_OK(internal::CatchExceptions([&]() -> Status {
      found.num_nulls = NullsOf(opened->metadata(), column.leaf);
      return Status::OK();
    }));
  }
  return info;
}

}  // namespace capi::formats
