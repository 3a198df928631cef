#include "capi/service/daemon/daemon.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "capi/base/log.h"
#include "capi/service/daemon/batch_outbox.h"
#include "capi/service/engine_parts.h"

namespace capi::service {

namespace {

using Clock = std::chrono::steady_clock;

/// Longest wait for a message, so that a drain is noticed.
constexpr int64_t kReceiveMillis = 500;
constexpr int64_t kBrokerPauseMillis = 1000;
/// Questions to the database within a lease time, so that it is known to be there.
constexpr int64_t kChecksPerLease = 3;
constexpr auto kDrainLook = std::chrono::milliseconds(50);
/// The end of the time to drain is for giving back what was not finished.
constexpr int64_t kDrainPerGivingBack = 4;
constexpr int64_t kShortestGivingBackMillis = 1000;
constexpr int64_t kLongestGivingBackMillis = 3000;

std::chrono::milliseconds TimeToGiveBack(int64_t drain_ms) {
  return std::chrono::milliseconds(std::clamp(drain_ms / kDrainPerGivingBack,
                                              kShortestGivingBackMillis, kLongestGivingBackMillis));
}

class DaemonImpl final : public Daemon {
 public:
  DaemonImpl(DaemonOptions options, std::unique_ptr<EngineParts> parts)
      : options_(std::move(options)),
        parts_(std::move(parts)),
        outbox_(std::make_unique<BatchOutbox>(
            options_.broker.get(),
            [this](const std::vector<queue::BatchMessage>& messages) { TakeBack(messages); })) {}
  ~DaemonImpl() override {
    Drain("the daemon ends");
    if (receiver_.joinable()) receiver_.join();
    if (discoverer_.joinable()) discoverer_.join();
    RemoveWorkers(/*only_done=*/false);
  }

  Status Run() override;
  void Drain(const std::string& reason) override;
  DaemonStatus status() const override;
  const workflow::ExecutionCounters& counters() const override { return counters_; }
  const store::CacheCounters& cache_counters() const override { return *cache_counters_; }

 private:
  void Receive();
  /// Looks for runs, and whether the database is there.
  void Discover();
  /// Whether it could look at all.
  bool LookForRuns();
  Status EndWorkers();
  void TakeBack(const std::vector<queue::BatchMessage>& messages);
  /// The worker of a keyspace, made if there is none. mutex_ is held.
  KeyspaceWorker* WorkerOf(const std::string& keyspace);
  void RemoveWorkers(bool only_done);
  void Settle(uint64_t tag, queue::Verdict verdict);
  bool draining() const {
    const std::lock_guard lock(mutex_);
    return !drain_.ok();
  }

  DaemonOptions options_;
  const std::unique_ptr<EngineParts> parts_;
  workflow::ExecutionCounters counters_;
  const std::shared_ptr<store::CacheCounters> cache_counters_ =
      std::make_shared<store::CacheCounters>();
  std::atomic<int64_t> num_done_{0};
  std::atomic<int64_t> num_returned_{0};
  std::unique_ptr<BatchOutbox> outbox_;
  mutable std::mutex mutex_;
  std::condition_variable wakeup_;
  std::map<std::string, std::unique_ptr<KeyspaceWorker>> workers_;
  Status drain_;
  Status broker_problem_;
  int64_t received_ = 0;
  int64_t published_ = 0;  ///< once there is no outbox any more
  bool looked_ = false;
  std::thread receiver_;
  std::thread discoverer_;
  /// Of keyspaces without a worker, to look for runs: used by the discoverer only.
  std::map<std::string, std::unique_ptr<state::StateStore>> watched_;
};

KeyspaceWorker* DaemonImpl::WorkerOf(const std::string& keyspace) {
  std::unique_ptr<KeyspaceWorker>& worker = workers_[keyspace];
  if (worker == nullptr) {
    KeyspaceWorkerSetting setting;
    setting.parts = parts_.get();
    setting.keyspace.env = parts_->env();
    setting.keyspace.files = parts_->files();
    setting.keyspace.data_directory = options_.engine.data_directory;
    setting.keyspace.cache_limit_bytes = options_.engine.cache_limit_bytes;
    setting.keyspace.name = keyspace;
    setting.keyspace.cluster = options_.cluster;
    setting.outbox = outbox_.get();
    setting.keyspace.counters = &counters_;
    setting.keyspace.cache_counters = cache_counters_;
    setting.settle = [this](uint64_t tag, queue::Verdict verdict) { Settle(tag, verdict); };
    setting.lease_ms = options_.lease_ms;
    setting.discovery_ms = options_.discovery_ms;
    worker = std::make_unique<KeyspaceWorker>(std::move(setting));
  }
  return worker.get();
}

void DaemonImpl::Settle(uint64_t tag, queue::Verdict verdict) {
  (verdict == queue::Verdict::kDone ? num_done_ : num_returned_).fetch_add(1);
  const Status status = options_.broker->Settle(tag, verdict);
  if (!status.ok()) LogDebug("cannot settle a message: " + Describe(status));
}

void DaemonImpl::TakeBack(const std::vector<queue::BatchMessage>& messages) {
  const std::lock_guard lock(mutex_);
  for (const queue::BatchMessage& message : messages) {
    const auto worker = workers_.find(message.keyspace);
    if (worker != workers_.end()) worker->second->TakeBack(message);
  }
}

void DaemonImpl::RemoveWorkers(bool only_done) {
  std::vector<std::unique_ptr<KeyspaceWorker>> removed;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    if (only_done && !worker->second->done()) {
      ++worker;
      continue;
    }
    removed.push_back(std::move(worker->second));
    worker = workers_.erase(worker);
  }
}

void DaemonImpl::Receive() {
  while (!draining()) {
    Result<std::optional<queue::Delivery>> delivery = options_.broker->Receive(kReceiveMillis);
    std::unique_lock lock(mutex_);
    if (!delivery.ok()) {
      if (broker_problem_.ok()) {
        LogWarn("the broker cannot be reached, batches are found by looking: " +
                Describe(delivery.status()));
      }
      broker_problem_ = delivery.status();
      wakeup_.wait_for(lock, std::chrono::milliseconds(kBrokerPauseMillis),
                       [this] { return !drain_.ok(); });
      continue;
    }
    if (!broker_problem_.ok()) LogInfo("the broker can be reached again");
    broker_problem_ = Status::OK();
    if (!delivery->has_value()) continue;
    ++received_;
    const queue::Delivery& message = **delivery;
    if (!drain_.ok()) {
      // Drained while it waited: a worker made now would never be told.
      lock.unlock();
      (void)options_.broker->Settle(message.tag, queue::Verdict::kAgain);
      break;
    }
    if (!CheckKeyspaceName(message.message.keyspace).ok()) {
      LogWarn("a message names no keyspace: " + queue::ToJson(message.message));
      lock.unlock();
      Settle(message.tag, queue::Verdict::kDone);
      continue;
    }
    const auto known = workers_.find(message.message.keyspace);
    if (known != workers_.end() && known->second->done()) {
      lock.unlock();
      RemoveWorkers(/*only_done=*/true);
      lock.lock();
    }
    WorkerOf(message.message.keyspace)->Deliver(message);
  }
  // What was delivered and not taken goes back to the queue with this.
  (void)options_.broker->SetPrefetch(0);
}

bool DaemonImpl::LookForRuns() {
  const Result<std::vector<std::string>> keyspaces = options_.cluster->Keyspaces();
  if (!keyspaces.ok()) {
    if (!draining()) LogWarn("cannot look for runs: " + Describe(keyspaces.status()));
    return false;
  }
  for (auto watched = watched_.begin(); watched != watched_.end();) {
    const bool there = std::binary_search(keyspaces->begin(), keyspaces->end(), watched->first);
    watched = there ? std::next(watched) : watched_.erase(watched);
  }
  for (const std::string& keyspace : *keyspaces) {
    {
      const std::lock_guard lock(mutex_);
      if (workers_.count(keyspace) > 0) continue;
    }
    std::unique_ptr<state::StateStore>& state = watched_[keyspace];
    if (state == nullptr) {
      Result<std::unique_ptr<state::StateStore>> opened =
          options_.cluster->OpenState(keyspace, /*create=*/false);
      if (!opened.ok()) {
        // Being made or dropped, or of the original.
        LogDebug("cannot look for runs in " + keyspace + ": " + Describe(opened.status()));
        continue;
      }
      state = *std::move(opened);
    }
    const Result<std::vector<state::RunRecord>> runs = state->Runs();
    if (!runs.ok()) {
      LogDebug("cannot look for runs in " + keyspace + ": " + Describe(runs.status()));
      watched_.erase(keyspace);
      continue;
    }
    const bool active = std::any_of(runs->begin(), runs->end(), [](const state::RunRecord& run) {
      return run.status == state::RunStatus::kStart;
    });
    if (!active) continue;
    const std::lock_guard lock(mutex_);
    if (drain_.ok()) WorkerOf(keyspace);
  }
  return true;
}

void DaemonImpl::Discover() {
  const std::chrono::milliseconds discovery(options_.discovery_ms);
  const std::chrono::milliseconds check(options_.lease_ms / kChecksPerLease);
  auto next_look = Clock::now();
  while (!draining()) {
    RemoveWorkers(/*only_done=*/true);
    if (Clock::now() >= next_look) {
      const bool looked = LookForRuns();
      next_look = Clock::now() + discovery;
      const std::lock_guard lock(mutex_);
      looked_ = looked_ || looked;
    } else {
      // Its result is found in the counters.
      (void)options_.cluster->Check();
    }
    std::unique_lock lock(mutex_);
    wakeup_.wait_for(lock, std::min(discovery, check), [this] { return !drain_.ok(); });
  }
}

Status DaemonImpl::Run() {
  // As many messages as there are threads that could begin with them.
  const Status prefetch = options_.broker->SetPrefetch(parts_->threads());
  if (!prefetch.ok() && KindOf(prefetch) != ErrorKind::kRetriable) return prefetch;
  receiver_ = std::thread([this] { Receive(); });
  discoverer_ = std::thread([this] { Discover(); });
  {
    std::unique_lock lock(mutex_);
    wakeup_.wait(lock, [this] { return !drain_.ok(); });
  }
  const Status status = EndWorkers();
  // Nothing is left that an answer would matter for; looks may still wait for one.
  options_.cluster->GiveUp();
  discoverer_.join();
  receiver_.join();
  std::unique_ptr<BatchOutbox> outbox;
  {
    const std::lock_guard lock(mutex_);
    published_ = outbox_->num_published();
    outbox = std::move(outbox_);
  }
  return status;
}

Status DaemonImpl::EndWorkers() {
  const auto giving_back = TimeToGiveBack(options_.drain_ms);
  const std::chrono::milliseconds drain(options_.drain_ms);
  const auto begun = Clock::now();
  const auto cancel_at = begun + std::max(drain - giving_back, std::chrono::milliseconds(0));
  const auto give_up_at = cancel_at + giving_back;
  bool cancelled = false;
  bool given_up = false;
  while (true) {
    RemoveWorkers(/*only_done=*/true);
    std::unique_lock lock(mutex_);
    if (workers_.empty()) break;
    if (!cancelled && Clock::now() >= cancel_at) {
      cancelled = true;
      LogWarn("what is under way did not end in time and is given back");
      for (const auto& [name, worker] : workers_) worker->Cancel(drain_);
    }
    if (!given_up && Clock::now() >= give_up_at) {
      given_up = true;
      options_.cluster->GiveUp();
    }
    wakeup_.wait_for(lock, kDrainLook);
  }
  if (!given_up) return Status::OK();
  return RetriableError(
      "Cassandra did not answer in time: what could not be given back is taken over by other "
      "daemons when the lease has run out");
}

void DaemonImpl::Drain(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!drain_.ok()) return;
    drain_ = CancelledError(reason);
    for (const auto& [name, worker] : workers_) worker->Drain(drain_);
  }
  wakeup_.notify_all();
}

DaemonStatus DaemonImpl::status() const {
  const std::lock_guard lock(mutex_);
  DaemonStatus status;
  status.draining = !drain_.ok();
  status.threads = parts_->threads();
  status.looked = looked_;
  status.memory_reserved_bytes = parts_->memory()->reserved_bytes();
  status.memory_limit_bytes = parts_->options().memory_limit;
  status.messages_received = received_;
  status.messages_published = outbox_ != nullptr ? outbox_->num_published() : published_;
  status.messages_done = num_done_.load();
  status.messages_returned = num_returned_.load();
  status.broker = broker_problem_;
  status.python_latencies = parts_->formulas().latencies();
  status.cluster = options_.cluster->counters();
  for (const auto& [name, worker] : workers_) status.keyspaces.push_back(worker->status());
  return status;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::Make(DaemonOptions options) {
  CAPI_RETURN_NOT_OK(CompleteOptions(&options.engine));
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<EngineParts> parts, EngineParts::Make(options.engine));
  return std::unique_ptr<Daemon>(
      std::make_unique<DaemonImpl>(std::move(options), std::move(parts)));
}

}  // namespace capi::service
