#pragma once

// What a daemon does in one keyspace: holds a lease in it, works on all runs that go on, and keeps
// it in order.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/status.h"
#include "capi/queue/broker.h"
#include "capi/service/daemon/run_worker.h"
#include "capi/service/engine_parts.h"
#include "capi/service/keyspace.h"
#include "capi/workflow/shared_housekeeping.h"

namespace capi::service {

/// Not owned; outlives the worker.
struct KeyspaceWorkerSetting {
  EngineParts* parts = nullptr;
  KeyspaceOptions keyspace;
  BatchOutbox* outbox = nullptr;
  BatchInbox::Settle settle;
  int64_t lease_ms = workflow::kLeaseMillis;
  int64_t discovery_ms = 5000;  ///< between looks for runs that nobody told about
  int64_t idle_ms = 60000;      ///< a keyspace without runs is left after this time
  /// Not 0: works on this run only, without an outbox, and is done when the run has ended, or when
  /// it cannot go on here for a reason that does not pass by waiting.
  int64_t only_run = 0;
  std::function<void()> on_done;  ///< from the worker's thread; null = nobody waits
};

struct KeyspaceWorkerStatus {
  struct Run {
    int64_t batches_in_hand = 0;
    Status problem;
    workflow::RunSnapshot snapshot;
  };
  std::string name;
  std::vector<Run> runs;
  Status problem;  ///< why it cannot work in the keyspace now
};

/// Thread-safe.
class KeyspaceWorker {
 public:
  /// Begins to work in a thread of its own.
  explicit KeyspaceWorker(KeyspaceWorkerSetting setting);
  ~KeyspaceWorker();  ///< cancels

  void Deliver(const queue::Delivery& delivery);
  void TakeBack(const queue::BatchMessage& message);
  void Drain(const Status& reason);
  void Cancel(const Status& reason);
  /// There is nothing to do in the keyspace, or it is gone, or the worker was drained or cancelled.
  bool done() const;
  /// Of one that works on one run only and is done: OK if the run ended; kCancelled, or why it
  /// could not go on.
  Status result() const;
  int64_t batches_in_hand() const;
  KeyspaceWorkerStatus status() const;

 private:
  enum class Outcome : uint8_t { kLeft, kLostLease };

  void Work();
  /// From registering as an owner to giving that up.
  Result<Outcome> WorkWithLease();
  Result<Outcome> Loop(Keyspace* keyspace);
  /// Workers of runs that go on; settles messages of those that do not.
  Status LookForRuns(Keyspace* keyspace);
  void RemoveDoneRuns();
  /// Ends all run workers.
  void EndRuns(const Status& reason);
  void SettlePending(queue::Verdict verdict);
  bool IsWanted(int64_t run_id) const {
    return setting_.only_run == 0 || setting_.only_run == run_id;
  }
  bool given_up() const { return !drain_.ok() || !cancel_.ok(); }

  const KeyspaceWorkerSetting setting_;
  mutable std::mutex mutex_;
  std::condition_variable wakeup_;
  std::map<int64_t, std::unique_ptr<RunWorker>> runs_;
  std::vector<queue::Delivery> pending_;  ///< of runs that have no worker yet
  bool look_ = false;                     ///< somebody told about a run
  Status lost_;
  Status drain_;
  Status cancel_;
  Status problem_;
  Status result_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace capi::service
