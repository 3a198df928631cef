#pragma once

// What happened in a keyspace: runs, nodes, batches. Readable while another process runs in it.

#include <cstdint>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/node/node.h"
#include "capi/service/keyspace.h"
#include "capi/state/records.h"

namespace capi::service {

struct RunHistory {
  state::RunRecord run;
  /// Status start, but no process executes the keyspace: the run may be resumed.
  bool interrupted = false;
  int64_t num_nodes = 0;
  int64_t num_succeeded = 0;
  int64_t num_failed = 0;
  /// Why processes that execute the keyspace cannot work on it now.
  std::vector<std::string> problems;
};

struct NodeHistory {
  state::NodeRecord node;
  node::RowCounts counts;
  int64_t batches_succeeded = 0;
  int64_t batches_failed = 0;
};

struct BatchHistory {
  state::BatchRecord batch;
  node::RowCounts counts;
  std::vector<state::FormerAttempt> former_attempts;
};

/// Names of the keyspaces in the data directory, or on the cluster, sorted. The name in the options
/// does not count.
Result<std::vector<std::string>> ListKeyspaces(const KeyspaceOptions& where);
Result<std::vector<RunHistory>> RunsOf(const KeyspaceOptions& keyspace);
/// kUser error "unknown_run".
Result<std::vector<NodeHistory>> NodesOf(const KeyspaceOptions& keyspace, int64_t run_id);
/// kUser errors "unknown_run", "unknown_node".
Result<std::vector<BatchHistory>> BatchesOf(const KeyspaceOptions& keyspace, int64_t run_id,
                                            const std::string& node);
Result<std::vector<state::FileRecord>> FilesOf(const KeyspaceOptions& keyspace, int64_t run_id);
/// Everything that happened, in order: starts and ends of runs, nodes and batches.
Result<std::vector<state::Event>> EventsOf(const KeyspaceOptions& keyspace);

/// The newest run; kUser error "no_runs" if there is none.
Result<int64_t> NewestRun(const KeyspaceOptions& keyspace);
/// Stops a run for good: what is under way is given up, its tables are not used by later runs. Also
/// for runs that are interrupted or complete. kUser error "unknown_run"; no change if it is stopped
/// already.
Status StopRun(const KeyspaceOptions& keyspace, int64_t run_id, const std::string& comment);

}  // namespace capi::service
