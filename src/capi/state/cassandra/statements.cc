#include <limits>
#include <string>
#include <vector>

#include "capi/state/cassandra/statements_internal.h"
#include "capi/state/record_json.h"

namespace capi::state {

namespace {

struct Text {
  const char* cql;  // $ stands for the keyspace and a dot
  bool idempotent;
};

#define CAPI_CQL_RUN_COLUMNS                                                                      \
  "run_id, status, script_url, parameters_url, script_hash, parameters_hash, start_hash, "        \
  "start_nodes, affected_nodes, until_node, description, now_ms, started_ms, ended_ms, comment, " \
  "overrides, strict"
#define CAPI_CQL_NODE_COLUMNS                                                               \
  "run_id, node_index, name, type, table_name, depth, batches_total, rerun_fails, status, " \
  "pinned, reader_run, lookup_run, inputs, manifest, counts, error_kind, error_class, "     \
  "error_text, started_ms, ended_ms, urls, nonce"
#define CAPI_CQL_BATCH_KEY "WHERE run_id = ? AND node_index = ? AND bucket = ? AND batch_index = ?"
#define CAPI_CQL_BATCH_CONDITION "IF status = ? AND attempt = ? AND owner = ?"
#define CAPI_CQL_FILE_KEY \
  "WHERE run_id = ? AND node_index = ? AND batch_index = ? AND attempt = ? AND target = ?"

Text TextOf(Cql id) {
  switch (id) {
    case Cql::kInsertOwner:
      return {
          "INSERT INTO $wf_capi_owner (part, owner, instance, renewals) VALUES (0, ?, ?, ?) "
          "IF NOT EXISTS",
          false};
    case Cql::kRenewOwner:
      return {
          "UPDATE $wf_capi_owner SET renewals = ?, problems = ? WHERE part = 0 AND owner = ? "
          "IF renewals = ? AND gone_ms = null",
          false};
    case Cql::kExpireOwner:
      return {
          "UPDATE $wf_capi_owner SET gone_ms = ? WHERE part = 0 AND owner = ? "
          "IF renewals = ? AND gone_ms = null",
          false};
    case Cql::kForgetOwner:
      return {"DELETE FROM $wf_capi_owner WHERE part = 0 AND owner = ? IF gone_ms = ?", false};
    case Cql::kSelectOwner:
      return {
          "SELECT owner, instance, renewals, gone_ms, problems FROM $wf_capi_owner WHERE part = 0 "
          "AND owner = ?",
          true};
    case Cql::kSelectOwners:
      return {
          "SELECT owner, instance, renewals, gone_ms, problems FROM $wf_capi_owner WHERE part = 0",
          true};
    case Cql::kSelectCounter:
      return {"SELECT last_run FROM $wf_run_counter WHERE ks = ?", true};
    case Cql::kInsertCounter:
      return {"INSERT INTO $wf_run_counter (ks, last_run) VALUES (?, ?) IF NOT EXISTS", false};
    case Cql::kRaiseCounter:
      return {"UPDATE $wf_run_counter SET last_run = ? WHERE ks = ? IF last_run = ?", false};
    case Cql::kSelectLastRun:
      return {"SELECT run_id FROM $wf_capi_run WHERE part = 0 ORDER BY run_id DESC LIMIT 1", true};
    case Cql::kInsertRun:
      return {"INSERT INTO $wf_capi_run (part, " CAPI_CQL_RUN_COLUMNS
              ", nodes, started, told, nonce) VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
              "?, ?, ?, ?, false, 0, ?) IF NOT EXISTS",
              false};
    case Cql::kSelectRuns:
      return {"SELECT " CAPI_CQL_RUN_COLUMNS
              ", started, told, nonce FROM $wf_capi_run WHERE part = 0",
              true};
    case Cql::kSelectRun:
      return {"SELECT " CAPI_CQL_RUN_COLUMNS
              ", started, told, nonce FROM $wf_capi_run WHERE part = 0 AND run_id = ?",
              true};
    case Cql::kSelectRunNodes:
      return {"SELECT nodes FROM $wf_capi_run WHERE part = 0 AND run_id = ?", true};
    case Cql::kMarkStarted:
      return {
          "UPDATE $wf_capi_run SET started = true WHERE part = 0 AND run_id = ? "
          "IF started = false",
          false};
    case Cql::kEndRun:
      return {
          "UPDATE $wf_capi_run SET status = ?, ended_ms = ?, comment = ?, nonce = ? "
          "WHERE part = 0 AND run_id = ? IF status = ?",
          false};
    case Cql::kMarkTold:
      return {"UPDATE $wf_capi_run SET told = ? WHERE part = 0 AND run_id = ? IF status = ?",
              false};
    case Cql::kInsertNode:
      return {
          "INSERT INTO $wf_capi_node (run_id, node_index, name, type, table_name, depth, "
          "batches_total, rerun_fails, urls, status, pinned, started_ms, ended_ms) VALUES "
          "(?, ?, ?, ?, ?, ?, ?, ?, ?, 0, false, 0, 0) IF NOT EXISTS",
          false};
    case Cql::kSelectNodes:
      return {"SELECT " CAPI_CQL_NODE_COLUMNS " FROM $wf_capi_node WHERE run_id = ?", true};
    case Cql::kSelectNode:
      return {"SELECT " CAPI_CQL_NODE_COLUMNS
              " FROM $wf_capi_node WHERE run_id = ? AND node_index = ?",
              true};
    case Cql::kPinNode:
      return {
          "UPDATE $wf_capi_node SET pinned = true, reader_run = ?, lookup_run = ?, inputs = ? "
          "WHERE run_id = ? AND node_index = ? IF pinned = false AND status < 2",
          false};
    case Cql::kStartNode:
      return {
          "UPDATE $wf_capi_node SET status = 1, started_ms = ? WHERE run_id = ? AND "
          "node_index = ? IF status = 0",
          false};
    case Cql::kEndNode:
      return {
          "UPDATE $wf_capi_node SET status = ?, manifest = ?, counts = ?, error_kind = ?, "
          "error_class = ?, error_text = ?, started_ms = ?, ended_ms = ?, nonce = ? "
          "WHERE run_id = ? AND node_index = ? IF status = ?",
          false};
    case Cql::kInsertProperties:
      return {
          "INSERT INTO $wf_run_properties (run_id, start_nodes, affected_nodes, script_url, "
          "script_params_url, run_description) VALUES (?, ?, ?, ?, ?, ?) IF NOT EXISTS",
          false};
    case Cql::kInsertRunHistory:
      return {
          "INSERT INTO $wf_run_history (ts, run_id, status, comment) VALUES "
          "(toTimestamp(now()), ?, ?, ?) IF NOT EXISTS",
          false};
    // A repetition gives these rows a later time, which no reader minds.
    case Cql::kInsertNodeHistory:
      return {
          "INSERT INTO $wf_node_history (ts, run_id, script_node, written_by_batch_idx, "
          "status, comment) VALUES (toTimestamp(now()), ?, ?, ?, ?, ?)",
          true};
    case Cql::kInsertBatchHistory:
      return {
          "INSERT INTO $wf_batch_history (ts, run_id, script_node, batch_idx, batches_total, "
          "status, first_token, last_token, instance, thread, comment) VALUES "
          "(toTimestamp(now()), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
          true};
    case Cql::kSelectAllRunHistory:
      return {"SELECT ts, run_id, status, comment FROM $wf_run_history", true};
    case Cql::kSelectStop:
      return {"SELECT comment FROM $wf_run_history WHERE run_id = ? AND status = 3", true};
    case Cql::kSelectNodeHistory:
      return {
          "SELECT ts, script_node, written_by_batch_idx, status, comment FROM "
          "$wf_node_history WHERE run_id = ? AND ts >= ? ALLOW FILTERING",
          true};
    case Cql::kSelectBatchHistory:
      return {
          "SELECT ts, script_node, batch_idx, status, comment FROM $wf_batch_history "
          "WHERE run_id = ? AND ts >= ? ALLOW FILTERING",
          true};
    case Cql::kSelectNodeEnds:
      return {"SELECT script_node, status FROM $wf_node_history WHERE run_id = ?", true};
    case Cql::kSelectBatchEnds:
      return {
          "SELECT batch_idx, status FROM $wf_batch_history WHERE run_id = ? AND "
          "script_node = ?",
          true};
    case Cql::kSelectBatches:
      return {
          "SELECT batch_index, status, attempt, owner, manifest, counts, error_kind, "
          "error_class, error_text, started_ms, ended_ms, input, nonce FROM $wf_capi_batch "
          "WHERE run_id = ? AND node_index = ? AND bucket = ? AND batch_index >= ? AND "
          "batch_index < ?",
          true};
    case Cql::kClaimBatch:
      return {
          "UPDATE $wf_capi_batch SET status = 1, attempt = ?, owner = ?, started_ms = ?, "
          "nonce = ? " CAPI_CQL_BATCH_KEY " " CAPI_CQL_BATCH_CONDITION,
          false};
    case Cql::kEndBatch:
      return {
          "UPDATE $wf_capi_batch SET status = ?, manifest = ?, counts = ?, input = ?, "
          "error_kind = ?, error_class = ?, error_text = ?, ended_ms = ?, "
          "nonce = ? " CAPI_CQL_BATCH_KEY " " CAPI_CQL_BATCH_CONDITION,
          false};
    case Cql::kReleaseBatch:
      return {"UPDATE $wf_capi_batch SET status = 0, owner = 0, nonce = ? " CAPI_CQL_BATCH_KEY
              " " CAPI_CQL_BATCH_CONDITION,
              false};
    case Cql::kInsertAttempt:
      return {
          "INSERT INTO $wf_capi_attempt (run_id, node_index, batch_index, attempt, owner, "
          "outcome, message, ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          true};
    case Cql::kSelectAttempts:
      return {
          "SELECT batch_index, attempt, owner, outcome, message, ended_ms FROM "
          "$wf_capi_attempt WHERE run_id = ? AND node_index = ?",
          true};
    case Cql::kPlanFile:
      return {
          "INSERT INTO $wf_capi_file (run_id, node_index, batch_index, attempt, target, "
          "temp_path) VALUES (?, ?, ?, ?, ?, ?)",
          true};
    case Cql::kSealFile:
      return {
          "INSERT INTO $wf_capi_file (run_id, node_index, batch_index, attempt, target, "
          "sealed_path, size, row_count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
          true};
    case Cql::kPublishFile:
      return {"UPDATE $wf_capi_file SET published = true " CAPI_CQL_FILE_KEY, true};
    case Cql::kLoseFile:
      return {"UPDATE $wf_capi_file SET lost = true " CAPI_CQL_FILE_KEY, true};
    case Cql::kDeleteFile:
      return {"DELETE FROM $wf_capi_file " CAPI_CQL_FILE_KEY, true};
    case Cql::kSelectFiles:
      return {
          "SELECT node_index, batch_index, attempt, target, temp_path, size, row_count, "
          "sealed_path, published, lost FROM $wf_capi_file WHERE run_id = ?",
          true};
    case Cql::kSelectFilesOfBatch:
      return {
          "SELECT node_index, batch_index, attempt, target, temp_path, size, row_count, "
          "sealed_path, published, lost FROM $wf_capi_file WHERE run_id = ? AND node_index = ? AND "
          "batch_index = ?",
          true};
    case Cql::kCount:
      break;
  }
  return {"", false};
}

/// Length of the UTF-8 sequence at `at`, 0 if there is none.
size_t SequenceLength(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) > 0x9F;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90;
    const bool too_big = first == 0xF4 && byte(1) > 0x8F;
    return follows(1) && follows(2) && follows(3) && !overlong && !too_big ? 4 : 0;
  }
  return 0;
}

}  // namespace

Result<cql::Request> Statements::Make(Cql id) {
  cql::Request request;
  const std::lock_guard lock(mutex_);
  cql::StatementPtr& prepared = prepared_[static_cast<size_t>(id)];
  if (prepared == nullptr) {
    const Text text = TextOf(id);
    std::string cql = text.cql;
    cql.replace(cql.find('$'), 1, keyspace_ + ".");
    CAPI_ASSIGN_OR_RETURN(prepared, session_->Prepare(cql, text.idempotent));
  }
  request.statement = prepared;
  return request;
}

RunRow ReadRunRow(const cql::Rows& rows, int64_t row) {
  int column = 0;
  RunRow read;
  RunRecord& run = read.run;
  run.run_id = rows.Integer(row, column++);
  run.status = static_cast<RunStatus>(rows.Integer(row, column++));
  run.script_url = rows.Text(row, column++);
  run.parameters_url = rows.Text(row, column++);
  run.script_hash = rows.Text(row, column++);
  run.parameters_hash = rows.Text(row, column++);
  run.start_hash = rows.Text(row, column++);
  run.start_nodes = ListFromJson(std::string(rows.Text(row, column++)));
  run.affected_nodes = ListFromJson(std::string(rows.Text(row, column++)));
  run.until_node = rows.Text(row, column++);
  run.description = rows.Text(row, column++);
  run.now_ms = rows.Integer(row, column++);
  run.started_ms = rows.Integer(row, column++);
  run.ended_ms = rows.Integer(row, column++);
  run.comment = rows.Text(row, column++);
  run.overrides = PairsFromJson(std::string(rows.Text(row, column++)));
  run.strict = rows.Boolean(row, column++);
  read.started = rows.Boolean(row, column++);
  read.told = static_cast<RunStatus>(rows.Integer(row, column++));
  read.nonce = rows.Integer(row, column++);
  return read;
}

NodeRow ReadNodeRow(const cql::Rows& rows, int64_t row) {
  int column = 0;
  NodeRow read;
  NodeRecord& node = read.node;
  node.id.run_id = rows.Integer(row, column++);
  node.id.node_index = rows.Integer(row, column++);
  node.name = rows.Text(row, column++);
  node.type = rows.Text(row, column++);
  node.table = rows.Text(row, column++);
  node.depth = rows.Integer(row, column++);
  node.batches_total = rows.Integer(row, column++);
  node.rerun_fails = rows.Boolean(row, column++);
  node.status = static_cast<NodeStatus>(rows.Integer(row, column++));
  node.pins.set = rows.Boolean(row, column++);
  node.pins.reader_run = rows.Integer(row, column++);
  node.pins.lookup_run = rows.Integer(row, column++);
  node.pins.inputs = rows.Text(row, column++);
  node.manifest = rows.Text(row, column++);
  node.counts = rows.Text(row, column++);
  node.error.kind = rows.Text(row, column++);
  node.error.error_class = rows.Text(row, column++);
  node.error.text = rows.Text(row, column++);
  node.started_ms = rows.Integer(row, column++);
  node.ended_ms = rows.Integer(row, column++);
  node.urls = ListFromJson(std::string(rows.Text(row, column++)));
  read.nonce = rows.Integer(row, column++);
  return read;
}

BatchRow ReadBatchRow(const cql::Rows& rows, int64_t row, const NodeId& node) {
  int column = 0;
  BatchRow read;
  BatchRecord& batch = read.batch;
  batch.id.node = node;
  batch.id.batch_index = rows.Integer(row, column++);
  batch.status = static_cast<NodeStatus>(rows.Integer(row, column++));
  batch.attempt = rows.Integer(row, column++);
  batch.owner = rows.Integer(row, column++);
  batch.manifest = rows.Text(row, column++);
  batch.counts = rows.Text(row, column++);
  batch.error.kind = rows.Text(row, column++);
  batch.error.error_class = rows.Text(row, column++);
  batch.error.text = rows.Text(row, column++);
  batch.started_ms = rows.Integer(row, column++);
  batch.ended_ms = rows.Integer(row, column++);
  batch.input = rows.Text(row, column++);
  read.nonce = rows.Integer(row, column++);
  return read;
}

std::string Utf8Of(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = SequenceLength(text, at);
    if (length == 0) {
      valid += "\xEF\xBF\xBD";
      ++at;
    } else {
      valid.append(text.substr(at, length));
      at += length;
    }
  }
  return valid;
}

std::pair<int64_t, int64_t> TokensOf(bool reads_files, int64_t batch_index, int64_t batches_total) {
  if (reads_files) return {batch_index, batch_index};
  constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();
  constexpr int64_t kLast = std::numeric_limits<int64_t>::max();
  if (batches_total <= 1) return {kFirst, kLast};
  const auto total = static_cast<uint64_t>(batches_total);
  const uint64_t step = static_cast<uint64_t>(kLast) / total + (uint64_t{1} << 63) / total;
  // Wraps as two's complement: the sum is within int64.
  const uint64_t begin = static_cast<uint64_t>(kFirst) + static_cast<uint64_t>(batch_index) * step;
  const bool is_last = batch_index == batches_total - 1;
  return {static_cast<int64_t>(begin), is_last ? kLast : static_cast<int64_t>(begin + step - 1)};
}

std::string JoinNames(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) {
    if (!joined.empty()) joined += ',';
    joined += name;
  }
  return joined;
}

}  // namespace capi::state
