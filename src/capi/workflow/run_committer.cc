// The committer thread: what workers finished becomes durable and visible here, many attempts at a
// time.

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/workflow/attempt_records.h"
#include "capi/workflow/run_executor_internal.h"

namespace capi::workflow {

using state::AttemptEnd;
using state::AttemptRelease;
using state::FileRecord;
using state::NodeStatus;

namespace {

/// How long a commit may wait for others to share its sync.
constexpr int64_t kMaxUnsyncedMillis = 100;

}  // namespace

struct RunExecutorImpl::Group {
  struct End {
    NodeState* node = nullptr;
    AttemptEnd end;
    node::RowCounts counts;
    int64_t nanos = 0;
    std::optional<store::AttemptManifest> manifest;
    std::vector<FileRecord> planned;  ///< temp files of the attempt
  };
  std::vector<End> ends;
  std::vector<AttemptRelease> releases;
  std::vector<std::pair<queue::Message, int64_t>> repetitions;  ///< with delay
  std::vector<FileRecord> discarded;  ///< planned by attempts that give up
};

void RunExecutorImpl::CommitLoop() {
  Env* env = environment_.env;
  const int64_t poll_nanos = environment_.poll_ms * kNanosPerMilli;
  int64_t last_poll = env->MonotonicNanos();
  int64_t unsynced_since = 0;  // 0: everything is durable
  while (true) {
    std::vector<FinishedAttempt> group;
    bool failed = false;
    {
      Lock lock(mutex_);
      const int64_t wait_ms = unsynced_since != 0 ? kMaxUnsyncedMillis : environment_.poll_ms;
      committer_wakeup_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] {
        return shutdown_ || !finished_.empty() || (evaluate_ && fatal_.ok());
      });
      if (shutdown_) break;
      group.swap(finished_);
      failed = !fatal_.ok();
      committing_ = true;
    }
    Status status;
    bool wrote = !group.empty();
    if (!group.empty()) status = CommitGroup(std::move(group));
    bool evaluate = false;
    bool ended = false;
    {
      Lock lock(mutex_);
      evaluate = evaluate_ && !failed;
      if (evaluate) evaluate_ = false;
    }
    if (status.ok() && evaluate) status = EvaluateWaiting();
    if (status.ok() && !failed && env->MonotonicNanos() - last_poll > poll_nanos) {
      last_poll = env->MonotonicNanos();
      status = Poll();
      wrote = true;
    }
    {
      Lock lock(mutex_);
      ended = run_ended_;
    }
    // Dependent nodes may work with what is not durable yet, because whatever they commit comes
    // later in the same order. So syncs wait for company, but not for long.
    const int64_t now = env->MonotonicNanos();
    if ((wrote || evaluate) && unsynced_since == 0) unsynced_since = now;
    if (status.ok() && unsynced_since != 0 &&
        (ended || now - unsynced_since >= kMaxUnsyncedMillis * kNanosPerMilli)) {
      status = environment_.state->Sync();
      unsynced_since = 0;
    }
    if (!status.ok()) Fail(status);
    Lock lock(mutex_);
    committing_ = false;
    dispatcher_wakeup_.notify_all();
  }
  // After a failure the state may be out of reach; then the next start finds out what became
  // durable.
  const Status synced = environment_.state->Sync();
  if (!synced.ok()) LogWarn("cannot sync the workflow state: " + Describe(synced));
}

void RunExecutorImpl::Classify(std::vector<FinishedAttempt> finished, Group* group) {
  Lock lock(mutex_);
  for (FinishedAttempt& attempt : finished) {
    NodeState* node = attempt.batch.node;
    const state::Claim& claim = attempt.batch.claim;
    const state::BatchId id{node->record.id, claim.batch_index};
    const ErrorKind kind = attempt.status.ok() ? ErrorKind::kUser : KindOf(attempt.status);
    const bool unwanted = node->IsUnwanted(claim.batch_index);
    const bool cancelled = !attempt.status.ok() && kind == ErrorKind::kCancelled;
    const bool interrupted = !attempt.status.ok() && kind == ErrorKind::kEnvironment;
    if ((cancelled && !stop_requested_) || interrupted || unwanted) {
      group->releases.push_back(
          {id, claim.attempt, environment_.owner, "cancelled", attempt.status.message()});
      Count(node, claim.batch_index, BatchOutcome::kReleased, attempt.nanos);
      group->discarded.insert(group->discarded.end(), attempt.files.begin(), attempt.files.end());
      continue;
    }
    if (!attempt.status.ok() && kind == ErrorKind::kRetriable &&
        ++node->tries[claim.batch_index] < environment_.max_tries) {
      const int tries = node->tries[claim.batch_index];
      group->releases.push_back(
          {id, claim.attempt, environment_.owner, "retried", Describe(attempt.status)});
      Count(node, claim.batch_index, BatchOutcome::kRetried, attempt.nanos);
      group->discarded.insert(group->discarded.end(), attempt.files.begin(), attempt.files.end());
      group->repetitions.push_back({{run_.run_id, node->record.id.node_index, node->record.depth,
                                     claim.batch_index, claim.batch_index + 1},
                                    environment_.retry_delay_ms << (tries - 1)});
      continue;
    }
    Group::End end;
    end.node = node;
    end.planned = std::move(attempt.files);
    end.end.id = id;
    end.end.attempt = claim.attempt;
    end.end.owner = environment_.owner;
    end.counts = attempt.result.counts;
    end.nanos = attempt.nanos;
    end.end.counts = CountsToJson(end.counts);
    if (attempt.status.ok()) {
      end.end.status = NodeStatus::kSuccess;
      if (claim.batch_index == state::kFinishBatch) {
        end.end.manifest = std::move(attempt.frozen_manifest);
      } else if (attempt.result.table) {
        end.manifest = std::move(attempt.result.table);
        end.end.manifest = end.manifest->text;
      }
      for (const node::FileOutput& output : attempt.result.files) {
        FileRecord file;
        file.id = id;
        file.attempt = claim.attempt;
        file.target = output.plan.target;
        file.temp_path = output.plan.temp_path;
        file.size = output.size;
        file.rows = output.rows;
        end.end.files.push_back(std::move(file));
      }
      if (attempt.result.input) end.end.input = files::ToJson(*attempt.result.input);
    } else {
      end.end.status = cancelled ? NodeStatus::kStopReceived : NodeStatus::kFail;
      end.end.error = ToErrorRecord(attempt.status);
    }
    group->ends.push_back(std::move(end));
  }
}

void RunExecutorImpl::Count(const NodeState* node, int64_t batch_index, BatchOutcome outcome,
                            int64_t nanos) {
  ExecutionCounters* counters = environment_.counters;
  if (counters == nullptr) return;
  if (batch_index == state::kFinishBatch) {
    counters->CountFinish(outcome, nanos);
  } else {
    counters->CountBatch(node->node->type, outcome, nanos);
  }
}

void RunExecutorImpl::CountEnds(const Group& group, const std::vector<bool>& committed) {
  ExecutionCounters* counters = environment_.counters;
  if (counters == nullptr) return;
  for (size_t i = 0; i < group.ends.size(); ++i) {
    const Group::End& end = group.ends[i];
    const NodeStatus status = end.end.status;
    const bool success = committed[i] && status == NodeStatus::kSuccess;
    BatchOutcome outcome = BatchOutcome::kFenced;
    if (committed[i]) {
      outcome = success                               ? BatchOutcome::kSuccess
                : status == NodeStatus::kStopReceived ? BatchOutcome::kStopped
                                                      : BatchOutcome::kFail;
    }
    Count(end.node, end.end.id.batch_index, outcome, end.nanos);
    // Rows of a finish task are those of the batches.
    if (!success || end.end.id.batch_index == state::kFinishBatch) continue;
    counters->rows_read.fetch_add(end.counts.in);
    counters->rows_written.fetch_add(end.counts.out);
    if (end.manifest) counters->table_bytes.fetch_add(end.manifest->bytes);
    for (const FileRecord& file : end.end.files) counters->file_bytes.fetch_add(file.size);
  }
}

Status RunExecutorImpl::MakeDurable(const Group& group) {
  std::vector<const store::AttemptManifest*> manifests;
  for (const Group::End& end : group.ends) {
    if (end.manifest) manifests.push_back(&*end.manifest);
  }
  if (manifests.empty()) return Status::OK();
  // A failed sync tells nothing about which of the files is safe, so none is taken: the batches are
  // repeated when the run goes on.
  CAPI_RETURN_NOT_OK(environment_.tables->MakeDurable(manifests));
  CAPI_FAULT_POINT("workflow.after_make_durable");
  return Status::OK();
}

Status RunExecutorImpl::DiscardFiles(const std::vector<FileRecord>& files) {
  for (const FileRecord& file : files) {
    const Status status = environment_.files->Discard({file.target, file.temp_path});
    // Stays recorded as planned, so the next start tries again.
    if (!status.ok()) LogWarn("cannot remove a temporary file: " + Describe(status));
  }
  return Status::OK();
}

Status RunExecutorImpl::CommitGroup(std::vector<FinishedAttempt> finished) {
  Group group;
  Classify(std::move(finished), &group);
  CAPI_RETURN_NOT_OK(MakeDurable(group));
  for (const Group::End& end : group.ends) {
    if (end.end.status != NodeStatus::kSuccess) CAPI_RETURN_NOT_OK(DiscardFiles(end.planned));
  }
  CAPI_RETURN_NOT_OK(DiscardFiles(group.discarded));

  std::vector<bool> committed;
  if (!group.ends.empty()) {
    std::vector<AttemptEnd> ends;
    ends.reserve(group.ends.size());
    for (const Group::End& end : group.ends) ends.push_back(end.end);
    CAPI_FAULT_POINT("workflow.before_commit");
    CAPI_RETURN_NOT_OK(environment_.state->EndAttempts(ends, [&](const std::vector<bool>& won) {
      Lock lock(mutex_);
      committed = won;
      for (size_t i = 0; i < won.size(); ++i) {
        if (won[i]) group.ends[i].node->OnEnd(group.ends[i].end, group.ends[i].counts);
      }
      // Of a shared run others may know more: see Follow.
      return environment_.shared() ? state::Changes() : DeriveEnds(&lock);
    }));
    CountEnds(group, committed);
    CAPI_FAULT_POINT("workflow.after_commit");
  }
  CAPI_RETURN_NOT_OK(environment_.state->ReleaseAttempts(group.releases));
  CAPI_RETURN_NOT_OK(environment_.state->ForgetPlannedFiles(group.discarded));
  for (const auto& [message, delay_ms] : group.repetitions) {
    CAPI_RETURN_NOT_OK(environment_.queue->Enqueue(message, delay_ms));
  }
  CAPI_RETURN_NOT_OK(PublishFiles(group, committed));
  if (environment_.shared()) CAPI_RETURN_NOT_OK(Follow(NodesLeftBy(group)));
  return AfterEnds();
}

std::set<NodeState*> RunExecutorImpl::NodesLeftBy(const Group& group) const {
  std::set<NodeState*> nodes;
  Lock lock(mutex_);
  for (const Group::End& end : group.ends) {
    if (!HoldsBatchesOf(end.node)) nodes.insert(end.node);
  }
  return nodes;
}

Status RunExecutorImpl::PublishFiles(const Group& group, const std::vector<bool>& committed) {
  std::vector<FileRecord> published;
  std::map<NodeState*, int64_t> per_node;
  for (size_t i = 0; i < group.ends.size(); ++i) {
    const Group::End& end = group.ends[i];
    if (end.end.status != NodeStatus::kSuccess) continue;
    if (!committed[i]) {
      // Fenced: somebody else decides this batch.
      CAPI_RETURN_NOT_OK(DiscardFiles(end.planned));
      CAPI_RETURN_NOT_OK(environment_.state->ForgetPlannedFiles(end.planned));
      continue;
    }
    // A file must not appear before the commit that decided on it is durable.
    if (!end.end.files.empty()) CAPI_RETURN_NOT_OK(environment_.state->Sync());
    for (const FileRecord& file : end.end.files) {
      CAPI_FAULT_POINT("workflow.before_publish");
      CAPI_RETURN_NOT_OK(environment_.files->Publish({file.target, file.temp_path}, file.size));
      CAPI_FAULT_POINT("workflow.after_publish");
      published.push_back(file);
      ++per_node[end.node];
    }
  }
  if (published.empty()) return Status::OK();
  // No sync after this one: should it get lost, the files are found published at the next start.
  state::Changes changes;
  {
    Lock lock(mutex_);
    for (const auto& [node, num_files] : per_node) node->OnFilesPublished(num_files);
    if (!environment_.shared()) changes = DeriveEnds(&lock);
  }
  return environment_.state->MarkPublished(published, changes);
}

state::Changes RunExecutorImpl::DeriveEnds(Lock*) {
  state::Changes changes;
  for (const std::unique_ptr<NodeState>& node : nodes_) {
    std::optional<state::NodeChange> change = node->DeriveEnd();
    if (!change) continue;
    node->end_nanos = environment_.env->MonotonicNanos();
    changes.nodes.push_back(std::move(*change));
    evaluate_ = true;
  }
  if (!run_ended_ && !stop_requested_ && AllEnded()) {
    // The node status map of spec/storage.md 2, in script order.
    nlohmann::ordered_json statuses = nlohmann::ordered_json::object();
    for (const std::unique_ptr<NodeState>& node : nodes_) {
      statuses[node->record.name] = std::string(NodeStatusName(node->record.status));
    }
    changes.completed_runs.push_back(
        {run_.run_id,
         statuses.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)});
  }
  return changes;
}

Status RunExecutorImpl::AfterEnds() {
  std::vector<ClaimedBatch> unwanted;
  std::vector<queue::Message> finish_tasks;
  std::vector<std::pair<int64_t, int64_t>> discard;
  {
    Lock lock(mutex_);
    std::deque<ClaimedBatch> kept;
    for (const ClaimedBatch& batch : claimed_) {
      if (batch.node->IsUnwanted(batch.claim.batch_index)) {
        unwanted.push_back(batch);
      } else {
        kept.push_back(batch);
      }
    }
    if (!unwanted.empty()) claimed_ = std::move(kept);
    for (auto& [key, token] : in_flight_) {
      if (key.first->IsUnwanted(key.second)) {
        token.Cancel(CancelledError("a batch before this one failed"));
      }
    }
    for (const std::unique_ptr<NodeState>& node : nodes_) {
      if (node->first_failure()) {
        discard.emplace_back(node->record.id.node_index, *node->first_failure());
      }
      if (node->ready && node->NeedsFinish() && !node->finish_queued) {
        node->finish_queued = true;
        finish_tasks.push_back({run_.run_id, node->record.id.node_index, node->record.depth,
                                state::kFinishBatch, state::kFinishBatch + 1});
      }
    }
    if (AllEnded()) run_ended_ = true;
    queue_may_have_work_ = true;
  }
  for (const auto& [node_index, begin] : discard) {
    CAPI_RETURN_NOT_OK(environment_.queue->Discard(run_.run_id, node_index, begin));
  }
  CAPI_RETURN_NOT_OK(ReleaseAll(unwanted));
  for (const queue::Message& task : finish_tasks) {
    CAPI_RETURN_NOT_OK(environment_.queue->Enqueue(task, 0));
  }
  Lock lock(mutex_);
  queue_may_have_work_ = true;
  return Status::OK();
}

Result<bool> RunExecutorImpl::NoticeStop() {
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run,
                        environment_.state->FindRun(run_.run_id));
  if (!run) return EnvironmentError("the run was removed while it was executed");
  if (run->status != state::RunStatus::kStop) return false;
  Lock lock(mutex_);
  stop_requested_ = true;
  CancelInFlight(&lock, CancelledError("the run was stopped"));
  return true;
}

Status RunExecutorImpl::Poll() {
  CAPI_ASSIGN_OR_RETURN(const bool stopped, NoticeStop());
  if (stopped) return StopNodes();
  if (environment_.shared()) {
    CAPI_RETURN_NOT_OK(Follow(AllNodes()));
    CAPI_RETURN_NOT_OK(ClaimWithoutMessages());
  }
  // Other runs may have changed.
  return EvaluateWaiting();
}

Status RunExecutorImpl::StopNodes() {
  std::vector<ClaimedBatch> unused;
  state::Changes changes;
  {
    Lock lock(mutex_);
    unused.assign(claimed_.begin(), claimed_.end());
    claimed_.clear();
    // Batches under way end first; the next poll comes back.
    if (!in_flight_.empty() || !finished_.empty()) return Status::OK();
    for (const std::unique_ptr<NodeState>& node : nodes_) {
      if (!node->ended()) {
        changes.nodes.push_back(
            node->EndWith(NodeStatus::kStopReceived, {"cancelled", "", "the run was stopped"}));
      }
    }
  }
  CAPI_RETURN_NOT_OK(environment_.queue->Purge());
  CAPI_RETURN_NOT_OK(ReleaseAll(unused));
  CAPI_RETURN_NOT_OK(environment_.state->Apply(changes));
  Lock lock(mutex_);
  run_ended_ = true;
  return Status::OK();
}

}  // namespace capi::workflow
