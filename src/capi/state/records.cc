#include "capi/state/records.h"

namespace capi::state {

std::string_view RunStatusName(RunStatus status) {
  switch (status) {
    case RunStatus::kNone:
      return "none";
    case RunStatus::kStart:
      return "start";
    case RunStatus::kComplete:
      return "complete";
    case RunStatus::kStop:
      return "stop";
  }
  return "unknown";
}

std::string_view NodeStatusName(NodeStatus status) {
  switch (status) {
    case NodeStatus::kNone:
      return "none";
    case NodeStatus::kStart:
      return "start";
    case NodeStatus::kSuccess:
      return "success";
    case NodeStatus::kFail:
      return "fail";
    case NodeStatus::kStopReceived:
      return "stopreceived";
  }
  return "unknown";
}

}  // namespace capi::state
