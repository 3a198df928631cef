#include "capi/formats/parquet_writer.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <set>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/type.h"
#include "capi/base/near_name.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/exec/task_pool.h"
#include "capi/formats/parquet_row_group_internal.h"

namespace capi::formats {

namespace {

constexpr char kMagic[] = "PAR1";

/// The first row of a wide decimal column whose value needs more than 18 digits, -1 if there is
/// none.
int64_t FindLongDecimal(const arrow::Array& column) {
  const auto* values = column.data()->GetValues<data::int128>(1);
  for (int64_t row = 0; row < column.length(); ++row) {
    if (values[row] > data::kMaxNarrowDecimal || values[row] < -data::kMaxNarrowDecimal) return row;
  }
  return -1;
}

/// Bytes of the values of a range of rows. The same for every layout of a column.
Result<int64_t> ValueBytes(const ParquetColumns& columns, int64_t begin, int64_t n) {
  constexpr int64_t kFixedBytes = 8;
  int64_t bytes = 0;
  for (const std::shared_ptr<arrow::Array>& column : columns) {
    bytes += kFixedBytes * n;
    const arrow::Type::type type = column->type_id();
    if (type != arrow::Type::STRING && type != arrow::Type::DICTIONARY) continue;
    CAPI_ASSIGN_OR_RETURN(const data::StringReader texts, data::StringReader::Make(*column));
    if (!texts.is_dictionary()) {
      const auto* offsets = column->data()->GetValues<int32_t>(1);
      bytes += offsets[begin + n] - offsets[begin];
      continue;
    }
    for (int64_t row = begin; row < begin + n; ++row) {
      bytes += static_cast<int64_t>(texts[row].size());
    }
  }
  return bytes;
}

class GroupedWriter final : public ParquetWriter {
 public:
  GroupedWriter(const exec::Context& context, ParquetWriteOptions options, AppendBytes append,
                std::unique_ptr<internal::RowGroupEncoder> encoder)
      : context_(context),
        options_(std::move(options)),
        append_(std::move(append)),
        encoder_(std::move(encoder)),
        reservation_(context.memory) {}

  Result<ParquetColumns> Prepare(const ParquetColumns& columns, int64_t /*num_rows*/,
                                 int64_t* bad_row) const override {
    if (columns.size() != options_.columns.size()) {
      return BugError("wrong number of columns for a Parquet file");
    }
    ParquetColumns prepared;
    int64_t first_bad_row = std::numeric_limits<int64_t>::max();
    size_t bad_column = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
      CAPI_ASSIGN_OR_RETURN(const data::FieldType type, data::FieldTypeOf(*columns[i]->type()));
      if (type != options_.columns[i].field.type) {
        return BugError("column of the wrong type for a Parquet file: " + options_.columns[i].name);
      }
      CAPI_ASSIGN_OR_RETURN(prepared.emplace_back(), data::ToStored(columns[i]));
      if (prepared[i]->type_id() != arrow::Type::DECIMAL128) continue;
      const int64_t row = FindLongDecimal(*prepared[i]);
      if (row >= 0 && row < first_bad_row) {
        first_bad_row = row;
        bad_column = i;
      }
    }
    if (first_bad_row == std::numeric_limits<int64_t>::max()) return prepared;
    *bad_row = first_bad_row;
    CAPI_ASSIGN_OR_RETURN(const data::Value value,
                          data::CellValue(*columns[bad_column], first_bad_row));
    return UserError("number_out_of_range",
                     "a decimal2 in a Parquet file has at most 18 digits: column \"" +
                         options_.columns[bad_column].name + "\", value " +
                         data::ValueToText(value));
  }

  Status Append(ParquetColumns columns, int64_t num_rows) override {
    const auto block = std::make_shared<const internal::PreparedBlock>(
        internal::PreparedBlock{std::move(columns), num_rows});
    for (int64_t begin = 0; begin < num_rows;) {
      CAPI_ASSIGN_OR_RETURN(const int64_t rows, RowsThatFit(*block, begin));
      if (rows == 0) {
        CloseGroup();
        continue;
      }
      CAPI_ASSIGN_OR_RETURN(const int64_t bytes, ValueBytes(block->columns, begin, rows));
      open_.pieces.push_back({block, begin, rows});
      open_.rows += rows;
      open_.bytes += bytes;
      waiting_bytes_ += bytes;
      if (context_.memory != nullptr) reservation_.ForceGrow(bytes);
      if (open_.rows == options_.row_group_rows) CloseGroup();
      begin += rows;
    }
    return Status::OK();
  }

  bool Full() const override {
    const int64_t groups = complete_groups_.load(std::memory_order_acquire);
    return groups >= num_threads() || (groups > 0 && MemoryIsShort());
  }

  Status Flush() override {
    const auto complete = static_cast<int64_t>(complete_.size());
    // The same number for each thread, if there is time.
    const int64_t even = complete - complete % num_threads();
    return EncodeGroups(MemoryIsShort() || even == 0 ? complete : even);
  }

  Status Finish() override {
    if (open_.rows > 0) CloseGroup();
    while (!complete_.empty()) {
      CAPI_RETURN_NOT_OK(
          EncodeGroups(std::min<int64_t>(num_threads(), static_cast<int64_t>(complete_.size()))));
    }
    if (position_ == 0) CAPI_RETURN_NOT_OK(Emit(kMagic));
    CAPI_ASSIGN_OR_RETURN(const std::string empty_file, encoder_->EmptyFile());
    CAPI_ASSIGN_OR_RETURN(const std::string end,
                          internal::MakeFileEnd(empty_file, num_rows_, entries_));
    return Emit(end);
  }

 private:
  int64_t num_threads() const { return context_.pool->num_threads(); }

  /// Waiting rows may take a quarter of the memory limit.
  bool MemoryIsShort() const {
    constexpr int64_t kLimitFraction = 4;
    return context_.memory != nullptr && context_.memory->limit_bytes() > 0 &&
           waiting_bytes_.load(std::memory_order_relaxed) >
               context_.memory->limit_bytes() / kLimitFraction;
  }

  /// Rows from `begin` on that the open row group has room for; an empty one has room for at least
  /// one row.
  Result<int64_t> RowsThatFit(const internal::PreparedBlock& block, int64_t begin) const {
    const int64_t most = std::min(block.rows - begin, options_.row_group_rows - open_.rows);
    const int64_t room = options_.row_group_bytes - open_.bytes;
    CAPI_ASSIGN_OR_RETURN(const int64_t bytes, ValueBytes(block.columns, begin, most));
    if (bytes <= room) return most;
    // The largest number of rows that fits; bytes grow with rows.
    int64_t fits = 0;
    int64_t too_many = most;
    while (too_many - fits > 1) {
      const int64_t middle = fits + (too_many - fits) / 2;
      CAPI_ASSIGN_OR_RETURN(const int64_t middle_bytes, ValueBytes(block.columns, begin, middle));
      (middle_bytes <= room ? fits : too_many) = middle;
    }
    return fits == 0 && open_.rows == 0 ? 1 : fits;
  }

  void CloseGroup() {
    complete_.push_back(std::move(open_));
    open_ = {};
    complete_groups_.store(static_cast<int64_t>(complete_.size()), std::memory_order_release);
  }

  Status EncodeGroups(int64_t n) {
    std::vector<internal::EncodedRowGroup> encoded(static_cast<size_t>(n));
    CAPI_RETURN_NOT_OK(exec::ParallelFor(context_.pool, n, [&](int64_t i) -> Status {
      CAPI_RETURN_NOT_OK(context_.cancel.Check());
      const auto at = static_cast<size_t>(i);
      CAPI_ASSIGN_OR_RETURN(encoded[at], encoder_->Encode(complete_[at]));
      return Status::OK();
    }));
    for (int64_t i = 0; i < n; ++i) {
      CAPI_RETURN_NOT_OK(AppendGroup(encoded[static_cast<size_t>(i)]));
      const int64_t bytes = complete_.front().bytes;
      complete_.pop_front();
      waiting_bytes_ -= bytes;
      if (context_.memory != nullptr) reservation_.Shrink(bytes);
    }
    complete_groups_.store(static_cast<int64_t>(complete_.size()), std::memory_order_release);
    return Status::OK();
  }

  Status AppendGroup(const internal::EncodedRowGroup& group) {
    if (position_ == 0) CAPI_RETURN_NOT_OK(Emit(kMagic));
    CAPI_ASSIGN_OR_RETURN(
        entries_.emplace_back(),
        internal::MoveRowGroup(group.entry, position_ - internal::kParquetMagicBytes));
    num_rows_ += group.rows;
    return Emit(group.bytes);
  }

  Status Emit(std::string_view bytes) {
    position_ += static_cast<int64_t>(bytes.size());
    return append_(bytes);
  }

  const exec::Context context_;
  const ParquetWriteOptions options_;
  const AppendBytes append_;
  const std::unique_ptr<internal::RowGroupEncoder> encoder_;
  exec::Reservation reservation_;

  internal::RowGroupPieces open_;
  std::deque<internal::RowGroupPieces> complete_;
  std::atomic<int64_t> complete_groups_{0};
  std::atomic<int64_t> waiting_bytes_{0};

  int64_t position_ = 0;  ///< in the file
  int64_t num_rows_ = 0;
  std::vector<std::string> entries_;
};

Status CheckOptions(const ParquetWriteOptions& options) {
  static const std::vector<std::string> kCodecs = {"gzip", "snappy", "uncompressed"};
  if (std::find(kCodecs.begin(), kCodecs.end(), options.codec) == kCodecs.end()) {
    return UserError("bad_codec", "gzip, snappy or uncompressed is expected: " + options.codec +
                                      DidYouMean(NearestName(options.codec, kCodecs)));
  }
  std::set<std::string> names;
  for (const ParquetOutputColumn& column : options.columns) {
    if (!names.insert(column.name).second) {
      return UserError("duplicate_column",
                       "two Parquet columns have the same name: " + column.name);
    }
  }
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<ParquetWriter>> ParquetWriter::Make(const exec::Context& context,
                                                           const ParquetWriteOptions& options,
                                                           AppendBytes append) {
  CAPI_RETURN_NOT_OK(CheckOptions(options));
  CAPI_ASSIGN_OR_RETURN(auto encoder, internal::RowGroupEncoder::Make(options));
  return std::make_unique<GroupedWriter>(context, options, std::move(append), std::move(encoder));
}

}  // namespace capi::formats
