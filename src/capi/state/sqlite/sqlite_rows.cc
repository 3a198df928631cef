#include "capi/state/record_json.h"
#include "capi/state/sqlite/sqlite_rows_internal.h"

namespace capi::state {

RunRecord ReadRun(const Query& query, int first_column) {
  int column = first_column;
  RunRecord run;
  run.run_id = query.Int(column++);
  run.status = static_cast<RunStatus>(query.Int(column++));
  run.script_url = query.Text(column++);
  run.parameters_url = query.Text(column++);
  run.script_hash = query.Text(column++);
  run.parameters_hash = query.Text(column++);
  run.start_hash = query.Text(column++);
  run.start_nodes = ListFromJson(query.Text(column++));
  run.affected_nodes = ListFromJson(query.Text(column++));
  run.until_node = query.Text(column++);
  run.description = query.Text(column++);
  run.now_ms = query.Int(column++);
  run.started_ms = query.Int(column++);
  run.ended_ms = query.Int(column++);
  run.comment = query.Text(column++);
  run.overrides = PairsFromJson(query.Text(column++));
  run.strict = query.Int(column++) != 0;
  return run;
}

NodeRecord ReadNode(const Query& query, int first_column) {
  int column = first_column;
  NodeRecord node;
  node.id.run_id = query.Int(column++);
  node.id.node_index = query.Int(column++);
  node.name = query.Text(column++);
  node.type = query.Text(column++);
  node.table = query.Text(column++);
  node.depth = query.Int(column++);
  node.batches_total = query.Int(column++);
  node.rerun_fails = query.Int(column++) != 0;
  node.status = static_cast<NodeStatus>(query.Int(column++));
  node.pins.set = query.Int(column++) != 0;
  node.pins.reader_run = query.Int(column++);
  node.pins.lookup_run = query.Int(column++);
  node.pins.inputs = query.Text(column++);
  node.manifest = query.Text(column++);
  node.counts = query.Text(column++);
  node.error.kind = query.Text(column++);
  node.error.error_class = query.Text(column++);
  node.error.text = query.Text(column++);
  node.started_ms = query.Int(column++);
  node.ended_ms = query.Int(column++);
  node.urls = ListFromJson(query.Text(column++));
  return node;
}

BatchRecord ReadBatch(const Query& query) {
  int column = 0;
  BatchRecord batch;
  batch.id.node.run_id = query.Int(column++);
  batch.id.node.node_index = query.Int(column++);
  batch.id.batch_index = query.Int(column++);
  batch.status = static_cast<NodeStatus>(query.Int(column++));
  batch.attempt = query.Int(column++);
  batch.owner = query.Int(column++);
  batch.manifest = query.Text(column++);
  batch.counts = query.Text(column++);
  batch.error.kind = query.Text(column++);
  batch.error.error_class = query.Text(column++);
  batch.error.text = query.Text(column++);
  batch.started_ms = query.Int(column++);
  batch.ended_ms = query.Int(column++);
  batch.input = query.Text(column++);
  return batch;
}

}  // namespace capi::state
