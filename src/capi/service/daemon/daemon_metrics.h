#pragma once

// What a daemon tells monitoring: metrics with the names of spec/config.md 5 where these make sense
// here, and its state as JSON. Pure functions.

#include <string>

#include "capi/service/daemon/daemon.h"

namespace capi::service {

/// Text of the Prometheus format 0.0.4. Labels are node types, outcomes and the version: nothing
/// that grows with the work done.
std::string MetricsText(const DaemonStatus& status, const workflow::ExecutionCounters& execution,
                        const store::CacheCounters& cache, const std::string& version);

/// {"draining", "looked", "threads", "memory", "broker", "cassandra", "keyspaces": [{"name",
/// "problem", "runs": [{"run_id", "batches_in_hand", "problem", "nodes": [{"name", "type", "phase",
/// "status", "batches_done", "batches_total", "rows_in", "rows_out", "rows_per_second",
/// "error"}]}]}]}. Problems are null when there are none; rows are those of this process;
/// rows_per_second is of rows read since the node's first batch began here.
std::string StatusJson(const DaemonStatus& status);

}  // namespace capi::service
