// Any text, read in blocks of 64 bytes, 1 KiB and 1 MiB on two threads, gives the records of the
// sequential splitter.

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "arrow/record_batch.h"
#include "capi/data/column.h"
#include "capi/formats/csv_reader.h"

namespace {

using capi::Result;
using capi::Status;
using Records = std::vector<std::vector<std::string>>;

Status ReadInBlocks(const capi::exec::Context& context, std::string_view text,
                    const capi::formats::CsvReadOptions& options, Records* records) {
  capi::formats::CsvReadStatistics statistics;
  return capi::formats::ReadCsv(
      context, text, options,
      [](capi::formats::CsvBatch batch) -> Result<std::shared_ptr<void>> { return batch.batch; },
      [records](std::shared_ptr<void> result) -> Status {
        const auto& batch = *static_cast<const arrow::RecordBatch*>(result.get());
        std::vector<capi::data::StringReader> columns;
        for (const auto& column : batch.columns()) {
          CAPI_ASSIGN_OR_RETURN(columns.emplace_back(), capi::data::StringReader::Make(*column));
        }
        for (int64_t row = 0; row < batch.num_rows(); ++row) {
          std::vector<std::string>& cells = records->emplace_back();
          for (const auto& column : columns) {
            cells.emplace_back(column[row]);
          }
        }
        return Status::OK();
      },
      &statistics);
}

[[noreturn]] void Fail(const char* what, int64_t block_bytes) {
  std::cerr << what << ", block_bytes " << block_bytes << "\n";
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const std::unique_ptr<capi::exec::TaskPool> pool =
      capi::exec::TaskPool::Make(2).ValueOrDie();
  static constexpr char kSeparators[] = {',', ';', '\t', ' '};
  if (size == 0) {
    return 0;
  }
  // A copy, so that reads beyond the text are noticed.
  const std::vector<char> copy(bytes + 1, bytes + size);
  const std::string_view text(copy.data(), copy.size());
  capi::formats::CsvReadOptions options;
  options.separator = kSeparators[bytes[0] % sizeof(kSeparators)];
  Records expected;
  const Status expected_status = capi::formats::SplitCsv(text, options.separator, &expected);
  for (size_t i = 0; !expected.empty() && i < expected[0].size(); ++i) {
    capi::formats::CsvColumn column;
    column.field = {"c" + std::to_string(i), capi::data::FieldType::kString};
    column.index = static_cast<int64_t>(i);
    options.columns.push_back(column);
  }
  capi::exec::Context context;
  context.pool = pool.get();
  for (const int64_t block_bytes : {int64_t{64}, int64_t{1} << 10, int64_t{1} << 20}) {
    options.block_bytes = block_bytes;
    Records records;
    const Status status = ReadInBlocks(context, text, options, &records);
    if (status.ok() != expected_status.ok()) {
      Fail("another outcome", block_bytes);
    }
    if (records != expected) {
      Fail("other records", block_bytes);
    }
  }
  return 0;
}
