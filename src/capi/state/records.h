#pragma once

// What the workflow state consists of. Statuses and their numbers are those of spec/engine.md 1.1.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace capi::state {

enum class RunStatus : int {
  kNone = 0,
  kStart = 1,
  kComplete = 2,  ///< every affected node ended; some may have failed
  kStop = 3,      ///< written by the stop command only
};

/// Of nodes and batches.
enum class NodeStatus : int {
  kNone = 0,
  kStart = 1,
  kSuccess = 2,
  kFail = 3,
  kStopReceived = 104,
};

/// "none", "start", "complete", "stop".
std::string_view RunStatusName(RunStatus status);
/// "none", "start", "success", "fail", "stopreceived".
std::string_view NodeStatusName(NodeStatus status);

inline bool IsEnd(NodeStatus status) {
  return status != NodeStatus::kNone && status != NodeStatus::kStart;
}

/// Index of the node finish task, which is claimed and committed like a batch.
constexpr int64_t kFinishBatch = -1;

/// A process that executes batches: random and never 0.
using OwnerId = int64_t;

struct OwnerRecord {
  OwnerId owner = 0;
  std::string instance;  ///< "host/pid", for people
  int64_t renewals = 0;  ///< grows while the process lives; no clock is compared
  /// What keeps it from working on a run now, by run id, for people.
  std::map<int64_t, std::string> problems;
};

/// Why something failed, as it is shown to people. All empty: no error.
struct ErrorRecord {
  std::string kind;         ///< ErrorKindName
  std::string error_class;  ///< ErrorInfo::error_class
  std::string text;
  bool empty() const { return text.empty(); }
};

struct RunRecord {
  int64_t run_id = 0;
  RunStatus status = RunStatus::kNone;
  std::string script_url;
  std::string parameters_url;
  /// Parameters set beside the file, name and value, in their order: with `strict` (warnings are
  /// errors) what loads the same script again.
  std::vector<std::pair<std::string, std::string>> overrides;
  bool strict = false;
  std::string script_hash;
  std::string parameters_hash;
  std::string start_hash;  ///< of start_nodes and until_node
  std::vector<std::string> start_nodes;
  std::vector<std::string> affected_nodes;  ///< script order
  std::string until_node;                   ///< "" = all affected nodes
  std::string description;
  int64_t now_ms = 0;  ///< time.Now() of all expressions of the run
  int64_t started_ms = 0;
  int64_t ended_ms = 0;  ///< 0 = not ended
  std::string comment;
};

/// The inputs of a node, fixed when it first becomes ready. Every batch and retry uses them.
struct Pins {
  bool set = false;
  int64_t reader_run = 0;  ///< run whose table is read, 0 = none
  int64_t lookup_run = 0;
  std::string inputs;  ///< fingerprints of input files, opaque
};

/// Identity of a node in a run: its position in RunRecord::affected_nodes.
struct NodeId {
  int64_t run_id = 0;
  int64_t node_index = 0;
  auto operator<=>(const NodeId&) const = default;
};

struct NodeRecord {
  NodeId id;
  std::string name;
  std::string type;
  std::string table;  ///< table it writes, "" for file writers
  int64_t depth = 0;  ///< longest way from a node without dependencies
  int64_t batches_total = 0;
  /// Input files that the patterns of the script matched when the run began; empty: as the script
  /// says.
  std::vector<std::string> urls;
  bool rerun_fails = false;  ///< an interrupted batch ends as failed instead of being repeated
  NodeStatus status = NodeStatus::kNone;
  Pins pins;
  std::string manifest;  ///< of the frozen table, opaque; set with success
  std::string counts;    ///< row accounting, opaque JSON
  ErrorRecord error;
  int64_t started_ms = 0;
  int64_t ended_ms = 0;
};

struct BatchId {
  NodeId node;
  int64_t batch_index = 0;
  auto operator<=>(const BatchId&) const = default;
};

/// A batch that nobody has claimed yet has no record.
struct BatchRecord {
  BatchId id;
  NodeStatus status = NodeStatus::kNone;
  int64_t attempt = 0;  ///< number of the last attempt, from 1
  OwnerId owner = 0;    ///< who holds it; meaningful while status is kStart
  std::string manifest;
  std::string counts;
  std::string input;  ///< the file that was read, opaque JSON; "" = none
  ErrorRecord error;
  int64_t started_ms = 0;
  int64_t ended_ms = 0;
};

/// An attempt that ended without deciding its batch: retried, cancelled or lost with its process.
struct FormerAttempt {
  BatchId id;
  int64_t attempt = 0;
  OwnerId owner = 0;
  std::string outcome;  ///< "retried", "cancelled", "lost"
  std::string text;
  int64_t ended_ms = 0;
};

enum class FileState : int {
  kPlanned = 0,    ///< the temp file may exist; nothing committed
  kPending = 1,    ///< committed: to be renamed to its target
  kPublished = 2,  ///< at its target
  kLost = 3,       ///< somebody removed it between commit and publication
};

struct FileRecord {
  BatchId id;
  int64_t attempt = 0;
  std::string target;
  std::string temp_path;
  int64_t size = 0;
  int64_t rows = 0;
  FileState state = FileState::kPlanned;
};

enum class EventKind : int { kRun = 0, kNode = 1, kBatch = 2 };

/// An entry of the numbered change feed. The run, node and batch histories of spec/storage.md 2 are
/// this feed filtered by kind.
struct Event {
  int64_t number = 0;  ///< ascending in commit order
  int64_t ts_ms = 0;
  EventKind kind = EventKind::kRun;
  int64_t run_id = 0;
  std::string node;         ///< "" for run events
  int64_t batch_index = 0;  ///< batch events only
  int status = 0;           ///< RunStatus or NodeStatus
  std::string comment;
};

}  // namespace capi::state
