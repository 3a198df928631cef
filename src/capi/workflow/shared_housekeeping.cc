#include "capi/workflow/shared_housekeeping.h"

#include <set>
#include <vector>

#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/workflow/attempt_records.h"

namespace capi::workflow {

using state::FileRecord;
using state::FileState;
using state::NodeStatus;

namespace {

/// What one round knows about the batches that files belong to.
class BatchLookup {
 public:
  explicit BatchLookup(state::StateStore* state) : state_(state) {}
  Result<std::optional<state::BatchRecord>> Find(const state::BatchId& id) {
    const auto known = known_.find(id);
    if (known != known_.end()) return known->second;
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> found,
                          state_->BatchesIn(id.node, id.batch_index, id.batch_index + 1));
    std::optional<state::BatchRecord>& record = known_[id];
    if (!found.empty()) record = found.front();
    return record;
  }

 private:
  state::StateStore* const state_;
  std::map<state::BatchId, std::optional<state::BatchRecord>> known_;
};

}  // namespace

SharedHousekeeping::SharedHousekeeping(const SharedHousekeepingOptions& options)
    : options_(options), leases_(options.env, options.state, options.self, options.lease_ms) {}

Result<SharedHousekeepingReport> SharedHousekeeping::Round() {
  SharedHousekeepingReport report;
  CAPI_RETURN_NOT_OK(options_.state->FinishStarts());
  CAPI_ASSIGN_OR_RETURN(report.freed_claims, leases_.Observe());
  CAPI_RETURN_NOT_OK(PublishPending(&report));
  CAPI_RETURN_NOT_OK(DiscardPlanned(&report));
  const int64_t now = options_.env->MonotonicNanos();
  if (!collected_at_ || report.freed_claims > 0 ||
      now - *collected_at_ > options_.garbage_ms * kNanosPerMilli) {
    collected_at_ = now;
    CAPI_RETURN_NOT_OK(CollectGarbage(&report));
  }
  return report;
}

Status SharedHousekeeping::PublishPending(SharedHousekeepingReport* report) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<FileRecord> pending,
                        options_.state->Files(std::nullopt, FileState::kPending));
  const int64_t now = options_.env->MonotonicNanos();
  std::map<FileKey, int64_t> since;
  std::vector<FileRecord> published;
  std::vector<FileRecord> lost;
  state::Changes failures;
  std::set<state::NodeId> failed;
  for (const FileRecord& file : pending) {
    const FileKey key{file.id, {file.attempt, file.target}};
    const auto known = pending_since_.find(key);
    const int64_t first_seen = known == pending_since_.end() ? now : known->second;
    if (now - first_seen < options_.lease_ms * kNanosPerMilli) {
      since[key] = first_seen;
      continue;
    }
    const Status status = options_.files->Publish({file.target, file.temp_path}, file.size);
    if (status.ok()) {
      published.push_back(file);
      continue;
    }
    LogWarn(Describe(status));
    if (InfoOf(status).error_class != "output_lost") {
      // Its server may be away, or only this machine cannot reach it.
      since[key] = first_seen;
      continue;
    }
    lost.push_back(file);
    if (!failed.insert(file.id.node).second) continue;  // only the first file of a node tells
    state::NodeChange failure;
    failure.id = file.id.node;
    failure.status = NodeStatus::kFail;
    failure.error = ToErrorRecord(status);
    failures.nodes.push_back(std::move(failure));
  }
  pending_since_ = std::move(since);
  CAPI_RETURN_NOT_OK(options_.state->MarkPublished(published, {}));
  CAPI_RETURN_NOT_OK(options_.state->MarkLost(lost, failures));
  report->files_published = static_cast<int64_t>(published.size());
  report->files_lost = static_cast<int64_t>(lost.size());
  return Status::OK();
}

Status SharedHousekeeping::DiscardPlanned(SharedHousekeepingReport* report) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<FileRecord> planned,
                        options_.state->Files(std::nullopt, FileState::kPlanned));
  BatchLookup batches(options_.state);
  std::vector<FileRecord> discarded;
  for (const FileRecord& file : planned) {
    CAPI_ASSIGN_OR_RETURN(const std::optional<state::BatchRecord> batch, batches.Find(file.id));
    // An attempt that is under way, or committed with its files about to be recorded as pending.
    const bool wanted =
        batch && batch->attempt == file.attempt &&
        (batch->status == NodeStatus::kStart || batch->status == NodeStatus::kSuccess);
    if (wanted) continue;
    const Status status = options_.files->Discard({file.target, file.temp_path});
    if (!status.ok()) {
      LogWarn("cannot remove a temporary file now: " + Describe(status));
      continue;
    }
    discarded.push_back(file);
  }
  CAPI_RETURN_NOT_OK(options_.state->ForgetPlannedFiles(discarded));
  report->temp_files_discarded = static_cast<int64_t>(discarded.size());
  return Status::OK();
}

Result<store::TableStore::Live> SharedHousekeeping::FindLive() {
  store::TableStore::Live live;
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, options_.state->Owners());
  for (const state::OwnerRecord& owner : owners) live.owners.insert(owner.owner);
  // One that was given up can commit as long as its claims have not been taken away.
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::RunRecord> runs, options_.state->Runs());
  for (const state::RunRecord& run : runs) {
    if (run.status != state::RunStatus::kStart) continue;
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes,
                          options_.state->Nodes(run.run_id));
    for (const state::NodeRecord& node : nodes) {
      if (node.status != NodeStatus::kStart) continue;
      CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> batches,
                            options_.state->Batches(node.id));
      for (const state::BatchRecord& batch : batches) {
        if (batch.status == NodeStatus::kStart) live.owners.insert(batch.owner);
      }
    }
  }
  CAPI_ASSIGN_OR_RETURN(live.manifests, options_.state->LiveManifests());
  return live;
}

Status SharedHousekeeping::CollectGarbage(SharedHousekeepingReport* report) {
  CAPI_ASSIGN_OR_RETURN(const store::TableStore::Garbage garbage,
                        options_.tables->CollectSharedGarbage([this] { return FindLive(); }));
  report->table_files_removed = garbage.files_removed;
  return Status::OK();
}

}  // namespace capi::workflow
