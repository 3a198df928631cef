// Throughput against the server of CAPI_TEST_CASSANDRA. Arguments: requests in flight.

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#include "capi/cql/session.h"

namespace capi::cql {
namespace {

constexpr int kRows = 200000;
constexpr int kBlobs = 1000;
constexpr size_t kBlobBytes = 256 << 10;
constexpr int kRanges = 8;

void Require(const Status& status) {
  if (status.ok()) return;
  std::cerr << Describe(status) << "\n";
  std::abort();
}

template <typename T>
T Require(Result<T> result) {
  Require(result.status());
  return std::move(*result);
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Bench {
 public:
  explicit Bench(int64_t in_flight) {
    SessionOptions options;
    const char* const address = std::getenv("CAPI_TEST_CASSANDRA");
    options.hosts = {address == nullptr ? "127.0.0.1" : address};
    options.consistency = "ONE";
    options.timeout_ms = 20000;
    options.max_requests_in_flight = in_flight;
    session_ = Require(Session::Connect(options));
    Require(
        session_->ExecuteSchema("CREATE KEYSPACE IF NOT EXISTS cqlbench WITH REPLICATION = "
                                "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"));
    Require(session_->ExecuteSchema(
        "CREATE TABLE IF NOT EXISTS cqlbench.rows (a bigint PRIMARY KEY, b bigint, c bigint, "
        "d double, e double, f text, g text, h boolean, i timestamp, j decimal)"));
    Require(session_->ExecuteSchema(
        "CREATE TABLE IF NOT EXISTS cqlbench.blobs (a bigint PRIMARY KEY, b blob) "
        "WITH compression = {'enabled': false}"));
  }
  Session* session() { return session_.get(); }

 private:
  std::unique_ptr<Session> session_;
};

void Count(benchmark::State& state, int64_t requests, double cpu_before) {
  state.counters["per_second"] =
      benchmark::Counter(static_cast<double>(requests), benchmark::Counter::kIsRate);
  state.counters["client_cpu_us"] =
      (CpuSeconds() - cpu_before) * 1e6 / static_cast<double>(requests);
}

void InsertRows(benchmark::State& state) {
  Bench bench(state.range(0));
  const StatementPtr insert =
      Require(bench.session()->Prepare("INSERT INTO cqlbench.rows (a, b, c, d, e, f, g, h, i, j) "
                                       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                       true));
  const double cpu = CpuSeconds();
  for (auto _ : state) {
    BulkWriter writer(bench.session());
    for (int64_t row = 0; row < kRows; ++row) {
      Values values;
      values.BigInt(row).BigInt(row / 7).BigInt(-row).Double(0.5).Double(1e10).Text("some text");
      values.Text("name " + std::to_string(row))
          .Boolean(true)
          .Timestamp(row)
          .Decimal("\x12\x34", 2);
      Require(writer.Add({insert, std::move(values), {}}));
    }
    Require(writer.Finish());
  }
  Count(state, kRows, cpu);
}
BENCHMARK(InsertRows)->Arg(64)->Arg(256)->Arg(512)->Iterations(1)->UseRealTime();

void ReadRows(benchmark::State& state) {
  Bench bench(512);
  const StatementPtr select = Require(bench.session()->Prepare(
      "SELECT * FROM cqlbench.rows WHERE token(a) > ? AND token(a) <= ?", true));
  const double cpu = CpuSeconds();
  int64_t rows = 0;
  for (auto _ : state) {
    const uint64_t step = (uint64_t{1} << 63) / kRanges * 2;
    for (int range = 0; range < kRanges; ++range) {
      const auto begin = static_cast<int64_t>((uint64_t{1} << 63) + step * range);
      const int64_t end = range + 1 == kRanges
                              ? INT64_MAX
                              : static_cast<int64_t>(static_cast<uint64_t>(begin) + step);
      Require(bench.session()->ExecutePaged({select, Values().BigInt(begin).BigInt(end), {}}, 5000,
                                            [&](const Rows& page) {
                                              rows += page.size();
                                              return Status::OK();
                                            }));
    }
  }
  if (rows != kRows) std::cerr << "rows: " << rows << "\n";
  Count(state, rows, cpu);
}
BENCHMARK(ReadRows)->Iterations(1)->UseRealTime();

void ReadSingleRows(benchmark::State& state) {
  Bench bench(state.range(0));
  const StatementPtr select =
      Require(bench.session()->Prepare("SELECT * FROM cqlbench.rows WHERE a = ?", true));
  const double cpu = CpuSeconds();
  for (auto _ : state) {
    BulkWriter reader(bench.session());
    for (int64_t row = 0; row < kRows / 2; ++row) {
      Require(reader.Add({select, Values().BigInt(row), {}}));
    }
    Require(reader.Finish());
  }
  Count(state, kRows / 2, cpu);
}
BENCHMARK(ReadSingleRows)->Arg(256)->Iterations(1)->UseRealTime();

void WriteBlobs(benchmark::State& state) {
  Bench bench(512);
  const StatementPtr insert =
      Require(bench.session()->Prepare("INSERT INTO cqlbench.blobs (a, b) VALUES (?, ?)", true));
  const std::string blob(kBlobBytes, 'x');
  const double cpu = CpuSeconds();
  for (auto _ : state) {
    BulkWriter writer(bench.session());
    for (int64_t row = 0; row < kBlobs; ++row) {
      Require(writer.Add({insert, Values().BigInt(row).Blob(blob), {}}));
    }
    Require(writer.Finish());
  }
  Count(state, kBlobs, cpu);
  state.SetBytesProcessed(kBlobs * static_cast<int64_t>(kBlobBytes));
}
BENCHMARK(WriteBlobs)->Iterations(1)->UseRealTime();

void ReadBlobs(benchmark::State& state) {
  Bench bench(state.range(0));
  const StatementPtr select =
      Require(bench.session()->Prepare("SELECT b FROM cqlbench.blobs WHERE a = ?", true));
  const double cpu = CpuSeconds();
  for (auto _ : state) {
    BulkWriter reader(bench.session());
    for (int64_t row = 0; row < kBlobs; ++row) {
      Require(reader.Add({select, Values().BigInt(row), {}}));
    }
    Require(reader.Finish());
  }
  Count(state, kBlobs, cpu);
  state.SetBytesProcessed(kBlobs * static_cast<int64_t>(kBlobBytes));
}
BENCHMARK(ReadBlobs)->Arg(8)->Arg(32)->Iterations(1)->UseRealTime();

void ConditionalWrites(benchmark::State& state) {
  Bench bench(64);
  const StatementPtr update = Require(
      bench.session()->Prepare("UPDATE cqlbench.rows SET b = ? WHERE a = ? IF b != ?", false));
  const double cpu = CpuSeconds();
  for (auto _ : state) {
    for (int64_t row = 0; row < 500; ++row) {
      Require(bench.session()
                  ->ExecuteConditional({{update, Values().BigInt(-1).BigInt(row).BigInt(-1), {}}})
                  .status());
    }
  }
  Count(state, 500, cpu);
  Require(bench.session()->ExecuteSchema("DROP KEYSPACE cqlbench"));
}
BENCHMARK(ConditionalWrites)->Iterations(1)->UseRealTime();

}  // namespace
}  // namespace capi::cql
