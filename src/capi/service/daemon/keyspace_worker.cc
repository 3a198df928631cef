#include "capi/service/daemon/keyspace_worker.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "capi/base/log.h"
#include "capi/base/time_units.h"

namespace capi::service {

namespace {

/// Rounds of housekeeping within a lease time.
constexpr int64_t kRoundsPerLease = 3;
/// Pause before the keyspace is tried again after an error: doubled each time.
constexpr int64_t kFirstPauseMillis = 500;
constexpr int64_t kLongestPauseMillis = 10000;

void LogRound(const std::string& keyspace, const workflow::SharedHousekeepingReport& report) {
  if (report.freed_claims + report.files_published + report.files_lost +
          report.temp_files_discarded + report.table_files_removed ==
      0) {
    return;
  }
  LogInfo(keyspace +
          ": put in order after processes that ended: " + std::to_string(report.freed_claims) +
          " claims given back, " + std::to_string(report.files_published) + " files published, " +
          std::to_string(report.files_lost) + " lost, " +
          std::to_string(report.temp_files_discarded) + " temporary files and " +
          std::to_string(report.table_files_removed) + " table files removed");
}

}  // namespace

KeyspaceWorker::KeyspaceWorker(KeyspaceWorkerSetting setting)
    : setting_(std::move(setting)), thread_([this] { Work(); }) {}

KeyspaceWorker::~KeyspaceWorker() {
  Cancel(CancelledError("the daemon ends"));
  thread_.join();
}

void KeyspaceWorker::Deliver(const queue::Delivery& delivery) {
  bool settled = false;
  {
    const std::lock_guard lock(mutex_);
    const auto run = runs_.find(delivery.message.run_id);
    if (run != runs_.end()) {
      run->second->Deliver(delivery);
      return;
    }
    if (done_) {
      settled = true;
    } else {
      pending_.push_back(delivery);
      look_ = true;
    }
  }
  if (settled) setting_.settle(delivery.tag, queue::Verdict::kAgain);
  wakeup_.notify_all();
}

void KeyspaceWorker::TakeBack(const queue::BatchMessage& message) {
  const std::lock_guard lock(mutex_);
  const auto run = runs_.find(message.run_id);
  if (run != runs_.end()) run->second->TakeBack(message);
}

void KeyspaceWorker::Drain(const Status& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (drain_.ok()) drain_ = reason;
    for (const auto& [run_id, run] : runs_) run->Drain(reason);
  }
  wakeup_.notify_all();
}

void KeyspaceWorker::Cancel(const Status& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (cancel_.ok()) cancel_ = reason;
    for (const auto& [run_id, run] : runs_) run->Cancel(reason);
  }
  wakeup_.notify_all();
}

bool KeyspaceWorker::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

Status KeyspaceWorker::result() const {
  const std::lock_guard lock(mutex_);
  return result_;
}

int64_t KeyspaceWorker::batches_in_hand() const {
  const std::lock_guard lock(mutex_);
  int64_t batches = 0;
  for (const auto& [run_id, run] : runs_) batches += run->batches_in_hand();
  return batches;
}

KeyspaceWorkerStatus KeyspaceWorker::status() const {
  const std::lock_guard lock(mutex_);
  KeyspaceWorkerStatus status;
  status.name = setting_.keyspace.name;
  status.problem = problem_;
  for (const auto& [run_id, run] : runs_) {
    status.runs.push_back({run->batches_in_hand(), run->problem(), run->Snapshot()});
  }
  return status;
}

void KeyspaceWorker::SettlePending(queue::Verdict verdict) {
  std::vector<queue::Delivery> pending;
  {
    const std::lock_guard lock(mutex_);
    pending.swap(pending_);
  }
  for (const queue::Delivery& delivery : pending) setting_.settle(delivery.tag, verdict);
}

void KeyspaceWorker::RemoveDoneRuns() {
  std::vector<std::unique_ptr<RunWorker>> done;
  const std::lock_guard lock(mutex_);
  for (auto run = runs_.begin(); run != runs_.end();) {
    if (run->second->done()) {
      if (setting_.only_run != 0) result_ = run->second->problem();
      done.push_back(std::move(run->second));
      run = runs_.erase(run);
    } else {
      ++run;
    }
  }
}

void KeyspaceWorker::EndRuns(const Status& reason) {
  std::map<int64_t, std::unique_ptr<RunWorker>> runs;
  {
    const std::lock_guard lock(mutex_);
    runs.swap(runs_);
  }
  for (const auto& [run_id, run] : runs) run->Cancel(reason);
}

Status KeyspaceWorker::LookForRuns(Keyspace* keyspace) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::RunRecord> runs, keyspace->state()->Runs());
  std::vector<queue::Delivery> superfluous;
  {
    const std::lock_guard lock(mutex_);
    std::set<int64_t> active;
    for (const state::RunRecord& run : runs) {
      if (run.status != state::RunStatus::kStart || !IsWanted(run.run_id)) continue;
      active.insert(run.run_id);
      std::unique_ptr<RunWorker>& worker = runs_[run.run_id];
      if (worker != nullptr) continue;
      RunWorkerSetting setting;
      setting.parts = setting_.parts;
      setting.keyspace = keyspace;
      setting.keyspace_name = setting_.keyspace.name;
      setting.run_id = run.run_id;
      setting.counters = setting_.keyspace.counters;
      setting.outbox = setting_.outbox;
      setting.settle = setting_.settle;
      setting.gives_up = setting_.only_run != 0;
      setting.on_done = [this] {
        const std::lock_guard done_lock(mutex_);
        look_ = true;
        wakeup_.notify_all();
      };
      worker = std::make_unique<RunWorker>(std::move(setting));
    }
    for (const queue::Delivery& delivery : pending_) {
      const auto run = runs_.find(delivery.message.run_id);
      if (run != runs_.end()) {
        run->second->Deliver(delivery);
      } else {
        superfluous.push_back(delivery);
      }
    }
    pending_.clear();
  }
  for (const queue::Delivery& delivery : superfluous) {
    setting_.settle(delivery.tag, queue::Verdict::kDone);
  }
  return Status::OK();
}

Result<KeyspaceWorker::Outcome> KeyspaceWorker::Loop(Keyspace* keyspace) {
  Env* env = setting_.parts->env();
  workflow::SharedHousekeepingOptions options;
  options.env = env;
  options.files = setting_.parts->files();
  options.state = keyspace->state();
  options.tables = keyspace->tables();
  options.self = keyspace->lease()->owner();
  options.lease_ms = setting_.lease_ms;
  workflow::SharedHousekeeping housekeeping(options);
  const int64_t round_nanos = setting_.lease_ms / kRoundsPerLease * kNanosPerMilli;
  int64_t last_round = env->MonotonicNanos() - round_nanos;
  int64_t last_busy = env->MonotonicNanos();
  while (true) {
    const int64_t now = env->MonotonicNanos();
    RemoveDoneRuns();
    {
      const std::lock_guard lock(mutex_);
      if (!lost_.ok()) return Outcome::kLostLease;
      if (!cancel_.ok() || !result_.ok() || (!drain_.ok() && runs_.empty())) return Outcome::kLeft;
      look_ = false;
    }
    if (now - last_round >= round_nanos) {
      CAPI_ASSIGN_OR_RETURN(const workflow::SharedHousekeepingReport report, housekeeping.Round());
      LogRound(setting_.keyspace.name, report);
      last_round = env->MonotonicNanos();
    }
    std::unique_lock lock(mutex_);
    if (drain_.ok()) {
      lock.unlock();
      CAPI_RETURN_NOT_OK(LookForRuns(keyspace));
      lock.lock();
    }
    problem_ = Status::OK();
    if (setting_.only_run != 0 && runs_.empty()) return Outcome::kLeft;  // it has ended
    if (!runs_.empty() || look_) last_busy = env->MonotonicNanos();
    if (env->MonotonicNanos() - last_busy > setting_.idle_ms * kNanosPerMilli) {
      done_ = true;  // from here on nothing is delivered to it any more
      return Outcome::kLeft;
    }
    const int64_t wait_ms = std::min(setting_.discovery_ms, setting_.lease_ms / kRoundsPerLease);
    wakeup_.wait_for(lock, std::chrono::milliseconds(wait_ms),
                     [this] { return look_ || given_up() || !lost_.ok(); });
  }
}

Result<KeyspaceWorker::Outcome> KeyspaceWorker::WorkWithLease() {
  {
    const std::lock_guard lock(mutex_);
    lost_ = Status::OK();
    result_ = Status::OK();
  }
  CAPI_ASSIGN_OR_RETURN(
      const std::unique_ptr<Keyspace> keyspace,
      Keyspace::OpenForSharing(setting_.keyspace, setting_.lease_ms, [this](const Status& reason) {
        const std::lock_guard lock(mutex_);
        lost_ = reason;
        // What is under way cannot be committed.
        for (const auto& [run_id, run] : runs_) {
          run->Cancel(reason);
        }
        wakeup_.notify_all();
      }));
  Result<Outcome> outcome = Loop(keyspace.get());
  EndRuns(outcome.ok() ? CancelledError("the daemon gives up the keyspace") : outcome.status());
  const Status closed = keyspace->lease()->Close();
  if (!closed.ok()) LogWarn("cannot give up the lease: " + Describe(closed));
  return outcome;
}

void KeyspaceWorker::Work() {
  int64_t pause_ms = kFirstPauseMillis;
  while (true) {
    const Result<Outcome> outcome = WorkWithLease();
    if (outcome.ok() && *outcome == Outcome::kLeft) break;
    std::unique_lock lock(mutex_);
    if (given_up()) break;
    if (outcome.ok()) {
      LogWarn(setting_.keyspace.name + ": this process was taken for dead (" + lost_.message() +
              "); it gives up what it did and begins again");
      pause_ms = kFirstPauseMillis;
      continue;
    }
    if (setting_.only_run != 0 && KindOf(outcome.status()) != ErrorKind::kRetriable) {
      result_ = outcome.status();
      break;
    }
    if (InfoOf(outcome.status()).error_class == "unknown_keyspace") break;
    if (outcome.status().message() != problem_.message()) {
      LogWarn(setting_.keyspace.name + ": " + Describe(outcome.status()));
    }
    problem_ = outcome.status();
    wakeup_.wait_for(lock, std::chrono::milliseconds(pause_ms), [this] { return given_up(); });
    if (given_up()) break;
    pause_ms = std::min(pause_ms * 2, kLongestPauseMillis);
  }
  bool was_given_up = false;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    was_given_up = given_up();
    if (was_given_up) result_ = cancel_.ok() ? drain_ : cancel_;
  }
  SettlePending(was_given_up ? queue::Verdict::kAgain : queue::Verdict::kDone);
  if (setting_.on_done != nullptr) setting_.on_done();
}

}  // namespace capi::service
