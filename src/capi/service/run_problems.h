#pragma once

// Why a run on a cluster does not go on, as its daemons tell it with their leases.

#include <cstdint>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/state/state_store.h"
#include "capi/workflow/run_snapshot.h"

namespace capi::service {

/// "reason (host/pid)" of each process that cannot work on the run now; those with the same reason
/// together.
std::vector<std::string> ProblemsOf(const std::vector<state::OwnerRecord>& owners, int64_t run_id);

/// Why a run stands still, for the operator; "" if nothing is known to be wrong.
std::string StandstillReason(const std::vector<state::OwnerRecord>& owners,
                             const workflow::RunSnapshot& snapshot);

/// Looks for the reason when a run that is followed stands still for 15 s. Used by one thread.
class StandstillWatch {
 public:
  /// The state is not owned and outlives the watch. Times are of a monotonic clock.
  StandstillWatch(state::StateStore* state, int64_t now_nanos)
      : state_(state), since_nanos_(now_nanos), looked_nanos_(now_nanos) {}

  /// A reason that was not told yet, or "". Errors of the state.
  Result<std::string> Look(const workflow::RunSnapshot& snapshot, int64_t now_nanos);

 private:
  state::StateStore* const state_;
  int64_t progress_ = 0;
  int64_t since_nanos_;
  int64_t looked_nanos_;
  std::string told_;
};

}  // namespace capi::service
