// Shared runs: several processes execute batches of the same run, each with an executor of its own.
// The state decides everything; what the others did is learned by reading it. The process that
// commits the last batch of a node always sees that it was the last, because it looks after its
// commit: so nodes end at once, and the periodic look is needed only when a process dies.

#include <algorithm>
#include <utility>

#include "capi/base/time_units.h"
#include "capi/workflow/run_executor_internal.h"

namespace capi::workflow {

using state::NodeStatus;

namespace {}  // namespace

Status RunExecutorImpl::RefreshNodes() {
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> records,
                        environment_.state->Nodes(run_.run_id));
  Lock lock(mutex_);
  for (const state::NodeRecord& record : records) {
    NodeState* node = nodes_[static_cast<size_t>(record.id.node_index)].get();
    const bool ended = node->ended();
    node->Absorb(record);
    if (!ended && node->ended()) {
      node->end_nanos = environment_.env->MonotonicNanos();
      evaluate_ = true;
    }
  }
  return Status::OK();
}

Result<bool> RunExecutorImpl::IsPinned(NodeState* node) {
  {
    Lock lock(mutex_);
    if (node->ready || !environment_.shared()) return true;
  }
  CAPI_RETURN_NOT_OK(RefreshNodes());
  Lock lock(mutex_);
  node->ready = node->record.pins.set && !node->ended();
  return node->ready;
}

bool RunExecutorImpl::HoldsBatchesOf(const NodeState* node) const {
  return std::any_of(claimed_.begin(), claimed_.end(),
                     [node](const ClaimedBatch& batch) { return batch.node == node; }) ||
         std::any_of(in_flight_.begin(), in_flight_.end(),
                     [node](const auto& entry) { return entry.first.first == node; }) ||
         std::any_of(finished_.begin(), finished_.end(),
                     [node](const FinishedAttempt& attempt) { return attempt.batch.node == node; });
}

Status RunExecutorImpl::FollowNode(NodeState* node) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  {
    Lock lock(mutex_);
    ranges = node->OpenRanges();
  }
  if (!ranges.empty()) {
    CAPI_ASSIGN_OR_RETURN(
        const std::vector<state::BatchRecord> batches,
        environment_.state->BatchesIn(node->record.id, ranges.front().first, ranges.back().second));
    Lock lock(mutex_);
    node->Absorb(batches);
  }
  bool finishing = false;
  bool publishing = false;
  {
    Lock lock(mutex_);
    finishing = node->NeedsFinish();
    publishing = node->AllCommitted() && !node->ended() && !node->node->writes_table() &&
                 node->unpublished_files == 0 && !node->others_published;
  }
  if (finishing) {
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> finish,
                          environment_.state->BatchesIn(node->record.id, state::kFinishBatch,
                                                        state::kFinishBatch + 1));
    Lock lock(mutex_);
    node->Absorb(finish);
  }
  if (publishing) {
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::FileRecord> pending,
                          environment_.state->Files(run_.run_id, state::FileState::kPending));
    Lock lock(mutex_);
    node->others_published = std::none_of(
        pending.begin(), pending.end(),
        [node](const state::FileRecord& file) { return file.id.node == node->record.id; });
  }
  return Status::OK();
}

std::set<NodeState*> RunExecutorImpl::AllNodes() const {
  std::set<NodeState*> nodes;
  for (const std::unique_ptr<NodeState>& node : nodes_) nodes.insert(node.get());
  return nodes;
}

Status RunExecutorImpl::Follow(const std::set<NodeState*>& nodes) {
  std::vector<NodeState*> followed;
  {
    Lock lock(mutex_);
    for (NodeState* node : nodes) {
      if (node->ready && !node->ended()) followed.push_back(node);
    }
  }
  for (NodeState* node : followed) CAPI_RETURN_NOT_OK(FollowNode(node));
  state::Changes changes;
  {
    Lock lock(mutex_);
    changes = DeriveEnds(&lock);
  }
  return environment_.state->Apply(changes);
}

Status RunExecutorImpl::ClaimWithoutMessages() {
  const int64_t now = environment_.env->MonotonicNanos();
  std::vector<NodeState*> open;
  {
    Lock lock(mutex_);
    if (!claimed_.empty() || !in_flight_.empty() || !finished_.empty() || !drain_.ok()) {
      idle_since_nanos_ = 0;
      return Status::OK();
    }
    if (idle_since_nanos_ == 0) idle_since_nanos_ = now;
    if (now - idle_since_nanos_ < environment_.idle_claim_ms * kNanosPerMilli) {
      return Status::OK();
    }
    idle_since_nanos_ = 0;
    for (const std::unique_ptr<NodeState>& node : nodes_) {
      if (node->ready && !node->ended()) open.push_back(node.get());
    }
  }
  for (NodeState* node : open) {
    std::vector<std::pair<int64_t, int64_t>> ranges;
    {
      Lock lock(mutex_);
      ranges = node->OpenRanges();
      if (node->NeedsFinish()) ranges.emplace_back(state::kFinishBatch, state::kFinishBatch + 1);
    }
    // Batches that others hold are refused by the claim.
    for (const auto& [begin, end] : ranges) {
      CAPI_RETURN_NOT_OK(environment_.queue->Enqueue(
          {run_.run_id, node->record.id.node_index, node->record.depth, begin, end}, 0));
    }
  }
  Wake();
  return Status::OK();
}

Status RunExecutorImpl::ReleaseLeftovers(const std::vector<state::BatchRecord>& batches) {
  std::vector<state::AttemptRelease> releases;
  for (const state::BatchRecord& batch : batches) {
    if (batch.status != NodeStatus::kStart || batch.owner != environment_.owner) continue;
    releases.push_back({batch.id, batch.attempt, batch.owner, "lost", "the run was interrupted"});
  }
  return environment_.state->ReleaseAttempts(releases);
}

Status RunExecutorImpl::OfferAgain(const std::vector<ClaimedBatch>& batches) {
  std::vector<queue::Message> messages;
  for (const ClaimedBatch& batch : batches) {
    const state::NodeRecord& record = batch.node->record;
    messages.push_back({run_.run_id, record.id.node_index, record.depth, batch.claim.batch_index,
                        batch.claim.batch_index + 1});
  }
  return messages.empty() ? Status::OK() : environment_.offer(messages);
}

}  // namespace capi::workflow
