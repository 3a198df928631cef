// Publishing a table of items as rows of Cassandra: CAPI_TEST_CASSANDRA=host:port. The argument is
// the number of writes in a request.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "capi/cql/session.h"
#include "capi/store/cassandra/cassandra_row_publisher.h"
#include "capi/store/store_bench_internal.h"

namespace capi::store {
namespace {

constexpr char kKeyspace[] = "capi_rows_bench";
constexpr size_t kChunks = 5;  // of 65536 items; as many index entries

std::unique_ptr<cql::Session> Connect() {
  cql::SessionOptions options;
  options.hosts = {std::getenv("CAPI_TEST_CASSANDRA")};
  options.consistency = "ONE";
  options.timeout_ms = 20000;
  return Must(cql::Session::Connect(options));
}

std::shared_ptr<const Table> MakeItems() {
  World& world = World::Get();
  const TableSchema schema = world.ItemSchema(true);
  auto writer = Must(world.store_->NewWriter(world.context_, {1, "items"}, schema, 0, {}));
  for (size_t chunk = 0; chunk < kChunks; ++chunk) Must(writer->Put(world.items()[chunk]));
  const AttemptManifest attempt = Must(writer->Finish());
  Must(world.store_->MakeDurable({&attempt}));
  const FreezeResult frozen =
      Must(world.store_->FreezeTable(world.context_, {1, "items"}, schema, {attempt.text}));
  return Must(world.store_->OpenTable(frozen.manifest, nullptr));
}

void PublishItems(benchmark::State& state) {
  const std::unique_ptr<cql::Session> session = Connect();
  static const std::shared_ptr<const Table> table = MakeItems();
  const std::string drop = std::string("DROP KEYSPACE IF EXISTS ") + kKeyspace;
  Must(session->ExecuteSchema(drop));
  Must(session->ExecuteSchema(
      std::string("CREATE KEYSPACE ") + kKeyspace +
      " WITH REPLICATION = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"));
  const auto publisher = NewCassandraRowPublisher(session.get(), kKeyspace, state.range(0));
  for (auto _ : state) Must(publisher->Publish(World::Get().context_, *table, ""));
  state.SetItemsProcessed(state.iterations() * 2 * table->num_rows());
  Must(session->ExecuteSchema(drop));
}
BENCHMARK(PublishItems)
    ->Arg(1)
    ->Arg(10)
    ->Arg(30)
    ->Arg(100)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(1)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace capi::store
