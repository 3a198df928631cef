#pragma once

// What an executor knows of one node of its run.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "capi/exec/context.h"
#include "capi/node/node.h"
#include "capi/script/model.h"
#include "capi/state/records.h"
#include "capi/state/state_store.h"
#include "capi/workflow/run_snapshot.h"

namespace capi::workflow {

/// Guarded by the executor's mutex, except `progress` (atomic) and the runner (own mutex).
class NodeState {
 public:
  NodeState(const script::Node* node, state::NodeRecord record);

  /// Takes over what was committed in earlier processes.
  void Load(const std::vector<state::BatchRecord>& batches);

  /// Notes a batch (or the finish task) whose end was committed.
  void OnEnd(const state::AttemptEnd& end, const node::RowCounts& batch_counts);
  void OnFilesPublished(int64_t num_files) { unpublished_files -= num_files; }
  /// Takes over ends of batches that other processes committed; known ones are skipped.
  void Absorb(const std::vector<state::BatchRecord>& batches);
  /// Takes over what the state says about the node, if it is further than what is known here.
  void Absorb(const state::NodeRecord& stored);
  bool AllCommitted() const { return num_committed_ == record.batches_total; }

  /// The end that follows from what is known, if any; the record takes it over.
  std::optional<state::NodeChange> DeriveEnd();
  /// Takes over an end decided elsewhere (a dependency failed, the run was stopped).
  state::NodeChange EndWith(state::NodeStatus status, state::ErrorRecord error);

  bool ended() const { return state::IsEnd(record.status); }
  /// All batches are committed and the table waits to be frozen.
  bool NeedsFinish() const;
  /// The smallest failed batch. Batches before it still run, so that the error reported is always
  /// that of the first bad row; batches after it are not executed any more.
  std::optional<int64_t> first_failure() const { return first_failure_; }
  bool IsUnwanted(int64_t batch_index) const {
    return ended() || (first_failure_ && batch_index > *first_failure_);
  }
  /// Ranges of batches without an end.
  std::vector<std::pair<int64_t, int64_t>> OpenRanges() const;

  NodeSnapshot Snapshot(int64_t now_nanos) const;

  const script::Node* node;
  state::NodeRecord record;
  bool ready = false;  ///< pinned and queued
  bool finish_queued = false;
  int64_t unpublished_files = 0;
  /// False: files that other processes committed may wait for publication.
  bool others_published = true;
  std::map<int64_t, int> tries;  ///< failed tries of batches that are repeated
  node::RowCounts counts;
  exec::Progress progress;
  int64_t first_claim_nanos = 0;
  int64_t end_nanos = 0;

  std::mutex runner_mutex;
  std::unique_ptr<node::NodeRunner> runner;
  Status runner_error;

 private:
  void MarkEnded(int64_t batch_index);

  std::vector<bool> batch_ended_;
  int64_t num_committed_ = 0;
  int64_t ended_prefix_ = 0;  ///< batches before it have all ended
  std::optional<int64_t> first_failure_;
  state::ErrorRecord first_error_;
  std::optional<state::AttemptEnd> finish_;
};

}  // namespace capi::workflow
