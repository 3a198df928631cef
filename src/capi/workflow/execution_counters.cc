#include "capi/workflow/execution_counters.h"

namespace capi::workflow {

std::string_view BatchOutcomeName(BatchOutcome outcome) {
  switch (outcome) {
    case BatchOutcome::kSuccess:
      return "success";
    case BatchOutcome::kFail:
      return "fail";
    case BatchOutcome::kStopped:
      return "stopped";
    case BatchOutcome::kRetried:
      return "retried";
    case BatchOutcome::kFenced:
      return "fenced";
    case BatchOutcome::kReleased:
      return "released";
  }
  return "";
}

}  // namespace capi::workflow
