#pragma once

// What a new run will execute: affected nodes, their order and numbers of batches. Pure.

#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/script/loader.h"
#include "capi/script/model.h"
#include "capi/state/records.h"

namespace capi::workflow {

struct RunRequest {
  /// Empty: all nodes without a table reader.
  std::vector<std::string> start_nodes;
  std::string until_node;  ///< "" = all affected nodes
  std::string description;
};

struct RunPlan {
  state::RunRecord run;  ///< without run_id and times
  std::vector<state::NodeRecord> nodes;
};

/// kUser errors: "unknown_node", "no_start_nodes", "until_not_affected", "too_many_batches".
Result<RunPlan> PlanRun(const script::Script& script, const RunRequest& request);

/// What loads the script of a run as it was loaded when the run was started.
script::LoadOptions LoadOptionsOf(const state::RunRecord& run);

/// kUser "too_many_batches": the store cannot number them.
Status CheckNumBatches(const state::NodeRecord& node);

/// True if `run` is unfinished and would do the same as the plan.
bool MayResume(const state::RunRecord& run, const RunPlan& plan);

}  // namespace capi::workflow
