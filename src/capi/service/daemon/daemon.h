#pragma once

// A process that executes batches of all runs of a cluster, together with others of its kind
// (architecture 3; spec/broker.md, spec/guarantees.md). What is done is decided by the state of
// each keyspace only; messages of the broker tell sooner what is to be done.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/broker.h"
#include "capi/service/cluster.h"
#include "capi/service/daemon/keyspace_worker.h"
#include "capi/service/engine.h"
#include "capi/store/cache_counters.h"
#include "capi/workflow/execution_counters.h"

namespace capi::service {

struct DaemonOptions {
  EngineOptions engine;
  std::shared_ptr<Cluster> cluster;
  std::unique_ptr<queue::Broker> broker;
  int64_t lease_ms = workflow::kLeaseMillis;
  /// Between looks for runs that no message told about.
  int64_t discovery_ms = 5000;
  /// How long a drained daemon takes: it finishes batches, and gives back in the last quarter (1 to
  /// 3 s) what it has not finished.
  int64_t drain_ms = 30000;
};

struct DaemonStatus {
  bool draining = false;
  /// Batches executed at once.
  int threads = 0;
  /// It has looked for runs at least once.
  bool looked = false;
  int64_t memory_reserved_bytes = 0;
  int64_t memory_limit_bytes = 0;
  int64_t messages_received = 0;
  int64_t messages_published = 0;
  int64_t messages_done = 0;      ///< acknowledged
  int64_t messages_returned = 0;  ///< given back to the broker
  LatencyHistogram::Snapshot python_latencies;
  Status broker;  ///< OK, or why it cannot be reached now
  ClusterCounters cluster;
  std::vector<KeyspaceWorkerStatus> keyspaces;
};

/// Thread-safe, but for Run.
class Daemon {
 public:
  static Result<std::unique_ptr<Daemon>> Make(DaemonOptions options);
  virtual ~Daemon() = default;
  /// Works until it was drained. One thread, once. A kRetriable error if not everything could be
  /// given back because the database did not answer: requests to it are given up then.
  virtual Status Run() = 0;
  /// Takes no new work; what is under way is finished or given back within drain_ms. Not safe in
  /// signal handlers: call it from a thread.
  virtual void Drain(const std::string& reason) = 0;
  virtual DaemonStatus status() const = 0;
  virtual const workflow::ExecutionCounters& counters() const = 0;
  virtual const store::CacheCounters& cache_counters() const = 0;
};

}  // namespace capi::service
