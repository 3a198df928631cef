#pragma once

// Patterns in the addresses of input files: resolved once, when a run begins, and kept with the
// run.

#include <memory>
#include <vector>

#include "capi/base/status.h"
#include "capi/files/files.h"
#include "capi/script/model.h"
#include "capi/workflow/run_plan.h"

namespace capi::service {

/// Expands the patterns of the nodes that the run affects: plan->nodes[i].urls (left empty where a
/// node has no patterns) and batches_total. Each entry of `urls` is replaced by its files in
/// bytewise order, where it stands; a file that another entry names, too, is left out.
/// kUser "no_match", "too_many_batches" and what Files::Expand says.
Status ExpandPatterns(files::Files* files, const script::Script& script, workflow::RunPlan* plan);

/// The script with the addresses that were recorded for the nodes of a run.
std::shared_ptr<const script::Script> WithRecordedUrls(std::shared_ptr<const script::Script> script,
                                                       const std::vector<state::NodeRecord>& nodes);

}  // namespace capi::service
