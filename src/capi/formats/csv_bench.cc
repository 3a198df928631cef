// Reading and writing of the tables of the lookup demo, one thread. bytes_per_second counts file
// text.

#include <algorithm>
#include <random>
#include <string>

#include "arrow/array/array_base.h"
#include "arrow/record_batch.h"
#include "benchmark/benchmark.h"
#include "capi/data/column.h"
#include "capi/formats/csv_reader.h"
#include "capi/formats/csv_record_internal.h"
#include "capi/formats/csv_structure_internal.h"
#include "capi/formats/csv_writer.h"

namespace capi::formats {
namespace {

using data::FieldType;

constexpr int64_t kNumRows = 200000;

std::string TwoDigits(uint64_t value) {
  return {static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)};
}

class TextMaker {
 public:
  std::string Id() {
    std::string id;
    for (int i = 0; i < 32; ++i) {
      id += "0123456789abcdef"[random_() % 16];
    }
    return id;
  }
  std::string Time() {
    return "20" + TwoDigits(10 + random_() % 10) + "-" + TwoDigits(1 + random_() % 12) + "-" +
           TwoDigits(1 + random_() % 28) + " " + TwoDigits(random_() % 24) + ":" +
           TwoDigits(random_() % 60) + ":" + TwoDigits(random_() % 60);
  }
  std::string Money() { return std::to_string(random_() % 300) + "." + TwoDigits(random_() % 100); }
  uint64_t Below(uint64_t limit) { return random_() % limit; }

 private:
  std::mt19937_64 random_{1};
};

std::string MakeItems(bool quoted) {
  TextMaker make;
  const std::string quote = quoted ? "\"" : "";
  std::string text =
      "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight\n";
  for (int64_t row = 0; row < kNumRows; ++row) {
    text += quote + make.Id() + quote + ",0000" + std::to_string(1 + make.Below(9)) + "," + quote +
            make.Id() + quote + "," + quote + make.Id() + quote + "," + make.Time() + "," +
            make.Money() + "," + make.Money() + "\n";
  }
  return text;
}

const std::string& Items() {
  static const std::string text = MakeItems(false);
  return text;
}

const std::string& Orders() {
  static const std::string text = [] {
    TextMaker make;
    std::string made = "order_id,customer_id,status,purchase,approved,carrier,customer,estimated\n";
    static constexpr const char* kStatus[] = {"delivered", "shipped", "approved", "invoiced"};
    for (int64_t row = 0; row < kNumRows; ++row) {
      made += make.Id() + "," + make.Id() + "," + kStatus[make.Below(4)] + "," + make.Time() + "," +
              make.Time() + "," + make.Time() + "," + make.Time() + "," + make.Time() + "\n";
    }
    return made;
  }();
  return text;
}

CsvReadOptions Options(std::vector<CsvColumn> columns) {
  CsvReadOptions options;
  options.first_data_line = 1;
  options.columns = std::move(columns);
  return options;
}

CsvColumn Column(FieldType type, int64_t index, const std::string& format = "") {
  CsvColumn column;
  column.field = {"c" + std::to_string(index), type};
  column.index = index;
  column.format = format;
  return column;
}

CsvReadOptions ItemOptions() {
  return Options({Column(FieldType::kString, 0), Column(FieldType::kInt, 1, "%d"),
                  Column(FieldType::kString, 2), Column(FieldType::kString, 3),
                  Column(FieldType::kDatetime, 4, "2006-01-02 15:04:05"),
                  Column(FieldType::kDecimal2, 5, "%f"), Column(FieldType::kDecimal2, 6, "%f")});
}

CsvReadOptions OrderOptions() {
  return Options({Column(FieldType::kString, 0), Column(FieldType::kString, 2),
                  Column(FieldType::kDatetime, 3, "2006-01-02 15:04:05")});
}

std::vector<std::shared_ptr<arrow::RecordBatch>> Read(const std::string& text,
                                                      const CsvReadOptions& options, bool keep) {
  static const std::unique_ptr<exec::TaskPool> pool = exec::TaskPool::Make(1).ValueOrDie();
  exec::Context context;
  context.pool = pool.get();
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  CsvReadStatistics statistics;
  const Status status = ReadCsv(
      context, text, options,
      [](CsvBatch batch) -> Result<std::shared_ptr<void>> { return batch.batch; },
      [&batches, keep](std::shared_ptr<void> result) {
        if (keep) {
          batches.push_back(std::static_pointer_cast<arrow::RecordBatch>(result));
        }
        return Status::OK();
      },
      &statistics);
  if (!status.ok()) {
    std::abort();
  }
  return batches;
}

void RunRead(benchmark::State& state, const std::string& text, const CsvReadOptions& options) {
  for (auto _ : state) {
    Read(text, options, false);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(text.size()));
}

void BM_ReadItems(benchmark::State& state) { RunRead(state, Items(), ItemOptions()); }
BENCHMARK(BM_ReadItems)->Unit(benchmark::kMillisecond);

void BM_ReadOrders(benchmark::State& state) { RunRead(state, Orders(), OrderOptions()); }
BENCHMARK(BM_ReadOrders)->Unit(benchmark::kMillisecond);

void BM_ReadQuotedItems(benchmark::State& state) {
  static const std::string text = MakeItems(true);
  RunRead(state, text, ItemOptions());
}
BENCHMARK(BM_ReadQuotedItems)->Unit(benchmark::kMillisecond);

void BM_ReadOneColumn(benchmark::State& state) {
  const auto column = static_cast<size_t>(state.range(0));
  CsvReadOptions options = ItemOptions();
  options.columns = {options.columns[column]};
  RunRead(state, Items(), options);
}
BENCHMARK(BM_ReadOneColumn)->DenseRange(0, 6)->Unit(benchmark::kMillisecond);

void BM_CountRecords(benchmark::State& state) { RunRead(state, Items(), Options({})); }
BENCHMARK(BM_CountRecords)->Unit(benchmark::kMillisecond);

void BM_ScanStructure(benchmark::State& state) {
  constexpr int64_t kWindow = 128 << 10;
  internal::CsvStructure structure(kWindow);
  const std::string& text = Items();
  for (auto _ : state) {
    for (int64_t at = 0; at < static_cast<int64_t>(text.size()); at += kWindow) {
      structure.Scan(text.data() + at, std::min(kWindow, static_cast<int64_t>(text.size()) - at),
                     ',');
      benchmark::DoNotOptimize(structure.num_positions());
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(text.size()));
}
BENCHMARK(BM_ScanStructure)->Unit(benchmark::kMillisecond);

void BM_FindRecordEnds(benchmark::State& state) {
  static const std::string quoted = MakeItems(true);
  const std::string& text = state.range(0) == 0 ? Items() : quoted;
  for (auto _ : state) {
    int64_t at = 0;
    while (at < static_cast<int64_t>(text.size())) {
      at = internal::FindRecordEnd(text, ',', at, at + (4 << 20));
    }
    benchmark::DoNotOptimize(at);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) *
                          static_cast<int64_t>(text.size()));
}
BENCHMARK(BM_FindRecordEnds)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

CsvWriteOptions ItemOutput() {
  CsvWriteOptions options;
  const auto add = [&options](FieldType type, const std::string& format) {
    options.columns.push_back({{"c", type}, "c", format});
  };
  add(FieldType::kString, "%s");
  add(FieldType::kInt, "%05d");
  add(FieldType::kString, "%s");
  add(FieldType::kString, "%s");
  add(FieldType::kDatetime, "2006-01-02 15:04:05");
  add(FieldType::kDecimal2, "%s");
  return options;
}

void BM_WriteItems(benchmark::State& state) {
  const auto batches = Read(Items(), ItemOptions(), true);
  const auto formatter = CsvFormatter::Make(ItemOutput()).ValueOrDie();
  int64_t num_bytes = 0;
  std::string out;
  for (auto _ : state) {
    for (const auto& batch : batches) {
      out.clear();
      std::vector<std::shared_ptr<arrow::Array>> columns = batch->columns();
      columns.pop_back();
      if (!formatter->AppendRows(columns, batch->num_rows(), &out).ok()) {
        std::abort();
      }
      num_bytes += static_cast<int64_t>(out.size());
    }
  }
  state.SetBytesProcessed(num_bytes);
}
BENCHMARK(BM_WriteItems)->Unit(benchmark::kMillisecond);

void BM_WriteTakenItems(benchmark::State& state) {
  const auto batches = Read(Items(), ItemOptions(), true);
  std::vector<std::shared_ptr<arrow::Array>> columns;
  for (int column = 0; column < 6; ++column) {
    std::vector<std::shared_ptr<arrow::Array>> pieces;
    for (const auto& batch : batches) {
      pieces.push_back(batch->column(column));
    }
    columns.push_back(data::Concatenate(pieces).ValueOrDie());
  }
  std::vector<int32_t> rows(kNumRows);
  for (int64_t i = 0; i < kNumRows; ++i) {
    rows[static_cast<size_t>(i)] = static_cast<int32_t>(i);
  }
  std::shuffle(rows.begin(), rows.end(), std::mt19937_64(1));
  const auto formatter = CsvFormatter::Make(ItemOutput()).ValueOrDie();
  int64_t num_bytes = 0;
  std::string out;
  for (auto _ : state) {
    for (int64_t from = 0; from < kNumRows; from += data::kMorselRows) {
      out.clear();
      const int64_t n = std::min(data::kMorselRows, kNumRows - from);
      if (!formatter->AppendTakenRows(columns, rows.data() + from, n, &out).ok()) {
        std::abort();
      }
      num_bytes += static_cast<int64_t>(out.size());
    }
  }
  state.SetBytesProcessed(num_bytes);
}
BENCHMARK(BM_WriteTakenItems)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace capi::formats
