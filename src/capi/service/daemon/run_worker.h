#pragma once

// What a daemon does for one run: an executor that shares it with those of other daemons, made anew
// after failures that may pass.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/status.h"
#include "capi/queue/broker.h"
#include "capi/service/daemon/batch_inbox.h"
#include "capi/service/daemon/batch_outbox.h"
#include "capi/service/engine_parts.h"
#include "capi/service/keyspace.h"
#include "capi/workflow/run_executor.h"

namespace capi::service {

/// Not owned; outlives the worker.
struct RunWorkerSetting {
  EngineParts* parts = nullptr;
  Keyspace* keyspace = nullptr;  ///< opened for sharing
  std::string keyspace_name;
  int64_t run_id = 0;
  workflow::ExecutionCounters* counters = nullptr;
  /// Offers batches to other processes; null: they find them by looking.
  BatchOutbox* outbox = nullptr;
  BatchInbox::Settle settle;
  /// For a command that somebody waits for: the worker is done also after a failure that does not
  /// pass by waiting, other runs that are not finished included.
  bool gives_up = false;
  std::function<void()> on_done;  ///< from the worker's thread
};

/// Thread-safe.
class RunWorker {
 public:
  /// Begins to work in a thread of its own.
  explicit RunWorker(RunWorkerSetting setting);
  ~RunWorker();  ///< cancels

  void Deliver(const queue::Delivery& delivery);
  /// Puts batches into the own queue that could not be offered to others.
  void TakeBack(const queue::BatchMessage& message);
  /// Begins nothing new; done when the batches under way are committed.
  void Drain(const Status& reason);
  /// Gives up what is under way.
  void Cancel(const Status& reason);
  /// The run has ended, or the worker was drained or cancelled, or gives up (see problem()).
  bool done() const;
  int64_t batches_in_hand() const;
  workflow::RunSnapshot Snapshot() const;
  /// Why the run does not go on here now; OK if it does.
  Status problem() const;

 private:
  void Work();
  /// Executes until the run ends (true), or is drained or cancelled here, or cannot go on.
  Result<bool> ExecuteOnce();
  Result<std::shared_ptr<const script::Script>> LoadScriptOf(const state::RunRecord& run) const;
  workflow::ExecutorEnvironment Environment();
  void Tell(const Status& problem);

  const RunWorkerSetting setting_;
  BatchInbox inbox_;
  mutable std::mutex mutex_;
  std::condition_variable wakeup_;
  std::unique_ptr<workflow::RunExecutor> executor_;
  Status drain_;
  Status cancel_;
  Status problem_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace capi::service
