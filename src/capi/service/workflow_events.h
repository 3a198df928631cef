#pragma once

// The rows of the workflow tables wf_run_history, wf_node_history and wf_batch_history
// (spec/storage.md 2), whatever the back end. Readable while another process runs in the keyspace.
// Errors: kUser "unknown_keyspace", "bad_keyspace_name".

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/service/keyspace.h"
#include "capi/state/records.h"

namespace capi::service {

struct RunEvent {
  int64_t ts_ms = 0;
  int64_t run_id = 0;
  state::RunStatus status = state::RunStatus::kNone;
  std::string comment;
};

struct NodeEvent {
  int64_t ts_ms = 0;
  int64_t run_id = 0;
  std::string node;
  int64_t written_by_batch = 0;
  state::NodeStatus status = state::NodeStatus::kNone;
  std::string comment;
};

struct BatchEvent {
  int64_t ts_ms = 0;
  int64_t run_id = 0;
  std::string node;
  int64_t batch_index = 0;
  int64_t batches_total = 0;
  state::NodeStatus status = state::NodeStatus::kNone;
  int64_t first_token = 0;
  int64_t last_token = 0;
  /// The embedded engine knows it while the process lives; "" = not recorded.
  std::string instance;
  std::optional<int64_t> thread;  ///< the embedded engine does not record it
  /// Error text; of a success row_reads and row_writes.
  std::string comment;
};

/// Which rows; an empty list lets everything through. What does not exist has no rows.
struct EventFilter {
  std::vector<int64_t> run_ids;
  std::vector<std::string> nodes;
};

/// One for each run and status, the first of several. By time, then run id.
Result<std::vector<RunEvent>> RunEventsOf(const KeyspaceOptions& keyspace);
/// As chosen by SelectNodeEvents.
Result<std::vector<NodeEvent>> NodeEventsOf(const KeyspaceOptions& keyspace,
                                            const EventFilter& filter);
/// One for each batch and status, the last of several (a repeated batch renews its start). By
/// time, then run id, then batch index.
Result<std::vector<BatchEvent>> BatchEventsOf(const KeyspaceOptions& keyspace,
                                              const EventFilter& filter);

/// Of each run, node and status the earliest start, the latest of the others; at the same moment
/// that of the smallest batch index. Sorted by time, then run id, then batch index
/// (spec/toolbelt.md 3.5). Pure.
std::vector<NodeEvent> SelectNodeEvents(std::vector<NodeEvent> events);

}  // namespace capi::service
