// What single operations on the workflow state cost on the server that CAPI_TEST_CASSANDRA
// ("host:port") names, and a node of 100,000 batches from claim to commit.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/state/cassandra/cassandra_store.h"

namespace capi::state {
namespace {

constexpr int64_t kManyBatches = 1000000;

class Store {
 public:
  static Store& Instance() {
    static Store store;
    return store;
  }
  StateStore* operator->() { return store_.get(); }
  OwnerId owner() const { return owner_; }

  int64_t NewRun(int64_t num_nodes, int64_t batches) {
    RunRecord run;
    run.script_url = "script.json";
    std::vector<NodeRecord> nodes(static_cast<size_t>(num_nodes));
    for (NodeRecord& node : nodes) {
      node.name = "node_" + std::to_string(run.affected_nodes.size());
      node.type = "table_table";
      node.batches_total = batches;
      run.affected_nodes.push_back(node.name);
    }
    return store_->CreateRun(run, nodes).ValueOrDie();
  }

  /// Others then need not look at its batches.
  void Stop(int64_t run_id) {
    const Status stopped = store_->StopRun(run_id, "");
    if (!stopped.ok()) stopped.Abort();
  }

 private:
  Store() : owner_(static_cast<OwnerId>(Env::Default()->Random() >> 1)) {
    cql::SessionOptions options;
    const char* const address = std::getenv("CAPI_TEST_CASSANDRA");
    options.hosts = {address == nullptr ? "127.0.0.1:9042" : address};
    options.timeout_ms = 20000;
    session_ = cql::Session::Connect(options).ValueOrDie();
    keyspace_ = "capi_state_bench_" + std::to_string(getpid());
    store_ = OpenCassandraStore(
                 Env::Default(), session_.get(),
                 {keyspace_, "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}", true})
                 .ValueOrDie();
    const Status registered = store_->RegisterOwner({owner_, "bench", 0, {}});
    if (!registered.ok()) registered.Abort();
  }
  ~Store() {
    store_.reset();
    (void)DropCassandraKeyspace(session_.get(), keyspace_);
  }

  const OwnerId owner_;
  std::string keyspace_;
  std::unique_ptr<cql::Session> session_;
  std::unique_ptr<StateStore> store_;
};

std::vector<AttemptEnd> Ends(const NodeId& node, const std::vector<Claim>& claims) {
  std::vector<AttemptEnd> ends;
  for (const Claim& claim : claims) {
    AttemptEnd end;
    end.id = {node, claim.batch_index};
    end.attempt = claim.attempt;
    end.owner = Store::Instance().owner();
    end.manifest = std::string(300, 'm');
    end.counts = R"({"read":1000,"written":1000})";
    ends.push_back(std::move(end));
  }
  return ends;
}

Status Commit(const std::vector<AttemptEnd>& ends) {
  return Store::Instance()->EndAttempts(ends, [](const std::vector<bool>&) { return Changes{}; });
}

void Claims(benchmark::State& state) {
  Store& store = Store::Instance();
  const NodeId node{store.NewRun(1, kManyBatches), 0};
  int64_t next = 0;
  for (auto _ : state) {
    const auto claims = store->ClaimBatches(node, next, next + state.range(0), store.owner());
    if (!claims.ok()) state.SkipWithError(Describe(claims.status()).c_str());
    next += state.range(0);
  }
  store.Stop(node.run_id);
}
BENCHMARK(Claims)->Arg(1)->Arg(64)->Arg(256)->Unit(benchmark::kMillisecond)->UseRealTime();

void Commits(benchmark::State& state) {
  Store& store = Store::Instance();
  const NodeId node{store.NewRun(1, kManyBatches), 0};
  int64_t next = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const auto claims = store->ClaimBatches(node, next, next + state.range(0), store.owner());
    const auto ends = Ends(node, claims.ValueOrDie());
    next += state.range(0);
    state.ResumeTiming();
    const Status status = Commit(ends);
    if (!status.ok()) state.SkipWithError(Describe(status).c_str());
  }
  store.Stop(node.run_id);
}
BENCHMARK(Commits)->Arg(1)->Arg(16)->Arg(64)->Unit(benchmark::kMillisecond)->UseRealTime();

void CreateRunOf20Nodes(benchmark::State& state) {
  Store& store = Store::Instance();
  for (auto _ : state) {
    const int64_t run_id = store.NewRun(20, 100);
    state.PauseTiming();
    store.Stop(run_id);
    state.ResumeTiming();
  }
}
BENCHMARK(CreateRunOf20Nodes)->Unit(benchmark::kMillisecond)->UseRealTime();

void Renew(benchmark::State& state) {
  Store& store = Store::Instance();
  for (auto _ : state) benchmark::DoNotOptimize(store->RenewOwner(store.owner(), {}));
}
BENCHMARK(Renew)->Unit(benchmark::kMillisecond)->UseRealTime();

/// One process: claims of 256, commits of 64, then what readers of the whole node pay.
void NodeOf100000Batches(benchmark::State& state) {
  constexpr int64_t kBatches = 100000;
  constexpr int64_t kClaim = 256;
  constexpr size_t kCommit = 64;
  Store& store = Store::Instance();
  Env* const env = Env::Default();
  const auto seconds = [&](const std::function<void()>& body) {
    const int64_t begin = env->MonotonicNanos();
    body();
    return static_cast<double>(env->MonotonicNanos() - begin) / 1e9;
  };
  for (auto _ : state) {
    const NodeId node{store.NewRun(1, kBatches), 0};
    double claim_s = 0;
    double commit_s = 0;
    for (int64_t begin = 0; begin < kBatches; begin += kClaim) {
      std::vector<AttemptEnd> ends;
      claim_s += seconds([&] {
        ends =
            Ends(node,
                 store->ClaimBatches(node, begin, std::min(begin + kClaim, kBatches), store.owner())
                     .ValueOrDie());
      });
      commit_s += seconds([&] {
        for (size_t i = 0; i < ends.size(); i += kCommit) {
          const auto end = ends.begin() + static_cast<int64_t>(std::min(i + kCommit, ends.size()));
          const Status status = Commit({ends.begin() + static_cast<int64_t>(i), end});
          if (!status.ok()) state.SkipWithError(Describe(status).c_str());
        }
      });
    }
    state.counters["claim_s"] = claim_s;
    state.counters["commit_s"] = commit_s;
    state.counters["batches_s"] = seconds([&] {
      if (store->Batches(node).ValueOrDie().size() != kBatches) state.SkipWithError("batches");
    });
    int64_t last = 0;
    state.counters["events_all_s"] =
        seconds([&] { last = store->EventsAfter(0, int64_t{1} << 40).ValueOrDie().back().number; });
    state.counters["events_new_s"] =
        seconds([&] { benchmark::DoNotOptimize(store->EventsAfter(last, 1000)); });
    state.counters["files_s"] =
        seconds([&] { benchmark::DoNotOptimize(store->Files(std::nullopt, FileState::kPending)); });
    state.counters["live_s"] = seconds([&] { benchmark::DoNotOptimize(store->LiveManifests()); });
    NodeChange end;
    end.id = node;
    end.status = NodeStatus::kSuccess;
    state.counters["end_s"] = seconds([&] { benchmark::DoNotOptimize(store->Apply({{end}, {}})); });
  }
}
BENCHMARK(NodeOf100000Batches)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);

}  // namespace
}  // namespace capi::state
