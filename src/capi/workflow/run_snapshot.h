#pragma once

// What a display shows of a run under way.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/node/node.h"
#include "capi/state/records.h"

namespace capi::workflow {

enum class NodePhase : uint8_t {
  kWaiting,    ///< its dependencies have not succeeded yet
  kReady,      ///< may run; no batch has begun
  kRunning,    ///< batches are executed
  kFinishing,  ///< all batches are committed; the table is being frozen or files are being
               ///< published
  kEnded,      ///< see status
};

/// In lower case.
constexpr std::string_view NameOf(NodePhase phase) {
  switch (phase) {
    case NodePhase::kWaiting:
      return "waiting";
    case NodePhase::kReady:
      return "ready";
    case NodePhase::kRunning:
      return "running";
    case NodePhase::kFinishing:
      return "finishing";
    case NodePhase::kEnded:
      return "ended";
  }
  return "";
}

struct NodeSnapshot {
  std::string name;
  std::string type;
  NodePhase phase = NodePhase::kWaiting;
  state::NodeStatus status = state::NodeStatus::kNone;
  int64_t batches_done = 0;
  int64_t batches_total = 0;
  /// Rows read and written so far in this process, uncommitted attempts included.
  int64_t rows_in = 0;
  int64_t rows_out = 0;
  int64_t spilled_bytes = 0;
  /// 0 to 1, or -1 when unknown.
  double fraction = -1;
  int64_t elapsed_ms = 0;
  node::RowCounts counts;  ///< of committed batches
  state::ErrorRecord error;
};

struct RunSnapshot {
  int64_t run_id = 0;
  std::vector<NodeSnapshot> nodes;  ///< script order
};

}  // namespace capi::workflow
