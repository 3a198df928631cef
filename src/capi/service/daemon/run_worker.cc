#include "capi/service/daemon/run_worker.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/script/loader.h"
#include "capi/service/daemon/timed_fetcher.h"
#include "capi/service/input_patterns.h"
#include "capi/workflow/run_plan.h"

namespace capi::service {

namespace {

/// Pause before an executor is made anew: doubled with each failure.
constexpr int64_t kFirstRetryMillis = 500;
constexpr int64_t kLongestRetryMillis = 15000;

std::string RunName(const RunWorkerSetting& setting) {
  return setting.keyspace_name + " run " + std::to_string(setting.run_id);
}

}  // namespace

RunWorker::RunWorker(RunWorkerSetting setting)
    : setting_(std::move(setting)),
      inbox_(setting_.parts->env(), setting_.settle),
      thread_([this] { Work(); }) {}

RunWorker::~RunWorker() {
  Cancel(CancelledError("the daemon ends"));
  thread_.join();
}

void RunWorker::Deliver(const queue::Delivery& delivery) {
  {
    const std::lock_guard lock(mutex_);
    if (!done_) {
      // A message without batches only tells that the run has begun.
      if (delivery.message.node_index < 0) {
        setting_.settle(delivery.tag, queue::Verdict::kDone);
        return;
      }
      inbox_.Deliver(delivery);
      if (executor_ != nullptr) executor_->Wake();
      return;
    }
  }
  setting_.settle(delivery.tag, queue::Verdict::kDone);
}

void RunWorker::TakeBack(const queue::BatchMessage& message) {
  queue::Message own;
  own.run_id = message.run_id;
  own.node_index = message.node_index;
  own.begin = message.begin;
  own.end = message.end;
  const Status status = inbox_.Enqueue(own, 0);
  if (!status.ok()) LogWarn(Describe(status));
  const std::lock_guard lock(mutex_);
  if (executor_ != nullptr) executor_->Wake();
}

void RunWorker::Drain(const Status& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (drain_.ok()) drain_ = reason;
    if (executor_ != nullptr) executor_->Drain(reason);
  }
  wakeup_.notify_all();
}

void RunWorker::Cancel(const Status& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (cancel_.ok()) cancel_ = reason;
    if (executor_ != nullptr) executor_->Cancel(reason);
  }
  wakeup_.notify_all();
}

bool RunWorker::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

int64_t RunWorker::batches_in_hand() const {
  const std::lock_guard lock(mutex_);
  return executor_ != nullptr ? executor_->BatchesInHand() : 0;
}

workflow::RunSnapshot RunWorker::Snapshot() const {
  const std::lock_guard lock(mutex_);
  workflow::RunSnapshot snapshot;
  if (executor_ != nullptr) snapshot = executor_->Snapshot();
  snapshot.run_id = setting_.run_id;
  return snapshot;
}

Status RunWorker::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void RunWorker::Tell(const Status& problem) {
  const std::lock_guard lock(mutex_);
  if (!problem.ok() && problem.message() != problem_.message()) {
    LogWarn(RunName(setting_) + " cannot go on here now: " + Describe(problem));
  }
  problem_ = problem;
  setting_.keyspace->lease()->Tell(setting_.run_id, Describe(problem));
}

Result<std::shared_ptr<const script::Script>> RunWorker::LoadScriptOf(
    const state::RunRecord& run) const {
  TimedFetcher fetcher(setting_.parts->files(), setting_.counters);
  script::LoadResult loaded = script::LoadScript(workflow::LoadOptionsOf(run), &fetcher);
  if (loaded.script == nullptr) return loaded.errors.front();
  // Batches of one run must all be executed by the same script.
  if (loaded.script->script_hash != run.script_hash ||
      loaded.script->parameters_hash != run.parameters_hash) {
    return UserError(
        "script_changed",
        "script or parameters are not what the run was started with: " + run.script_url);
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes,
                        setting_.keyspace->state()->Nodes(run.run_id));
  return WithRecordedUrls(loaded.script, nodes);
}

workflow::ExecutorEnvironment RunWorker::Environment() {
  workflow::ExecutorEnvironment environment =
      setting_.parts->EnvironmentFor(setting_.keyspace, setting_.keyspace->lease()->owner());
  environment.queue = &inbox_;
  environment.counters = setting_.counters;
  if (setting_.gives_up) environment.wait_for_other_runs = false;
  if (setting_.outbox == nullptr) {
    // Nobody tells about batches that another process began with and left.
    environment.idle_claim_ms = 0;
    environment.offer = [this](const std::vector<queue::Message>& messages) -> Status {
      for (const queue::Message& message : messages) {
        CAPI_RETURN_NOT_OK(inbox_.Enqueue(message, 0));
      }
      return Status::OK();
    };
    return environment;
  }
  environment.offer = [this](const std::vector<queue::Message>& messages) {
    std::vector<queue::BatchMessage> offered;
    offered.reserve(messages.size());
    for (const queue::Message& message : messages) {
      offered.push_back(
          {setting_.keyspace_name, message.run_id, message.node_index, message.begin, message.end});
    }
    setting_.outbox->Add(std::move(offered));
    return Status::OK();
  };
  return environment;
}

Result<bool> RunWorker::ExecuteOnce() {
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run,
                        setting_.keyspace->state()->FindRun(setting_.run_id));
  if (!run || run->status != state::RunStatus::kStart) return true;
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<const script::Script> script, LoadScriptOf(*run));
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<workflow::RunExecutor> made,
                        workflow::RunExecutor::Make(Environment(), std::move(script), *run));
  workflow::RunExecutor* executor = made.get();
  {
    const std::lock_guard lock(mutex_);
    executor_ = std::move(made);
    problem_ = Status::OK();
    setting_.keyspace->lease()->Tell(setting_.run_id, "");
    if (!drain_.ok()) executor_->Drain(drain_);
    if (!cancel_.ok()) executor_->Cancel(cancel_);
  }
  const Status status = executor->Run();
  {
    const std::lock_guard lock(mutex_);
    made = std::move(executor_);
  }
  CAPI_RETURN_NOT_OK(status);
  return true;
}

void RunWorker::Work() {
  bool ended = false;
  int64_t pause_ms = kFirstRetryMillis;
  while (true) {
    const auto began = setting_.parts->env()->MonotonicNanos();
    const Result<bool> result = ExecuteOnce();
    ended = result.ok() && *result;
    if (ended) break;
    if (setting_.parts->env()->MonotonicNanos() - began > kLongestRetryMillis * kNanosPerMilli) {
      pause_ms = kFirstRetryMillis;  // it went well for a while
    }
    std::unique_lock lock(mutex_);
    const auto given_up = [this] { return !drain_.ok() || !cancel_.ok(); };
    if (given_up()) break;
    if (setting_.gives_up && KindOf(result.status()) != ErrorKind::kRetriable) {
      problem_ = result.status();
      break;
    }
    lock.unlock();
    Tell(result.status());
    lock.lock();
    if (wakeup_.wait_for(lock, std::chrono::milliseconds(pause_ms), given_up)) break;
    pause_ms = std::min(pause_ms * 2, kLongestRetryMillis);
  }
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  setting_.keyspace->lease()->Tell(setting_.run_id, "");
  inbox_.SettleAll(ended ? queue::Verdict::kDone : queue::Verdict::kAgain);
  setting_.on_done();
}

}  // namespace capi::service
