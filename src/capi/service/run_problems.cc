#include "capi/service/run_problems.h"

#include <algorithm>
#include <map>

#include "capi/base/time_units.h"

namespace capi::service {

namespace {

/// A run that stands still for this long deserves a word.
constexpr int64_t kPatienceNanos = 15000 * kNanosPerMilli;
constexpr int64_t kLookNanos = 5000 * kNanosPerMilli;

/// Grows with everything that happens in the state.
int64_t ProgressOf(const workflow::RunSnapshot& snapshot) {
  int64_t progress = 0;
  for (const workflow::NodeSnapshot& node : snapshot.nodes) {
    progress += node.batches_done + static_cast<int64_t>(node.phase);
  }
  return progress;
}

bool HasBegun(const workflow::RunSnapshot& snapshot) {
  return std::any_of(
      snapshot.nodes.begin(), snapshot.nodes.end(),
      [](const workflow::NodeSnapshot& node) { return node.status != state::NodeStatus::kNone; });
}

}  // namespace

std::vector<std::string> ProblemsOf(const std::vector<state::OwnerRecord>& owners, int64_t run_id) {
  std::map<std::string, std::string> instances;  // by reason
  for (const state::OwnerRecord& owner : owners) {
    const auto problem = owner.problems.find(run_id);
    if (problem == owner.problems.end()) continue;
    std::string& names = instances[problem->second];
    names += (names.empty() ? "" : ", ") + owner.instance;
  }
  std::vector<std::string> problems;
  for (const auto& [reason, names] : instances) {
    problems.push_back(reason + " (" + names + ")");
  }
  return problems;
}

std::string StandstillReason(const std::vector<state::OwnerRecord>& owners,
                             const workflow::RunSnapshot& snapshot) {
  const auto stuck =
      std::count_if(owners.begin(), owners.end(), [&snapshot](const state::OwnerRecord& owner) {
        return owner.problems.count(snapshot.run_id) > 0;
      });
  if (stuck == 0) {
    // Begun and no problem: batches that take long.
    if (HasBegun(snapshot)) return "";
    return "no daemon has begun with the run yet; capi daemon executes runs";
  }
  std::string text = stuck == static_cast<int64_t>(owners.size())
                         ? std::string("no daemon can go on with the run now")
                         : std::to_string(stuck) + " of " + std::to_string(owners.size()) +
                               " daemons cannot go on with the run now";
  std::string separator = ": ";
  for (const std::string& problem : ProblemsOf(owners, snapshot.run_id)) {
    text += separator + problem;
    separator = "; ";
  }
  return text;
}

Result<std::string> StandstillWatch::Look(const workflow::RunSnapshot& snapshot,
                                          int64_t now_nanos) {
  const int64_t progress = ProgressOf(snapshot);
  if (progress != progress_) {
    progress_ = progress;
    since_nanos_ = now_nanos;
    told_.clear();
  }
  if (now_nanos - since_nanos_ < kPatienceNanos || now_nanos - looked_nanos_ < kLookNanos) {
    return std::string();
  }
  looked_nanos_ = now_nanos;
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, state_->Owners());
  std::string reason = StandstillReason(owners, snapshot);
  if (reason == told_) return std::string();
  told_ = reason;
  return reason;
}

}  // namespace capi::service
