#pragma once

// Leases (architecture 5): a process shows that it lives by counting up its renewal counter; it is
// given up only by one who saw the counter unchanged for a whole lease time on its own monotonic
// clock. No wall clocks are compared.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/state/state_store.h"
#include "capi/workflow/execution_counters.h"

namespace capi::workflow {

constexpr int64_t kLeaseMillis = 15000;

/// Registers this process as an owner and renews its lease from a thread of its own.
class LeaseKeeper {
 public:
  /// on_lost is called at most once, from the keeper's thread, when somebody expired the owner or
  /// the state cannot be written any more: the process must stop working under this owner. Passing
  /// errors of the state (kRetriable) are waited out. `counters` may be null; outlives the keeper.
  static Result<std::unique_ptr<LeaseKeeper>> Start(Env* env, state::StateStore* state,
                                                    int64_t lease_ms,
                                                    std::function<void(const Status&)> on_lost,
                                                    ExecutionCounters* counters = nullptr);
  ~LeaseKeeper();
  state::OwnerId owner() const { return owner_; }
  /// What keeps this process from working on a run, for those who follow it; "" = nothing any more.
  /// Told with the next renewal.
  void Tell(int64_t run_id, const std::string& problem);
  /// Stops renewing and gives up ownership; claims still held are given back.
  Status Close();

 private:
  LeaseKeeper(state::StateStore* state, state::OwnerId owner, int64_t interval_ms,
              std::function<void(const Status&)> on_lost, ExecutionCounters* counters);
  void Renew();
  void StopThread();

  state::StateStore* state_;
  const state::OwnerId owner_;
  const int64_t interval_ms_;
  const std::function<void(const Status&)> on_lost_;
  ExecutionCounters* const counters_;
  std::mutex mutex_;
  std::condition_variable wakeup_;
  bool stop_ = false;
  std::map<int64_t, std::string> problems_;
  std::thread thread_;
};

/// Watches the other owners. Used by one thread.
class LeaseWatcher {
 public:
  LeaseWatcher(Env* env, state::StateStore* state, state::OwnerId self, int64_t lease_ms)
      : env_(env), state_(state), self_(self), lease_ms_(lease_ms) {}

  /// Looks at all owners; expires those whose counter stood still for a lease time. Returns the
  /// number of claims that became free.
  Result<int64_t> Observe();

 private:
  struct Seen {
    int64_t renewals = 0;
    int64_t since_nanos = 0;
  };
  Env* env_;
  state::StateStore* state_;
  const state::OwnerId self_;
  const int64_t lease_ms_;
  std::map<state::OwnerId, Seen> seen_;
};

}  // namespace capi::workflow
