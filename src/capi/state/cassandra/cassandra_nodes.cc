// Nodes: reading, finding, pinning, ending.

#include <algorithm>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/state/cassandra/cassandra_store_internal.h"
#include "capi/state/cassandra/requests_internal.h"

namespace capi::state {

Result<std::vector<NodeRow>> CassandraStore::ReadNodes(int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectNodes));
  select.values.BigInt(run_id);
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  std::vector<NodeRow> nodes;
  for (int64_t row = 0; row < rows.size(); ++row) nodes.push_back(ReadNodeRow(rows, row));
  return nodes;
}

Result<std::optional<NodeRow>> CassandraStore::ReadNode(const NodeId& id,
                                                        cql::Consistency consistency) {
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectNode));
  select.values.BigInt(id.run_id).BigInt(id.node_index);
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select), consistency));
  if (rows.empty()) return std::nullopt;
  return ReadNodeRow(rows, 0);
}

Result<std::vector<NodeRecord>> CassandraStore::Nodes(int64_t run_id) {
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    known = started_runs_.contains(run_id);
  }
  if (!known) {
    CAPI_ASSIGN_OR_RETURN(const auto run, StartedRun(run_id));
    if (!run) return std::vector<NodeRecord>();
    const std::lock_guard lock(mutex_);
    started_runs_.insert(run_id);
  }
  CAPI_ASSIGN_OR_RETURN(std::vector<NodeRow> rows, ReadNodes(run_id));
  std::vector<NodeRecord> nodes;
  nodes.reserve(rows.size());
  for (NodeRow& row : rows) nodes.push_back(std::move(row.node));
  return nodes;
}

Result<std::vector<std::pair<NodeRecord, RunRecord>>> CassandraStore::NodesNamed(
    const std::vector<std::string>& names) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<RunRow> runs, ReadRuns());
  std::vector<cql::Request> requests;
  std::vector<const RunRecord*> run_of;
  for (const std::string& name : names) {
    for (const RunRow& row : runs) {
      const std::vector<std::string>& nodes = row.run.affected_nodes;
      const auto found = std::find(nodes.begin(), nodes.end(), name);
      if (found == nodes.end()) continue;
      if (!row.started) CAPI_RETURN_NOT_OK(FinishStart(row.run));
      CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectNode));
      select.values.BigInt(row.run.run_id).BigInt(found - nodes.begin());
      requests.push_back(std::move(select));
      run_of.push_back(&row.run);
    }
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> found,
                        ReadMany(session_, std::move(requests)));
  std::vector<std::pair<NodeRecord, RunRecord>> nodes;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i].empty()) nodes.emplace_back(ReadNodeRow(found[i], 0).node, *run_of[i]);
  }
  return nodes;
}

Result<std::optional<NodeRecord>> CassandraStore::NodeOfTable(int64_t run_id,
                                                              const std::string& table) {
  CAPI_ASSIGN_OR_RETURN(std::vector<NodeRecord> nodes, Nodes(run_id));
  for (NodeRecord& node : nodes) {
    if (node.table == table) return std::move(node);
  }
  return std::nullopt;
}

Status CassandraStore::PinNode(const NodeId& id, const Pins& pins) {
  CAPI_ASSIGN_OR_RETURN(cql::Request pin, statements_.Make(Cql::kPinNode));
  pin.values.BigInt(pins.reader_run)
      .BigInt(pins.lookup_run)
      .Text(pins.inputs)
      .BigInt(id.run_id)
      .BigInt(id.node_index);
  return WriteIf(env_, session_, {pin},
                 [&](cql::Consistency consistency) -> Result<Seen> {
                   CAPI_ASSIGN_OR_RETURN(const auto row, ReadNode(id, consistency));
                   const bool open = row && !row->node.pins.set && !IsEnd(row->node.status);
                   return open ? Seen::kReady : Seen::kOther;
                 })
      .status();
}

Status CassandraStore::ApplyToNode(const NodeChange& change) {
  const NodeId& id = change.id;
  if (change.pins) CAPI_RETURN_NOT_OK(PinNode(id, *change.pins));
  if (!change.status) return Status::OK();
  const std::string error = Utf8Of(change.error.text);
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const auto row, ReadNode(id));
    if (!row || IsEnd(row->node.status)) return Status::OK();
    const NodeRecord& node = row->node;
    const int64_t now = env_->NowMillis();
    const int64_t nonce = NewNonce();
    CAPI_ASSIGN_OR_RETURN(cql::Request update, statements_.Make(Cql::kEndNode));
    update.values.TinyInt(static_cast<int8_t>(*change.status))
        .Text(change.manifest)
        .Text(change.counts)
        .Text(change.error.kind)
        .Text(change.error.error_class)
        .Text(error)
        .BigInt(node.started_ms == 0 ? now : node.started_ms)
        .BigInt(now)
        .BigInt(nonce)
        .BigInt(id.run_id)
        .BigInt(id.node_index)
        .TinyInt(static_cast<int8_t>(node.status));
    CAPI_ASSIGN_OR_RETURN(
        const bool ended,
        WriteIf(env_, session_, {update}, [&](cql::Consistency consistency) -> Result<Seen> {
          CAPI_ASSIGN_OR_RETURN(const auto seen, ReadNode(id, consistency));
          if (!seen) return Seen::kOther;
          if (seen->nonce == nonce) return Seen::kOurs;
          return seen->node.status == node.status ? Seen::kReady : Seen::kOther;
        }));
    if (!ended) continue;
    CAPI_FAULT_POINT("state.node_ended");
    // Batches without a claim have nothing to tell.
    if (node.status == NodeStatus::kStart) CAPI_RETURN_NOT_OK(RepairBatchHistory(id));
    ForgetFacts(id.run_id);
    const std::string comment = change.comment.empty() ? error : Utf8Of(change.comment);
    CAPI_ASSIGN_OR_RETURN(cql::Request history,
                          NodeHistory(id, node.name, 0, *change.status, comment));
    return session_->Execute(history).status();
  }
}

Result<std::vector<std::string>> CassandraStore::LiveManifests() {
  CAPI_ASSIGN_OR_RETURN(const std::vector<RunRow> runs, ReadRuns());
  std::vector<cql::Request> requests;
  for (const RunRow& run : runs) {
    CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectNodes));
    select.values.BigInt(run.run.run_id);
    requests.push_back(std::move(select));
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> found,
                        ReadMany(session_, std::move(requests)));
  std::vector<std::string> manifests;
  for (size_t i = 0; i < runs.size(); ++i) {
    for (int64_t row = 0; row < found[i].size(); ++row) {
      const NodeRecord node = ReadNodeRow(found[i], row).node;
      if (!node.manifest.empty()) manifests.push_back(node.manifest);
      if (runs[i].run.status != RunStatus::kStart || node.status != NodeStatus::kStart) continue;
      CAPI_ASSIGN_OR_RETURN(const auto batches,
                            ReadBatchRows(node.id, kFinishBatch, node.batches_total));
      for (const auto& [index, batch] : batches) {
        const BatchRecord& record = batch.batch;
        if (record.status == NodeStatus::kSuccess && !record.manifest.empty()) {
          manifests.push_back(record.manifest);
        }
      }
    }
  }
  return manifests;
}

void CassandraStore::ForgetFacts(int64_t run_id) {
  const std::lock_guard lock(mutex_);
  auto facts = facts_.lower_bound({run_id, 0});
  while (facts != facts_.end() && facts->first.run_id == run_id) (facts++)->second.read_ns = 0;
}

Result<std::optional<CassandraStore::NodeFacts>> CassandraStore::Facts(const NodeId& node) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = facts_.find(node);
    if (found != facts_.end() && IsFresh(found->second.read_ns)) return found->second;
  }
  const int64_t now = env_->MonotonicNanos();
  CAPI_ASSIGN_OR_RETURN(const auto run, StartedRun(node.run_id));
  if (!run) return std::nullopt;
  CAPI_ASSIGN_OR_RETURN(const auto row, ReadNode(node));
  if (!row) return std::nullopt;
  const std::lock_guard lock(mutex_);
  NodeFacts& facts = facts_[node];
  facts.name = row->node.name;
  facts.reads_files = row->node.type == "file_table";
  facts.rerun_fails = row->node.rerun_fails;
  facts.batches_total = row->node.batches_total;
  facts.status = row->node.status;
  facts.run_status = run->run.status;
  facts.read_ns = now;
  return facts;
}

Result<std::optional<CassandraStore::NodeFacts>> CassandraStore::OldFacts(const NodeId& node) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = facts_.find(node);
    if (found != facts_.end()) return found->second;
  }
  return Facts(node);
}

}  // namespace capi::state
