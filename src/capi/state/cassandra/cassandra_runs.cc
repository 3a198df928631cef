// Creation and end of runs.

#include <algorithm>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/state/cassandra/cassandra_store_internal.h"
#include "capi/state/cassandra/requests_internal.h"
#include "capi/state/record_json.h"

namespace capi::state {

namespace {
// Nodes with long lists of files would otherwise make a write that the server refuses.
constexpr size_t kMaxBatchBytes = size_t{1} << 20;

int32_t Int32Of(int64_t value) { return static_cast<int32_t>(value); }
}  // namespace

Result<std::vector<RunRow>> CassandraStore::ReadRuns() {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectRuns));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  std::vector<RunRow> runs;
  for (int64_t row = 0; row < rows.size(); ++row) runs.push_back(ReadRunRow(rows, row));
  return runs;
}

Result<std::optional<RunRow>> CassandraStore::ReadRun(int64_t run_id,
                                                      cql::Consistency consistency) {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectRun));
  select.values.BigInt(run_id);
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select), consistency));
  if (rows.empty()) return std::nullopt;
  return ReadRunRow(rows, 0);
}

Result<std::optional<RunRow>> CassandraStore::StartedRun(int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectRun));
  select.values.BigInt(run_id);
  CAPI_ASSIGN_OR_RETURN(cql::Request stop, statements_.Make(Cql::kSelectStop));
  stop.values.Int(Int32Of(run_id));
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> found,
                        ReadMany(session_, {std::move(select), std::move(stop)}));
  if (found[0].empty()) return std::nullopt;
  RunRow row = ReadRunRow(found[0], 0);
  if (!row.started) CAPI_RETURN_NOT_OK(FinishStart(row.run));
  if (!found[1].empty() && row.run.status != RunStatus::kStop) {
    CAPI_RETURN_NOT_OK(TakeOverStop(std::string(found[1].Text(0, 0)), &row.run));
    row.told = row.run.status;
  }
  return row;
}

/// The original stops a run by a row of the history alone.
Status CassandraStore::TakeOverStop(const std::string& comment, RunRecord* run) {
  CAPI_ASSIGN_OR_RETURN(const bool stopped,
                        EndRun(run->run_id, run->status, RunStatus::kStop, comment));
  if (!stopped) {
    // Somebody was faster: it was stopped, or completed, which the next look finds.
    CAPI_ASSIGN_OR_RETURN(const auto row, ReadRun(run->run_id));
    if (row) *run = row->run;
    return Status::OK();
  }
  run->status = RunStatus::kStop;
  run->comment = comment;
  return FinishEnd(*run);
}

Result<std::vector<RunRecord>> CassandraStore::Runs() {
  CAPI_ASSIGN_OR_RETURN(std::vector<RunRow> rows, ReadRuns());
  std::vector<RunRecord> runs;
  runs.reserve(rows.size());
  for (RunRow& row : rows) runs.push_back(std::move(row.run));
  return runs;
}

Result<std::optional<RunRecord>> CassandraStore::FindRun(int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(std::optional<RunRow> row, StartedRun(run_id));
  if (!row) return std::nullopt;
  return std::move(row->run);
}

Result<int64_t> CassandraStore::CreateRun(const RunRecord& run,
                                          const std::vector<NodeRecord>& nodes) {
  CAPI_ASSIGN_OR_RETURN(cql::Request counter, statements_.Make(Cql::kSelectCounter));
  counter.values.Text(keyspace_);
  CAPI_ASSIGN_OR_RETURN(cql::Request last, statements_.Make(Cql::kSelectLastRun));
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> found,
                        ReadMany(session_, {std::move(counter), std::move(last)}));
  RunRecord created = run;
  created.run_id = 0;
  for (const cql::Rows& rows : found) {
    if (!rows.empty()) created.run_id = std::max(created.run_id, rows.Integer(0, 0));
  }
  created.status = RunStatus::kStart;
  created.ended_ms = 0;
  created.description = Utf8Of(run.description);
  created.comment = Utf8Of(run.comment);
  const int64_t nonce = NewNonce();
  const std::string outbox = NewNodesToJson(nodes);
  while (true) {
    ++created.run_id;
    CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kInsertRun));
    insert.values.BigInt(created.run_id)
        .TinyInt(static_cast<int8_t>(created.status))
        .Text(created.script_url)
        .Text(created.parameters_url)
        .Text(created.script_hash)
        .Text(created.parameters_hash)
        .Text(created.start_hash)
        .Text(ListToJson(created.start_nodes))
        .Text(ListToJson(created.affected_nodes))
        .Text(created.until_node)
        .Text(created.description)
        .BigInt(created.now_ms)
        .BigInt(created.started_ms)
        .BigInt(created.ended_ms)
        .Text(created.comment)
        .Text(PairsToJson(created.overrides))
        .Boolean(created.strict)
        .Text(outbox)
        .BigInt(nonce);
    CAPI_ASSIGN_OR_RETURN(
        const bool applied,
        WriteIf(env_, session_, {insert}, [&](cql::Consistency consistency) -> Result<Seen> {
          CAPI_ASSIGN_OR_RETURN(const auto row, ReadRun(created.run_id, consistency));
          if (!row) return Seen::kReady;
          return row->nonce == nonce ? Seen::kOurs : Seen::kOther;
        }));
    if (applied) break;
  }
  // The run exists. If this process dies from here on, anybody finishes what follows.
  CAPI_FAULT_POINT("state.run_created");
  CAPI_RETURN_NOT_OK(FinishStart(created));
  return created.run_id;
}

Status CassandraStore::FinishStart(const RunRecord& run) {
  {
    const std::lock_guard lock(mutex_);
    if (started_runs_.contains(run.run_id)) return Status::OK();
  }
  CAPI_RETURN_NOT_OK(CreateNodes(run.run_id));
  CAPI_FAULT_POINT("state.nodes_created");
  CAPI_ASSIGN_OR_RETURN(cql::Request properties, statements_.Make(Cql::kInsertProperties));
  properties.values.Int(Int32Of(run.run_id))
      .Text(JoinNames(run.start_nodes))
      .Text(JoinNames(run.affected_nodes))
      .Text(run.script_url)
      .Text(run.parameters_url)
      .Text(run.description);
  CAPI_RETURN_NOT_OK(Once(std::move(properties)));
  CAPI_FAULT_POINT("state.properties_written");
  CAPI_RETURN_NOT_OK(RaiseCounter(run.run_id));
  CAPI_FAULT_POINT("state.counter_raised");
  CAPI_RETURN_NOT_OK(WriteRunHistory(run.run_id, RunStatus::kStart, run.comment));
  CAPI_FAULT_POINT("state.start_told");
  CAPI_ASSIGN_OR_RETURN(cql::Request started, statements_.Make(Cql::kMarkStarted));
  started.values.BigInt(run.run_id);
  CAPI_RETURN_NOT_OK(Once(std::move(started)));
  const std::lock_guard lock(mutex_);
  started_runs_.insert(run.run_id);
  return Status::OK();
}

Status CassandraStore::CreateNodes(int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectRunNodes));
  select.values.BigInt(run_id);
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  if (rows.empty()) return BugError("a run has no row: " + std::to_string(run_id));
  std::vector<cql::Request> inserts;
  size_t bytes = 0;
  for (const NodeRecord& node : NewNodesFromJson(std::string(rows.Text(0, 0)), run_id)) {
    CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kInsertNode));
    insert.values.BigInt(run_id)
        .BigInt(node.id.node_index)
        .Text(node.name)
        .Text(node.type)
        .Text(node.table)
        .BigInt(node.depth)
        .BigInt(node.batches_total)
        .Boolean(node.rerun_fails)
        .Text(node.urls.empty() ? std::string() : ListToJson(node.urls));
    // The same nodes come together whoever does this, so what is refused is there already.
    if (bytes > 0 && bytes + insert.values.bytes().size() > kMaxBatchBytes) {
      CAPI_RETURN_NOT_OK(WriteOnce(env_, session_, inserts));
      inserts.clear();
      bytes = 0;
    }
    bytes += insert.values.bytes().size();
    inserts.push_back(std::move(insert));
  }
  return inserts.empty() ? Status::OK() : WriteOnce(env_, session_, inserts);
}

Status CassandraStore::RaiseCounter(int64_t run_id) {
  while (true) {
    CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectCounter));
    select.values.Text(keyspace_);
    CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
    if (!rows.empty() && rows.Integer(0, 0) >= run_id) return Status::OK();
    cql::Request raise;
    if (rows.empty()) {
      CAPI_ASSIGN_OR_RETURN(raise, statements_.Make(Cql::kInsertCounter));
      raise.values.Text(keyspace_).Int(Int32Of(run_id));
    } else {
      CAPI_ASSIGN_OR_RETURN(raise, statements_.Make(Cql::kRaiseCounter));
      raise.values.Int(Int32Of(run_id)).Text(keyspace_).Int(Int32Of(rows.Integer(0, 0)));
    }
    CAPI_RETURN_NOT_OK(Once(std::move(raise)));
  }
}

Status CassandraStore::FinishStarts() {
  CAPI_ASSIGN_OR_RETURN(std::vector<RunRow> runs, ReadRuns());
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectAllRunHistory));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows history, Read(std::move(select)));
  std::map<int64_t, std::string> stops;
  for (int64_t row = 0; row < history.size(); ++row) {
    const bool is_stop = history.Integer(row, 2) == static_cast<int64_t>(RunStatus::kStop);
    if (is_stop) stops[history.Integer(row, 1)] = history.Text(row, 3);
  }
  for (RunRow& row : runs) {
    if (!row.started) CAPI_RETURN_NOT_OK(FinishStart(row.run));
    const auto stop = stops.find(row.run.run_id);
    if (stop != stops.end() && row.run.status != RunStatus::kStop) {
      CAPI_RETURN_NOT_OK(TakeOverStop(stop->second, &row.run));
      continue;
    }
    const bool ended = row.run.status != RunStatus::kStart;
    if (ended && row.told != row.run.status) CAPI_RETURN_NOT_OK(FinishEnd(row.run));
  }
  return Status::OK();
}

Result<bool> CassandraStore::EndRun(int64_t run_id, RunStatus from, RunStatus to,
                                    const std::string& comment) {
  const int64_t nonce = NewNonce();
  CAPI_ASSIGN_OR_RETURN(cql::Request update, statements_.Make(Cql::kEndRun));
  update.values.TinyInt(static_cast<int8_t>(to))
      .BigInt(env_->NowMillis())
      .Text(comment)
      .BigInt(nonce)
      .BigInt(run_id)
      .TinyInt(static_cast<int8_t>(from));
  CAPI_ASSIGN_OR_RETURN(
      const bool applied,
      WriteIf(env_, session_, {update}, [&](cql::Consistency consistency) -> Result<Seen> {
        CAPI_ASSIGN_OR_RETURN(const auto row, ReadRun(run_id, consistency));
        if (!row) return Seen::kOther;
        if (row->nonce == nonce) return Seen::kOurs;
        return row->run.status == from ? Seen::kReady : Seen::kOther;
      }));
  ForgetFacts(run_id);
  return applied;
}

Status CassandraStore::FinishEnd(const RunRecord& run) {
  if (run.status == RunStatus::kComplete) CAPI_RETURN_NOT_OK(RepairNodeHistory(run.run_id));
  CAPI_RETURN_NOT_OK(WriteRunHistory(run.run_id, run.status, run.comment));
  CAPI_ASSIGN_OR_RETURN(cql::Request told, statements_.Make(Cql::kMarkTold));
  told.values.TinyInt(static_cast<int8_t>(run.status))
      .BigInt(run.run_id)
      .TinyInt(static_cast<int8_t>(run.status));
  return Once(std::move(told));
}

Status CassandraStore::StopRun(int64_t run_id, const std::string& comment) {
  while (true) {
    CAPI_ASSIGN_OR_RETURN(std::optional<RunRow> row, StartedRun(run_id));
    if (!row) return UserError("unknown_run", "no such run: " + std::to_string(run_id));
    RunRecord& run = row->run;
    if (run.status == RunStatus::kStop) {
      return row->told == run.status ? Status::OK() : FinishEnd(run);
    }
    CAPI_ASSIGN_OR_RETURN(const bool stopped,
                          EndRun(run_id, run.status, RunStatus::kStop, Utf8Of(comment)));
    if (!stopped) continue;
    CAPI_FAULT_POINT("state.run_ended");
    run.status = RunStatus::kStop;
    run.comment = Utf8Of(comment);
    return FinishEnd(run);
  }
}

Status CassandraStore::Apply(const Changes& changes) {
  for (const NodeChange& change : changes.nodes) CAPI_RETURN_NOT_OK(ApplyToNode(change));
  for (const RunChange& change : changes.completed_runs) {
    RunRecord run;
    run.run_id = change.run_id;
    run.status = RunStatus::kComplete;
    run.comment = Utf8Of(change.comment);
    CAPI_ASSIGN_OR_RETURN(const bool ended,
                          EndRun(run.run_id, RunStatus::kStart, run.status, run.comment));
    if (!ended) continue;
    CAPI_FAULT_POINT("state.run_ended");
    CAPI_RETURN_NOT_OK(FinishEnd(run));
  }
  return Status::OK();
}

}  // namespace capi::state
