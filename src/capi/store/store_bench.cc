// Speed of writing, reading by row id and index look-ups in a store on disk.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <vector>

#include "capi/store/store_bench_internal.h"

namespace capi::store {
namespace {

void Encode(benchmark::State& state) {
  World& world = World::Get();
  auto writer = Must(world.store_->NewWriter(world.context_, {1, "items"},
                                             world.ItemSchema(state.range(0) != 0), 0, {}));
  size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(Must(writer->Encode(world.items()[i++ % 64])));
  }
  state.SetItemsProcessed(state.iterations() * kChunk);
}
BENCHMARK(Encode)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

/// Encode of one column of the items.
void EncodeColumn(benchmark::State& state) {
  World& world = World::Get();
  const auto field = static_cast<size_t>(state.range(0));
  TableSchema schema{"items", {world.ItemSchema(false).fields[field]}, {}, ""};
  auto writer = Must(world.store_->NewWriter(world.context_, {1, "items"}, schema, 0, {}));
  size_t i = 0;
  for (auto _ : state) {
    TableWriter::Batch batch;
    batch.num_rows = kChunk;
    batch.columns = {world.items()[i++ % 64].columns[field]};
    benchmark::DoNotOptimize(Must(writer->Encode(batch)));
  }
  state.SetItemsProcessed(state.iterations() * kChunk);
}
BENCHMARK(EncodeColumn)->DenseRange(0, 5)->Unit(benchmark::kMicrosecond);

void WriteItems(benchmark::State& state) {
  World& world = World::Get();
  for (auto _ : state) {
    const auto attempts = world.WriteItems(1);
    state.counters["bytes_per_row"] = static_cast<double>(attempts[0].bytes) / kItems;
  }
  state.SetItemsProcessed(state.iterations() * kItems);
}
BENCHMARK(WriteItems)->Unit(benchmark::kMillisecond)->MinTime(3);

void TinyAttempts(benchmark::State& state) {
  World& world = World::Get();
  TableWriter::Batch batch = world.items()[0];
  batch.num_rows = 10;
  for (Column& column : batch.columns) column = column->Slice(0, 10);
  for (auto _ : state) {
    auto writer =
        Must(world.store_->NewWriter(world.context_, {1, "items"}, world.ItemSchema(true), 0, {}));
    Must(writer->Put(batch));
    benchmark::DoNotOptimize(Must(writer->Finish()));
  }
}
BENCHMARK(TinyAttempts)->Unit(benchmark::kMicrosecond);

void FreezeItems(benchmark::State& state) {
  World& world = World::Get();
  const auto attempts = world.WriteItems(static_cast<int>(state.range(0)));
  world.MakeDurable(attempts);
  for (auto _ : state) benchmark::DoNotOptimize(world.Freeze(attempts));
  state.SetItemsProcessed(state.iterations() * kItems);
}
BENCHMARK(FreezeItems)->Arg(1)->Arg(8)->Unit(benchmark::kMillisecond);

/// Many batches of ten rows: freezing and opening their table, and reading it through.
void ManyTinyBatches(benchmark::State& state) {
  World& world = World::Get();
  TableWriter::Batch batch = world.items()[0];
  batch.num_rows = 10;
  for (Column& column : batch.columns) column = column->Slice(0, 10);
  std::vector<AttemptManifest> attempts;
  for (int64_t b = 0; b < state.range(0); ++b) {
    auto writer =
        Must(world.store_->NewWriter(world.context_, {1, "items"}, world.ItemSchema(true), b, {}));
    Must(writer->Put(batch));
    attempts.push_back(Must(writer->Finish()));
  }
  world.MakeDurable(attempts);
  for (auto _ : state) {
    const auto table = Must(world.store_->OpenTable(world.Freeze(attempts).manifest, nullptr));
    for (const Table::Morsel& morsel : table->Morsels(0, table->num_rows())) {
      benchmark::DoNotOptimize(Must(table->Read(morsel, {0, 1, 2, 3, 4, 5})));
    }
  }
}
BENCHMARK(ManyTinyBatches)->Arg(1000)->Arg(40000)->Unit(benchmark::kMillisecond);

void Gather(benchmark::State& state) {
  const Table& table = *World::Get().ItemTable();
  const auto field = static_cast<int>(state.range(0));
  std::vector<data::RowId> ids;
  for (const Table::Morsel& morsel : table.Morsels(0, table.num_rows())) {
    const Table::ScanBatch batch = Must(table.Read(morsel, {}));
    ids.insert(ids.end(), batch.row_ids.begin(), batch.row_ids.end());
  }
  std::shuffle(ids.begin(), ids.end(), std::mt19937_64(3));
  for (auto _ : state) {
    for (size_t begin = 0; begin < ids.size(); begin += kChunk) {
      const auto n = static_cast<int64_t>(std::min<size_t>(kChunk, ids.size() - begin));
      benchmark::DoNotOptimize(Must(table.Gather(field, ids.data() + begin, n, nullptr)));
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(ids.size()));
}
BENCHMARK(Gather)->DenseRange(0, 5)->Unit(benchmark::kMillisecond);

void Scan(benchmark::State& state) {
  const Table& table = *World::Get().ItemTable();
  for (auto _ : state) {
    for (const Table::Morsel& morsel : table.Morsels(0, table.num_rows())) {
      benchmark::DoNotOptimize(Must(table.Read(morsel, {0, 1, 2, 3, 4, 5})));
    }
  }
  state.SetItemsProcessed(state.iterations() * kItems);
}
BENCHMARK(Scan)->Unit(benchmark::kMillisecond);

/// 1 M orders look up their items: 4.5 matches each.
void FindItems(benchmark::State& state) {
  World& world = World::Get();
  const auto index = Must(world.store_->OpenIndex(world.ItemTable(), "by_order"));
  const std::vector<Column> keys = world.OrderKeys();
  int64_t matches = 0;
  std::vector<int32_t> left;
  std::vector<data::RowId> right;
  for (auto _ : state) {
    for (const Column& key : keys) {
      Must(index->Find({key}, key->length(), &left, &right));
      matches += static_cast<int64_t>(left.size());
    }
  }
  state.SetItemsProcessed(state.iterations() * kOrders);
  state.counters["matches"] =
      benchmark::Counter(static_cast<double>(matches), benchmark::Counter::kIsRate);
}
BENCHMARK(FindItems)->Unit(benchmark::kMillisecond);

/// 4.5 M items look up their order: one match each.
void FindOrders(benchmark::State& state) {
  World& world = World::Get();
  const auto index = Must(world.store_->OpenIndex(world.OrderTable(), "by_id"));
  std::vector<int32_t> left;
  std::vector<data::RowId> right;
  for (auto _ : state) {
    for (const TableWriter::Batch& batch : world.items()) {
      Must(index->Find({batch.columns[0]}, batch.num_rows, &left, &right));
    }
  }
  state.SetItemsProcessed(state.iterations() * kItems);
}
BENCHMARK(FindOrders)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace capi::store
