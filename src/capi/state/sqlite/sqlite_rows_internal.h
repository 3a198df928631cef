#pragma once

// Rows of the tables as records.

#include "capi/state/records.h"
#include "capi/state/sqlite/connection.h"

namespace capi::state {

/// Column lists in the order the readers below expect; `n`, `r` are the table aliases.
#define CAPI_RUN_COLUMNS                                                                   \
  "r.run_id, r.status, r.script_url, r.parameters_url, r.script_hash, r.parameters_hash, " \
  "r.start_hash, r.start_nodes, r.affected_nodes, r.until_node, r.description, r.now_ms, " \
  "r.started_ms, r.ended_ms, r.comment, r.overrides, r.strict"

#define CAPI_NODE_COLUMNS                                                                 \
  "n.run_id, n.node_index, n.name, n.type, n.table_name, n.depth, n.batches_total, "      \
  "n.rerun_fails, n.status, n.pinned, n.reader_run, n.lookup_run, n.inputs, n.manifest, " \
  "n.counts, n.error_kind, n.error_class, n.error_text, n.started_ms, n.ended_ms, n.urls"
constexpr int kNumNodeColumns = 21;

#define CAPI_BATCH_COLUMNS                                                            \
  "b.run_id, b.node_index, b.batch_index, b.status, b.attempt, b.owner, b.manifest, " \
  "b.counts, b.error_kind, b.error_class, b.error_text, b.started_ms, b.ended_ms, b.input"

RunRecord ReadRun(const Query& query, int first_column);
NodeRecord ReadNode(const Query& query, int first_column);
BatchRecord ReadBatch(const Query& query);

}  // namespace capi::state
