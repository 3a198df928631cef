#include "capi/workflow/reconcile.h"

#include <utility>
#include <vector>

#include "capi/base/log.h"
#include "capi/workflow/attempt_records.h"

namespace capi::workflow {

using state::FileRecord;
using state::FileState;

Result<ReconcileReport> Reconcile(Env* env, files::Files* files, state::StateStore* state,
                                  store::TableStore* tables, const std::string& spill_directory) {
  ReconcileReport report;
  // What is published and removed here depends on commits that the dead process may not have
  // synced.
  CAPI_RETURN_NOT_OK(state->Sync());

  CAPI_ASSIGN_OR_RETURN(const std::vector<FileRecord> pending,
                        state->Files(std::nullopt, FileState::kPending));
  std::vector<FileRecord> published;
  std::vector<FileRecord> lost;
  state::Changes failures;
  for (const FileRecord& file : pending) {
    const Status status = files->Publish({file.target, file.temp_path}, file.size);
    if (status.ok()) {
      published.push_back(file);
      continue;
    }
    if (InfoOf(status).error_class != "output_lost") return status;
    LogWarn(status.message());
    lost.push_back(file);
    // Only the first file of a node tells.
    if (!failures.nodes.empty() && failures.nodes.back().id == file.id.node) continue;
    state::NodeChange failure;
    failure.id = file.id.node;
    failure.status = state::NodeStatus::kFail;
    failure.error = ToErrorRecord(status);
    failures.nodes.push_back(std::move(failure));
  }
  CAPI_RETURN_NOT_OK(state->MarkPublished(published, {}));
  CAPI_RETURN_NOT_OK(state->MarkLost(lost, failures));
  report.files_published = static_cast<int64_t>(published.size());
  report.files_lost = static_cast<int64_t>(lost.size());

  CAPI_ASSIGN_OR_RETURN(const std::vector<FileRecord> planned,
                        state->Files(std::nullopt, FileState::kPlanned));
  std::vector<FileRecord> discarded;
  for (const FileRecord& file : planned) {
    const Status status = files->Discard({file.target, file.temp_path});
    if (!status.ok() && KindOf(status) == ErrorKind::kRetriable) {
      // Nobody needs it to be gone: the next start tries again.
      LogWarn("cannot remove a temporary file now: " + Describe(status));
      continue;
    }
    CAPI_RETURN_NOT_OK(status);
    discarded.push_back(file);
  }
  CAPI_RETURN_NOT_OK(state->ForgetPlannedFiles(discarded));
  report.temp_files_discarded = static_cast<int64_t>(discarded.size());

  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, state->Owners());
  for (const state::OwnerRecord& owner : owners) {
    CAPI_ASSIGN_OR_RETURN(const std::optional<std::vector<state::BatchRecord>> claims,
                          state->ExpireOwner(owner.owner, owner.renewals));
    if (claims) report.lost_claims += static_cast<int64_t>(claims->size());
  }

  CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> manifests, state->LiveManifests());
  CAPI_ASSIGN_OR_RETURN(report.garbage, tables->CollectGarbage(manifests));
  CAPI_RETURN_NOT_OK(env->RemoveTree(spill_directory));
  CAPI_RETURN_NOT_OK(env->CreateDirectories(spill_directory));
  return report;
}

}  // namespace capi::workflow
