// Writing and reading back about 1 GB of segments through Cassandra: CAPI_TEST_CASSANDRA=host:port.
// The argument is the size of a piece in KiB.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "capi/cql/session.h"
#include "capi/store/cassandra/cassandra_blob_store.h"
#include "capi/store/store_bench_internal.h"

namespace capi::store {
namespace {

constexpr int64_t kAttempts = 3;  // of all items each, 350 MB
constexpr char kKeyspace[] = "capi_store_bench";

class SharedWorld {
 public:
  SharedWorld() {
    cql::SessionOptions options;
    options.hosts = {std::getenv("CAPI_TEST_CASSANDRA")};
    options.consistency = "ONE";
    options.timeout_ms = 20000;
    session_ = Must(cql::Session::Connect(options));
    Must(session_->ExecuteSchema(std::string("DROP KEYSPACE IF EXISTS ") + kKeyspace));
    Must(session_->ExecuteSchema(
        std::string("CREATE KEYSPACE ") + kKeyspace +
        " WITH REPLICATION = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"));
    Must(CreateBlockTable(session_.get(), kKeyspace));
    directory_ = std::filesystem::temp_directory_path() /
                 ("capi_shared_bench_" + std::to_string(Env::Default()->Random()));
  }
  ~SharedWorld() {
    Must(session_->ExecuteSchema(std::string("DROP KEYSPACE IF EXISTS ") + kKeyspace));
    std::filesystem::remove_all(directory_);
  }
  std::unique_ptr<TableStore> Open(int32_t piece_bytes) {
    SharedStoreOptions options;
    options.env = Env::Default();
    options.owner = static_cast<int64_t>(Env::Default()->Random() | 1);
    options.cache_directory = directory_ + "/" + std::to_string(options.owner);
    options.piece_bytes = piece_bytes;
    return Must(
        TableStore::OpenShared(options, Must(OpenCassandraBlobStore(session_.get(), kKeyspace))));
  }
  cql::Session* session() { return session_.get(); }

 private:
  std::unique_ptr<cql::Session> session_;
  std::string directory_;
};

struct Written {
  std::vector<std::string> manifests;
  int64_t bytes = 0;
};

Written Write(TableStore* store) {
  World& world = World::Get();
  const TableSchema schema = world.ItemSchema(true);
  Written written;
  std::vector<std::string> attempts;
  for (int64_t a = 0; a < kAttempts; ++a) {
    auto writer = Must(store->NewWriter(world.context_, {1, "items"}, schema, a, {}));
    for (const TableWriter::Batch& batch : world.items()) Must(writer->Put(batch));
    const AttemptManifest attempt = Must(writer->Finish());
    Must(store->MakeDurable({&attempt}));
    written.bytes += attempt.bytes;
    written.manifests.push_back(attempt.text);
  }
  return written;
}

/// A table for each attempt, so that nothing is merged.
std::vector<std::shared_ptr<const Table>> OpenTables(TableStore* store, const Written& written,
                                                     std::vector<std::string>* manifests) {
  World& world = World::Get();
  std::vector<std::shared_ptr<const Table>> tables;
  if (manifests->empty()) {
    manifests->push_back(Must(store->FreezeTable(world.context_, {1, "items"},
                                                 world.ItemSchema(true), written.manifests))
                             .manifest);
  }
  for (const std::string& manifest : *manifests) {
    tables.push_back(Must(store->OpenTable(manifest, nullptr)));
  }
  return tables;
}

void SharedWrite(benchmark::State& state) {
  SharedWorld shared;
  World::Get();
  int64_t bytes = 0;
  const int64_t before = shared.session()->counters().bytes_written;
  const auto store = shared.Open(static_cast<int32_t>(state.range(0)) << 10);
  for (auto _ : state) bytes += Write(store.get()).bytes;
  state.SetBytesProcessed(bytes);
  state.counters["ratio"] =
      static_cast<double>(bytes) /
      static_cast<double>(shared.session()->counters().bytes_written - before);
}
BENCHMARK(SharedWrite)
    ->Arg(64)
    ->Arg(256)
    ->Arg(1024)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

/// All columns, by a process that has nothing yet.
void SharedScan(benchmark::State& state) {
  SharedWorld shared;
  const auto piece_bytes = static_cast<int32_t>(state.range(0)) << 10;
  std::vector<std::string> manifests;
  {
    const auto writer = shared.Open(piece_bytes);
    OpenTables(writer.get(), Write(writer.get()), &manifests);
  }
  int64_t bytes = 0;
  for (auto _ : state) {
    const auto store = shared.Open(piece_bytes);
    const auto tables = OpenTables(store.get(), {}, &manifests);
    const int64_t before = shared.session()->counters().bytes_read;
    for (const auto& table : tables) {
      for (const Table::Morsel& morsel : table->Morsels(0, table->num_rows())) {
        const Table::ScanBatch batch = Must(table->Read(morsel, {0, 1, 2, 3, 4, 5}));
        benchmark::DoNotOptimize(batch.num_rows);
      }
    }
    bytes += shared.session()->counters().bytes_read - before;
  }
  state.SetItemsProcessed(state.iterations() * kAttempts * kItems);
  state.SetBytesProcessed(bytes);
}
BENCHMARK(SharedScan)
    ->Arg(64)
    ->Arg(256)
    ->Arg(1024)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace capi::store
