// Any bytes are refused or read, without a crash; whole and in slices the same rows come out.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/record_batch.h"
#include "capi/data/column.h"
#include "capi/data/go_format.h"
#include "capi/formats/parquet_reader.h"

namespace {

using capi::Result;
using capi::Status;
using capi::data::FieldType;
using Rows = std::vector<std::string>;

/// Stops at rows that a small damaged file only pretends to have.
constexpr size_t kMostRows = 200000;

Status ReadRows(const capi::exec::Context& context, std::string_view file,
                const capi::formats::ParquetReadOptions& options, Rows* rows) {
  capi::formats::ParquetReadStatistics statistics;
  return capi::formats::ReadParquet(
      context, file, options,
      [](capi::formats::ParquetBatch batch) -> Result<std::shared_ptr<void>> {
        return batch.batch;
      },
      [rows](std::shared_ptr<void> result) -> Status {
        const auto& batch = *static_cast<const arrow::RecordBatch*>(result.get());
        for (int64_t row = 0; row < batch.num_rows(); ++row) {
          std::string& text = rows->emplace_back();
          for (const auto& column : batch.columns()) {
            CAPI_ASSIGN_OR_RETURN(const auto value, capi::data::CellValue(*column, row));
            text += capi::data::ValueToText(value) + '\0';
          }
        }
        return rows->size() > kMostRows ? capi::CancelledError("enough") : Status::OK();
      },
      &statistics);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const std::unique_ptr<capi::exec::TaskPool> pool =
      capi::exec::TaskPool::Make(2).ValueOrDie();
  // A copy, so that reads beyond the file are noticed.
  const std::vector<char> copy(bytes, bytes + size);
  const std::string_view file(copy.data(), copy.size());
  const auto info = capi::formats::InspectParquet(file, "fuzz");
  if (!info.ok()) {
    return 0;
  }
  capi::formats::ParquetReadOptions options;
  for (const capi::formats::ParquetColumnInfo& column : info->columns) {
    if (!column.type.has_value()) continue;
    options.columns.push_back(
        {{column.name, *column.type}, column.name, capi::data::ZeroValue(*column.type), true});
  }
  if (options.columns.empty()) {
    return 0;
  }
  capi::exec::Context context;
  context.pool = pool.get();
  Rows whole;
  const Status whole_status = ReadRows(context, file, options, &whole);
  options.slice_rows = 7;
  Rows sliced;
  const Status sliced_status = ReadRows(context, file, options, &sliced);
  if (whole_status.ok() && (!sliced_status.ok() || whole != sliced)) {
    std::cerr << "other rows in slices: " << sliced_status.ToString() << "\n";
    std::abort();
  }
  return 0;
}
