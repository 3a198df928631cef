#pragma once

// From a script to a run in a keyspace, embedded or on a cluster, and from the state back to a
// summary.

#include <memory>
#include <optional>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/files/files.h"
#include "capi/service/engine.h"
#include "capi/state/state_store.h"
#include "capi/workflow/run_plan.h"

namespace capi::service {

struct PreparedRun {
  std::shared_ptr<const script::Script> script;
  workflow::RunPlan plan;
};

/// Loads the script and plans the run; fills in keyspace, warnings and script_errors of the
/// summary. nullopt: the script has errors.
Result<std::optional<PreparedRun>> PrepareRun(const RunOptions& options, files::Files* files,
                                              RunSummary* summary);

/// The run to resume, as the options say, else a new one. Fills in run_id and resumed of the
/// summary; prepared->script gets the input files of the run.
Result<state::RunRecord> FindOrCreateRun(Env* env, files::Files* files, const RunOptions& options,
                                         state::StateStore* state, PreparedRun* prepared,
                                         RunSummary* summary);

/// Fills in status, inputs and files of the summary from the state.
Status SummarizeRun(state::StateStore* state, RunSummary* summary);

}  // namespace capi::service
