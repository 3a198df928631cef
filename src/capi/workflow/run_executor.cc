#include "capi/workflow/run_executor.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/base/log.h"
#include "capi/workflow/attempt_records.h"
#include "capi/workflow/run_executor_internal.h"

namespace capi::workflow {

namespace {

/// Batches claimed at once and kept in hand: claiming costs one transaction, so many small batches
/// share it.
constexpr int64_t kClaimBatches = 256;
constexpr size_t kClaimedLowWater = 64;

}  // namespace

Result<std::unique_ptr<RunExecutor>> RunExecutor::Make(const ExecutorEnvironment& environment,
                                                       std::shared_ptr<const script::Script> script,
                                                       const state::RunRecord& run) {
  if (environment.state->IsShared() && !environment.shared()) {
    return BugError("other processes work on this state, so batches must be offered to them");
  }
  auto executor = std::make_unique<RunExecutorImpl>(environment, std::move(script), run);
  CAPI_RETURN_NOT_OK(executor->Load());
  return std::unique_ptr<RunExecutor>(std::move(executor));
}

RunExecutorImpl::RunExecutorImpl(ExecutorEnvironment environment,
                                 std::shared_ptr<const script::Script> script, state::RunRecord run)
    : environment_(std::move(environment)), script_(std::move(script)), run_(std::move(run)) {}

RunExecutorImpl::~RunExecutorImpl() {
  if (committer_.joinable()) committer_.join();
}

Status RunExecutorImpl::Load() {
  CAPI_ASSIGN_OR_RETURN(std::vector<state::NodeRecord> records,
                        environment_.state->Nodes(run_.run_id));
  for (state::NodeRecord& record : records) {
    const script::Node* node = script_->FindNode(record.name);
    if (node == nullptr) return BugError("run has a node that its script lacks: " + record.name);
    auto state = std::make_unique<NodeState>(node, std::move(record));
    if (!state->ended()) {
      CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> batches,
                            environment_.state->Batches(state->record.id));
      state->Load(batches);
      if (environment_.shared()) {
        state->others_published = false;
        CAPI_RETURN_NOT_OK(ReleaseLeftovers(batches));
      }
    } else {
      state->Load({});
    }
    nodes_.push_back(std::move(state));
  }
  return Status::OK();
}

bool RunExecutorImpl::AllEnded() const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [](const std::unique_ptr<NodeState>& node) { return node->ended(); });
}

bool RunExecutorImpl::HasOpenNode() const {
  return std::any_of(nodes_.begin(), nodes_.end(), [](const std::unique_ptr<NodeState>& node) {
    return node->ready && !node->ended();
  });
}

RunSnapshot RunExecutorImpl::Snapshot() const {
  RunSnapshot snapshot;
  snapshot.run_id = run_.run_id;
  const int64_t now = environment_.env->MonotonicNanos();
  const std::lock_guard lock(mutex_);
  for (const std::unique_ptr<NodeState>& node : nodes_) {
    snapshot.nodes.push_back(node->Snapshot(now));
  }
  return snapshot;
}

Status RunExecutorImpl::Run() {
  {
    Lock lock(mutex_);
    if (!fatal_.ok()) return fatal_;
    evaluate_ = true;
  }
  committer_ = std::thread([this] { CommitLoop(); });
  const Status dispatched = Dispatch();
  if (!dispatched.ok()) Fail(dispatched);
  {
    Lock lock(mutex_);
    // Batches on the pool refer to this object: all must have come back and been settled.
    dispatcher_wakeup_.wait(
        lock, [this] { return in_flight_.empty() && finished_.empty() && !committing_; });
    shutdown_ = true;
    committer_wakeup_.notify_all();
  }
  committer_.join();
  std::vector<ClaimedBatch> unused;
  Status fatal;
  {
    Lock lock(mutex_);
    unused.assign(claimed_.begin(), claimed_.end());
    claimed_.clear();
    fatal = fatal_;
    // A cancellation that came too late has stopped nothing.
    if (run_ended_ && KindOf(fatal) == ErrorKind::kCancelled) fatal = Status::OK();
  }
  Status released = ReleaseAll(unused);
  if (released.ok() && environment_.shared() && !fatal.ok()) released = OfferAgain(unused);
  CAPI_RETURN_NOT_OK(environment_.queue->Purge());
  CAPI_RETURN_NOT_OK(fatal);
  return released;
}

void RunExecutorImpl::Cancel(const Status& reason) {
  Fail(KindOf(reason) == ErrorKind::kCancelled ? reason : CancelledError(reason.message()));
}

void RunExecutorImpl::Drain(const Status& reason) {
  Lock lock(mutex_);
  if (drain_.ok()) {
    drain_ = KindOf(reason) == ErrorKind::kCancelled ? reason : CancelledError(reason.message());
  }
  dispatcher_wakeup_.notify_all();
}

void RunExecutorImpl::Wake() {
  Lock lock(mutex_);
  queue_may_have_work_ = true;
  dispatcher_wakeup_.notify_all();
}

int64_t RunExecutorImpl::BatchesInHand() const {
  Lock lock(mutex_);
  return static_cast<int64_t>(claimed_.size() + in_flight_.size());
}

size_t RunExecutorImpl::ClaimedLowWater() const {
  // What one process has in hand the others cannot begin.
  return environment_.shared() ? static_cast<size_t>(environment_.pool->num_threads())
                               : kClaimedLowWater;
}

bool RunExecutorImpl::MayClaim() const {
  return queue_may_have_work_ && !stop_requested_ && drain_.ok() &&
         claimed_.size() < ClaimedLowWater();
}

void RunExecutorImpl::Fail(const Status& status) {
  Lock lock(mutex_);
  if (fatal_.ok()) fatal_ = status;
  CancelInFlight(&lock, CancelledError("the run is interrupted: " + status.message()));
  dispatcher_wakeup_.notify_all();
  committer_wakeup_.notify_all();
}

void RunExecutorImpl::CancelInFlight(Lock*, const Status& reason) {
  for (auto& [key, token] : in_flight_) token.Cancel(reason);
}

Status RunExecutorImpl::ReleaseAll(const std::vector<ClaimedBatch>& batches) {
  std::vector<state::AttemptRelease> releases;
  for (const ClaimedBatch& batch : batches) {
    releases.push_back({{batch.node->record.id, batch.claim.batch_index},
                        batch.claim.attempt,
                        environment_.owner,
                        "cancelled",
                        "not begun"});
  }
  if (environment_.counters != nullptr) {
    environment_.counters->not_begun.fetch_add(static_cast<int64_t>(batches.size()));
  }
  return environment_.state->ReleaseAttempts(releases);
}

Status RunExecutorImpl::Dispatch() {
  const auto poll = std::chrono::milliseconds(environment_.poll_ms);
  while (true) {
    {
      Lock lock(mutex_);
      SubmitWhileFree(&lock);
      const auto drained = [this] {
        return !drain_.ok() && in_flight_.empty() && finished_.empty() && !committing_;
      };
      if (!MayClaim()) {
        dispatcher_wakeup_.wait_for(
            lock, poll, [&] { return run_ended_ || !fatal_.ok() || MayClaim() || drained(); });
      }
      if (run_ended_ || !fatal_.ok()) return Status::OK();
      if (drained()) return drain_;
      if (!MayClaim()) {
        // Delayed repetitions become deliverable without anybody telling.
        queue_may_have_work_ = true;
        continue;
      }
    }
    CAPI_ASSIGN_OR_RETURN(const bool taken, ClaimMore());
    Lock lock(mutex_);
    SubmitWhileFree(&lock);
    if (taken) continue;
    const bool idle = claimed_.empty() && in_flight_.empty() && finished_.empty() && !committing_ &&
                      !evaluate_ && !run_ended_ && !queue_may_have_work_;
    // Of a shared run others may hold batches, and messages come from outside.
    if (!idle || (environment_.shared() && (environment_.wait_for_other_runs || HasOpenNode()))) {
      continue;
    }
    CAPI_ASSIGN_OR_RETURN(const std::optional<int64_t> delay, environment_.queue->NextDelay());
    if (delay) {
      dispatcher_wakeup_.wait_for(lock, std::chrono::milliseconds(*delay),
                                  [this] { return !fatal_.ok() || run_ended_; });
      queue_may_have_work_ = true;
    } else if (!waiting_for_.empty() && !stop_requested_) {
      const Status waits = UserError("waits_for_other_run", waiting_for_);
      lock.unlock();
      // Of a stopped run nothing can be claimed, which looks the same.
      CAPI_ASSIGN_OR_RETURN(const bool stopped, NoticeStop());
      if (!stopped) return waits;
    }
  }
}

Result<bool> RunExecutorImpl::ClaimMore() {
  int64_t wanted = kClaimBatches;
  {
    Lock lock(mutex_);
    queue_may_have_work_ = false;
    if (environment_.shared()) wanted = static_cast<int64_t>(ClaimedLowWater() - claimed_.size());
  }
  CAPI_ASSIGN_OR_RETURN(std::optional<queue::Message> message, environment_.queue->Take(wanted));
  if (!message) return false;
  // A message from outside may name anything, and be out of date: nodes are pinned before their
  // batches are offered.
  NodeState* node = message->run_id == run_.run_id ? NodeAt(message->node_index) : nullptr;
  bool usable = node != nullptr;
  if (usable) {
    CAPI_ASSIGN_OR_RETURN(usable, IsPinned(node));
  }
  if (usable) usable = ClampToNode(*node, &*message);
  if (!usable) {
    Lock lock(mutex_);
    queue_may_have_work_ = true;
    return true;
  }
  // A claim of a batch that is not begun would count as interrupted after a crash: such a batch is
  // claimed when a worker is free for it.
  if (node->record.rerun_fails && !HasFreeWorker()) {
    CAPI_RETURN_NOT_OK(environment_.queue->Enqueue(*message, 0));
    return false;
  }
  if (node->record.rerun_fails && message->end - message->begin > 1) {
    queue::Message rest = *message;
    rest.begin = message->begin + 1;
    message->end = rest.begin;
    CAPI_RETURN_NOT_OK(environment_.queue->Enqueue(rest, 0));
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::Claim> claims,
                        environment_.state->ClaimBatches(node->record.id, message->begin,
                                                         message->end, environment_.owner));
  CAPI_FAULT_POINT("workflow.after_claim");
  std::vector<ClaimedBatch> unwanted;
  {
    Lock lock(mutex_);
    queue_may_have_work_ = true;
    if (!claims.empty() && node->record.status == state::NodeStatus::kNone) {
      node->record.status = state::NodeStatus::kStart;
    }
    if (!claims.empty() && node->first_claim_nanos == 0) {
      node->first_claim_nanos = environment_.env->MonotonicNanos();
    }
    for (const state::Claim& claim : claims) {
      if (node->IsUnwanted(claim.batch_index)) {
        unwanted.push_back({node, claim});
      } else {
        claimed_.push_back({node, claim});
      }
    }
  }
  CAPI_RETURN_NOT_OK(ReleaseAll(unwanted));
  return true;
}

NodeState* RunExecutorImpl::NodeAt(int64_t node_index) const {
  const bool known = node_index >= 0 && node_index < static_cast<int64_t>(nodes_.size());
  return known ? nodes_[static_cast<size_t>(node_index)].get() : nullptr;
}

bool RunExecutorImpl::ClampToNode(const NodeState& node, queue::Message* message) const {
  if (message->begin == state::kFinishBatch) {
    message->end = state::kFinishBatch + 1;
    Lock lock(mutex_);
    return node.NeedsFinish();
  }
  message->end = std::min(message->end, node.record.batches_total);
  return message->begin >= 0 && message->begin < message->end;
}

bool RunExecutorImpl::HasFreeWorker() {
  Lock lock(mutex_);
  return claimed_.size() + in_flight_.size() <
         static_cast<size_t>(environment_.pool->num_threads());
}

void RunExecutorImpl::SubmitWhileFree(Lock*) {
  const auto limit = static_cast<size_t>(environment_.pool->num_threads());
  while (!claimed_.empty() && in_flight_.size() < limit && fatal_.ok() && !stop_requested_ &&
         drain_.ok()) {
    const ClaimedBatch batch = claimed_.front();
    claimed_.pop_front();
    const exec::CancelToken cancel;
    in_flight_.emplace(std::pair(batch.node, batch.claim.batch_index), cancel);
    environment_.pool->Submit(exec::Priority::kBatch,
                              [this, batch, cancel] { Execute(batch, cancel); });
  }
}

void RunExecutorImpl::Execute(const ClaimedBatch& batch, const exec::CancelToken& cancel) {
  FinishedAttempt finished;
  finished.batch = batch;
  ExecutionCounters* counters = environment_.counters;
  const int64_t begun = counters != nullptr ? environment_.env->MonotonicNanos() : 0;
  if (counters != nullptr) counters->executing.fetch_add(1);
  try {
    finished.status = batch.claim.batch_index == state::kFinishBatch
                          ? ExecuteFinish(batch, cancel, &finished)
                          : ExecuteBatch(batch, cancel, &finished);
  } catch (const std::bad_alloc&) {
    finished.status = EnvironmentError("out of memory in node " + batch.node->record.name);
  } catch (const std::exception& exception) {
    finished.status =
        BugError("exception in node " + batch.node->record.name + ": " + exception.what());
  }
  if (counters != nullptr) {
    counters->executing.fetch_sub(1);
    finished.nanos = environment_.env->MonotonicNanos() - begun;
  }
  // Not the data's fault: the run ends without an end state, and the same command goes on with it.
  if (!finished.status.ok() && KindOf(finished.status) == ErrorKind::kEnvironment) {
    Fail(finished.status);
  }
  // The last use of *this must be under the lock: Run returns when nothing is in flight any more.
  Lock lock(mutex_);
  finished_.push_back(std::move(finished));
  in_flight_.erase(std::pair(batch.node, batch.claim.batch_index));
  SubmitWhileFree(&lock);
  committer_wakeup_.notify_one();
  if (claimed_.size() < ClaimedLowWater()) dispatcher_wakeup_.notify_one();
}

Status RunExecutorImpl::ExecuteBatch(const ClaimedBatch& batch, const exec::CancelToken& cancel,
                                     FinishedAttempt* finished) {
  CAPI_RETURN_NOT_OK(cancel.Check());
  CAPI_ASSIGN_OR_RETURN(node::NodeRunner * runner, RunnerOf(batch.node));
  exec::Context context;
  context.env = environment_.env;
  context.pool = environment_.pool;
  context.memory = environment_.memory;
  context.cancel = cancel;
  context.spill_directory = environment_.spill_directory;
  context.progress = &batch.node->progress;
  node::BatchTask task;
  task.batch_index = batch.claim.batch_index;
  task.attempt = batch.claim.attempt;
  task.before_create = [&](const files::SinkPlan& plan) -> Status {
    state::FileRecord file;
    file.id = {batch.node->record.id, batch.claim.batch_index};
    file.attempt = batch.claim.attempt;
    file.target = plan.target;
    file.temp_path = plan.temp_path;
    CAPI_RETURN_NOT_OK(environment_.state->PlanFile(file));
    // A plan that got more precise replaces the former one.
    std::erase_if(finished->files,
                  [&file](const state::FileRecord& other) { return other.target == file.target; });
    finished->files.push_back(std::move(file));
    CAPI_FAULT_POINT("workflow.after_plan_file");
    return Status::OK();
  };
  CAPI_ASSIGN_OR_RETURN(finished->result, runner->RunBatch(context, task));
  CAPI_FAULT_POINT("workflow.after_batch");
  return Status::OK();
}

Status RunExecutorImpl::ExecuteFinish(const ClaimedBatch& batch, const exec::CancelToken& cancel,
                                      FinishedAttempt* finished) {
  CAPI_RETURN_NOT_OK(cancel.Check());
  NodeState* node = batch.node;
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> batches,
                        environment_.state->Batches(node->record.id));
  std::vector<std::string> manifests;
  node::RowCounts counts;
  for (const state::BatchRecord& record : batches) {
    if (record.id.batch_index == state::kFinishBatch) continue;
    manifests.push_back(record.manifest);
    counts += CountsFromJson(record.counts);
  }
  if (static_cast<int64_t>(manifests.size()) != node->record.batches_total) {
    return BugError("node finish without all batches: " + node->record.name);
  }
  exec::Context context;
  context.env = environment_.env;
  context.pool = environment_.pool;
  context.memory = environment_.memory;
  context.cancel = cancel;
  context.spill_directory = environment_.spill_directory;
  // Not the node's progress: its rows are counted already.
  const store::TableId id{run_.run_id, node->record.table};
  CAPI_ASSIGN_OR_RETURN(
      store::FreezeResult frozen,
      environment_.tables->FreezeTable(context, id, node::SchemaOf(*node->node), manifests));
  if (environment_.publish != nullptr) {
    const Status published = PublishTable(context, *node, frozen.manifest);
    if (!published.ok()) {
      // Repeated or not, this manifest will not be committed.
      const Status discarded = environment_.tables->Discard(frozen.manifest);
      if (!discarded.ok()) LogWarn("cannot remove a table: " + Describe(discarded));
      return published;
    }
    CAPI_FAULT_POINT("workflow.after_publish_table");
  }
  counts.duplicates += frozen.duplicates;
  counts.out = frozen.rows;
  finished->result.counts = counts;
  finished->frozen_manifest = std::move(frozen.manifest);
  CAPI_FAULT_POINT("workflow.after_freeze");
  return Status::OK();
}

Status RunExecutorImpl::PublishTable(const exec::Context& context, const NodeState& node,
                                     const std::string& manifest) {
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<const store::Table> table,
                        environment_.tables->OpenTable(manifest, [this](const store::TableId& id) {
                          return environment_.catalog->Open(id);
                        }));
  return environment_.publish(context, *node.node, *table);
}

Result<node::NodeRunner*> RunExecutorImpl::RunnerOf(NodeState* node) {
  const std::lock_guard lock(node->runner_mutex);
  if (node->runner != nullptr) return node->runner.get();
  CAPI_RETURN_NOT_OK(node->runner_error);
  const auto make = [&]() -> Result<std::unique_ptr<node::NodeRunner>> {
    node::NodeSetup setup;
    setup.script = script_;
    setup.node = node->node;
    setup.run_id = run_.run_id;
    setup.environment.now = data::Instant::FromMillis(run_.now_ms);
    setup.tables = environment_.tables;
    setup.formulas = environment_.formulas;
    setup.env = environment_.env;
    setup.files = environment_.files;
    setup.strict = run_.strict;
    const state::Pins& pins = node->record.pins;
    if (node->node->table_reader) {
      CAPI_ASSIGN_OR_RETURN(setup.reader, environment_.catalog->Open(
                                              {pins.reader_run, node->node->table_reader->table}));
    }
    if (node->node->lookup) {
      const store::TableId id{pins.lookup_run, node->node->lookup->table};
      CAPI_ASSIGN_OR_RETURN(setup.lookup, environment_.catalog->Open(id));
      CAPI_ASSIGN_OR_RETURN(setup.lookup_index,
                            environment_.catalog->OpenIndex(id, node->node->lookup->index_name));
    }
    CAPI_ASSIGN_OR_RETURN(setup.inputs, FingerprintsFromText(pins.inputs));
    return environment_.make_runner(std::move(setup));
  };
  Result<std::unique_ptr<node::NodeRunner>> runner = make();
  if (!runner.ok()) {
    // Kept so that all batches of the node fail alike, unless it may go better next time.
    if (KindOf(runner.status()) != ErrorKind::kRetriable) node->runner_error = runner.status();
    return runner.status();
  }
  node->runner = std::move(*runner);
  return node->runner.get();
}

}  // namespace capi::workflow
