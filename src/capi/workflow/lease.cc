#include "capi/workflow/lease.h"

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/workflow/keyspace_lock.h"

namespace capi::workflow {

namespace {

/// Renewals within one lease time, so that a slow one does not cost the lease.
constexpr int64_t kRenewalsPerLease = 3;
/// All processes of a keyspace read it again and again.
constexpr size_t kLongestProblem = 1000;

}  // namespace

Result<std::unique_ptr<LeaseKeeper>> LeaseKeeper::Start(Env* env, state::StateStore* state,
                                                        int64_t lease_ms,
                                                        std::function<void(const Status&)> on_lost,
                                                        ExecutionCounters* counters) {
  state::OwnerRecord owner;
  // Positive, because 0 means nobody.
  owner.owner = static_cast<int64_t>(env->Random() >> 1) | 1;
  owner.instance = ProcessInstance();
  CAPI_RETURN_NOT_OK(state->RegisterOwner(owner));
  std::unique_ptr<LeaseKeeper> keeper(new LeaseKeeper(
      state, owner.owner, lease_ms / kRenewalsPerLease, std::move(on_lost), counters));
  keeper->thread_ = std::thread([raw = keeper.get()] { raw->Renew(); });
  return keeper;
}

LeaseKeeper::LeaseKeeper(state::StateStore* state, state::OwnerId owner, int64_t interval_ms,
                         std::function<void(const Status&)> on_lost, ExecutionCounters* counters)
    : state_(state),
      owner_(owner),
      interval_ms_(interval_ms),
      on_lost_(std::move(on_lost)),
      counters_(counters) {}

LeaseKeeper::~LeaseKeeper() { StopThread(); }

void LeaseKeeper::StopThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wakeup_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::Tell(int64_t run_id, const std::string& problem) {
  const std::lock_guard lock(mutex_);
  if (problem.empty()) {
    problems_.erase(run_id);
  } else {
    problems_[run_id] = problem.substr(0, kLongestProblem);
  }
}

void LeaseKeeper::Renew() {
  std::unique_lock lock(mutex_);
  while (true) {
    wakeup_.wait_for(lock, std::chrono::milliseconds(interval_ms_), [this] { return stop_; });
    if (stop_) return;
    const std::map<int64_t, std::string> problems = problems_;
    lock.unlock();
    const Result<bool> renewed = state_->RenewOwner(owner_, problems);
    if (!renewed.ok() && KindOf(renewed.status()) == ErrorKind::kRetriable) {
      // Nobody decides anything about this owner while the state is out of reach for all; one who
      // did meanwhile is found out by the next renewal.
      LogWarn("cannot renew the lease now: " + Describe(renewed.status()));
      lock.lock();
      continue;
    }
    if (!renewed.ok()) {
      on_lost_(renewed.status());
      return;
    }
    if (!*renewed) {
      on_lost_(CancelledError("another process took over the work of this one"));
      return;
    }
    if (counters_ != nullptr) counters_->lease_renewals.fetch_add(1);
    lock.lock();
  }
}

Status LeaseKeeper::Close() {
  StopThread();
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, state_->Owners());
  for (const state::OwnerRecord& owner : owners) {
    if (owner.owner == owner_) {
      return state_->ExpireOwner(owner_, owner.renewals).status();
    }
  }
  return Status::OK();
}

Result<int64_t> LeaseWatcher::Observe() {
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, state_->Owners());
  const int64_t now = env_->MonotonicNanos();
  std::map<state::OwnerId, Seen> seen;
  int64_t freed = 0;
  for (const state::OwnerRecord& owner : owners) {
    if (owner.owner == self_) continue;
    const auto before = seen_.find(owner.owner);
    if (before == seen_.end() || before->second.renewals != owner.renewals) {
      seen[owner.owner] = {owner.renewals, now};
      continue;
    }
    if (now - before->second.since_nanos < lease_ms_ * kNanosPerMilli) {
      seen[owner.owner] = before->second;
      continue;
    }
    CAPI_ASSIGN_OR_RETURN(const std::optional<std::vector<state::BatchRecord>> lost,
                          state_->ExpireOwner(owner.owner, owner.renewals));
    if (lost) freed += static_cast<int64_t>(lost->size());
  }
  seen_ = std::move(seen);
  return freed;
}

}  // namespace capi::workflow
