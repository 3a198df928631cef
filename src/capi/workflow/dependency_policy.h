#pragma once

// Whether a node may read what another one wrote, and from which run (spec/script.md 13,
// spec/engine.md 5). Pure functions over records.

#include <cstdint>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/datetime.h"
#include "capi/script/model.h"
#include "capi/state/records.h"

namespace capi::workflow {

/// What is known of a dependency node in one run that affects it.
struct DependencyRecord {
  int64_t run_id = 0;
  bool run_is_current = false;
  state::RunStatus run_status = state::RunStatus::kNone;
  state::NodeStatus node_status = state::NodeStatus::kNone;
  // Times of old scripts' rules; 0 = has not happened (the zero moment in expressions).
  int64_t run_start_ms = 0;
  int64_t run_completed_ms = 0;
  int64_t run_stopped_ms = 0;
  int64_t node_start_ms = 0;
  int64_t node_status_ms = 0;
};

struct DependencyDecision {
  script::RuleCommand command = script::RuleCommand::kWait;
  int64_t run_id = 0;  ///< run of the record that decided
  int rule = -1;       ///< index of the rule, -1: nothing matched
};

/// Sorts the records by the policy's order (ties: higher run first) and takes the first rule that
/// is true for the first record that matches any. Nothing matches: wait. kUser error
/// "dependency_never_started" without records, or the error of a rule.
Result<DependencyDecision> Decide(const script::DependencyPolicy& policy,
                                  std::vector<DependencyRecord> records, const data::Instant& now);

/// Of two dependencies: nogo if any is nogo, else wait if any is wait, else go.
script::RuleCommand Combine(script::RuleCommand left, script::RuleCommand right);

}  // namespace capi::workflow
