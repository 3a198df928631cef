#include <algorithm>
#include <utility>

#include "capi/base/time_units.h"
#include "capi/workflow/attempt_records.h"
#include "capi/workflow/node_state_internal.h"

namespace capi::workflow {

using state::NodeStatus;

NodeState::NodeState(const script::Node* script_node, state::NodeRecord node_record)
    : node(script_node),
      record(std::move(node_record)),
      batch_ended_(static_cast<size_t>(record.batches_total), false) {}

void NodeState::MarkEnded(int64_t batch_index) {
  batch_ended_[static_cast<size_t>(batch_index)] = true;
  while (ended_prefix_ < record.batches_total && batch_ended_[static_cast<size_t>(ended_prefix_)]) {
    ++ended_prefix_;
  }
}

void NodeState::Load(const std::vector<state::BatchRecord>& batches) {
  for (const state::BatchRecord& batch : batches) {
    const int64_t index = batch.id.batch_index;
    if (index < 0 || index >= record.batches_total) continue;
    if (batch.status == NodeStatus::kSuccess) {
      MarkEnded(index);
      ++num_committed_;
      counts += CountsFromJson(batch.counts);
    } else if (batch.status == NodeStatus::kFail) {
      MarkEnded(index);
      if (!first_failure_ || index < *first_failure_) {
        first_failure_ = index;
        first_error_ = batch.error;
      }
    }
  }
  if (!ended()) return;
  counts = CountsFromJson(record.counts);
  if (record.status == NodeStatus::kSuccess) num_committed_ = record.batches_total;
}

void NodeState::OnEnd(const state::AttemptEnd& end, const node::RowCounts& batch_counts) {
  const int64_t index = end.id.batch_index;
  if (index == state::kFinishBatch) {
    finish_ = end;
    if (end.status == NodeStatus::kSuccess) counts = batch_counts;
    return;
  }
  MarkEnded(index);
  if (end.status == NodeStatus::kSuccess) {
    ++num_committed_;
    counts += batch_counts;
    unpublished_files += static_cast<int64_t>(end.files.size());
  } else if (end.status == NodeStatus::kFail && (!first_failure_ || index < *first_failure_)) {
    first_failure_ = index;
    first_error_ = end.error;
  }
}

void NodeState::Absorb(const std::vector<state::BatchRecord>& batches) {
  for (const state::BatchRecord& batch : batches) {
    const int64_t index = batch.id.batch_index;
    if (!state::IsEnd(batch.status)) continue;
    const bool known = index == state::kFinishBatch ? finish_.has_value()
                                                    : batch_ended_[static_cast<size_t>(index)];
    if (known) continue;
    state::AttemptEnd end;
    end.id = batch.id;
    end.attempt = batch.attempt;
    end.owner = batch.owner;
    end.status = batch.status;
    end.manifest = batch.manifest;
    end.counts = batch.counts;
    end.error = batch.error;
    OnEnd(end, CountsFromJson(batch.counts));
  }
}

void NodeState::Absorb(const state::NodeRecord& stored) {
  if (ended()) return;
  // Of a ready node workers read the pins, and they are final.
  if (stored.pins.set && !ready) record.pins = stored.pins;
  if (!state::IsEnd(stored.status)) {
    if (record.status == NodeStatus::kNone) record.status = stored.status;
    return;
  }
  record.status = stored.status;
  record.manifest = stored.manifest;
  record.counts = stored.counts;
  record.error = stored.error;
  record.started_ms = stored.started_ms;
  record.ended_ms = stored.ended_ms;
  counts = CountsFromJson(stored.counts);
  if (stored.status == NodeStatus::kSuccess) num_committed_ = record.batches_total;
}

state::NodeChange NodeState::EndWith(NodeStatus status, state::ErrorRecord error) {
  record.status = status;
  record.error = std::move(error);
  record.counts = CountsToJson(counts);
  state::NodeChange change;
  change.id = record.id;
  change.status = status;
  change.counts = record.counts;
  change.error = record.error;
  if (status == NodeStatus::kSuccess && finish_) {
    record.manifest = finish_->manifest;
    change.manifest = record.manifest;
  }
  return change;
}

std::optional<state::NodeChange> NodeState::DeriveEnd() {
  if (ended()) return std::nullopt;
  if (first_failure_ && ended_prefix_ > *first_failure_) {
    return EndWith(NodeStatus::kFail, first_error_);
  }
  if (finish_) return EndWith(finish_->status, finish_->error);
  if (num_committed_ == record.batches_total && !node->writes_table() && unpublished_files == 0 &&
      others_published) {
    return EndWith(NodeStatus::kSuccess, {});
  }
  return std::nullopt;
}

bool NodeState::NeedsFinish() const {
  return !ended() && node->writes_table() && num_committed_ == record.batches_total && !finish_;
}

std::vector<std::pair<int64_t, int64_t>> NodeState::OpenRanges() const {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  const int64_t end =
      first_failure_ ? std::min(*first_failure_, record.batches_total) : record.batches_total;
  for (int64_t batch = ended_prefix_; batch < end; ++batch) {
    if (batch_ended_[static_cast<size_t>(batch)]) continue;
    if (!ranges.empty() && ranges.back().second == batch) {
      ranges.back().second = batch + 1;
    } else {
      ranges.emplace_back(batch, batch + 1);
    }
  }
  return ranges;
}

NodeSnapshot NodeState::Snapshot(int64_t now_nanos) const {
  NodeSnapshot snapshot;
  snapshot.name = record.name;
  snapshot.type = record.type;
  snapshot.status = record.status;
  snapshot.batches_total = record.batches_total;
  snapshot.batches_done = num_committed_;
  snapshot.rows_in = progress.rows_in.load(std::memory_order_relaxed);
  snapshot.rows_out = progress.rows_out.load(std::memory_order_relaxed);
  snapshot.spilled_bytes = progress.spilled_bytes.load(std::memory_order_relaxed);
  snapshot.counts = counts;
  snapshot.error = record.error;
  if (ended()) {
    snapshot.phase = NodePhase::kEnded;
  } else if (num_committed_ == record.batches_total) {
    snapshot.phase = NodePhase::kFinishing;
  } else if (record.status == NodeStatus::kStart) {
    snapshot.phase = NodePhase::kRunning;
  } else if (ready) {
    snapshot.phase = NodePhase::kReady;
  }
  const int64_t work_total = progress.work_total.load(std::memory_order_relaxed);
  if (ended() || num_committed_ == record.batches_total) {
    snapshot.fraction = 1;
  } else {
    if (record.batches_total > 1) {
      snapshot.fraction =
          static_cast<double>(num_committed_) / static_cast<double>(record.batches_total);
    }
    // Finer than batches, but without the batches that were committed before a resume.
    if (work_total > 0) {
      const int64_t done = progress.work_done.load(std::memory_order_relaxed);
      snapshot.fraction =
          std::max(snapshot.fraction,
                   std::min(1.0, static_cast<double>(done) / static_cast<double>(work_total)));
    }
  }
  if (first_claim_nanos != 0) {
    snapshot.elapsed_ms =
        ((end_nanos != 0 ? end_nanos : now_nanos) - first_claim_nanos) / kNanosPerMilli;
  } else if (record.ended_ms > record.started_ms) {
    snapshot.elapsed_ms = record.ended_ms - record.started_ms;
  }
  return snapshot;
}

}  // namespace capi::workflow
