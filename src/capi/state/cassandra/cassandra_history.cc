// The history tables of the original, and the change feed read from them.

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "capi/state/cassandra/cassandra_store_internal.h"
#include "capi/state/cassandra/requests_internal.h"

namespace capi::state {

namespace {

constexpr int kHashBits = 20;
/// Rows of batches may still be written after the end of their run, when it was stopped.
constexpr int64_t kLateMs = 600000;

/// FNV-1a of the row's key, cut to the low bits of an event's number.
int64_t KeyHash(const Event& event) {
  const std::string key = std::to_string(static_cast<int>(event.kind)) + "/" +
                          std::to_string(event.run_id) + "/" + std::to_string(event.batch_index) +
                          "/" + std::to_string(event.status) + "/" + event.node;
  uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : key) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  }
  return static_cast<int64_t>((hash ^ hash >> 32) & ((uint64_t{1} << kHashBits) - 1));
}

void AddEvent(Event event, int64_t after, std::vector<Event>* events) {
  event.number = (event.ts_ms << kHashBits) | KeyHash(event);
  if (event.number > after) events->push_back(std::move(event));
}

/// Columns of kSelectNodeHistory and kSelectBatchHistory.
void AddEvents(const cql::Rows& rows, EventKind kind, int64_t run_id, int64_t after,
               std::vector<Event>* events) {
  for (int64_t row = 0; row < rows.size(); ++row) {
    Event event;
    event.kind = kind;
    event.run_id = run_id;
    event.ts_ms = rows.Integer(row, 0);
    event.node = rows.Text(row, 1);
    event.batch_index = rows.Integer(row, 2);
    event.status = static_cast<int>(rows.Integer(row, 3));
    event.comment = rows.Text(row, 4);
    AddEvent(std::move(event), after, events);
  }
}

}  // namespace

Status CassandraStore::WriteRunHistory(int64_t run_id, RunStatus status,
                                       const std::string& comment) {
  CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kInsertRunHistory));
  insert.values.Int(static_cast<int32_t>(run_id))
      .TinyInt(static_cast<int8_t>(status))
      .Text(comment);
  return Once(std::move(insert));
}

Result<cql::Request> CassandraStore::NodeHistory(const NodeId& node, const std::string& name,
                                                 int64_t batch_index, NodeStatus status,
                                                 const std::string& comment) {
  CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kInsertNodeHistory));
  insert.values.Int(static_cast<int32_t>(node.run_id))
      .Text(name)
      .Int(static_cast<int32_t>(std::max<int64_t>(batch_index, 0)))
      .TinyInt(static_cast<int8_t>(status))
      .Text(comment);
  return insert;
}

Result<cql::Request> CassandraStore::BatchHistory(const BatchId& batch, const NodeFacts& facts,
                                                  OwnerId owner, NodeStatus status,
                                                  const std::string& comment) {
  const auto [first, last] = TokensOf(facts.reads_files, batch.batch_index, facts.batches_total);
  CAPI_ASSIGN_OR_RETURN(cql::Request insert, statements_.Make(Cql::kInsertBatchHistory));
  insert.values.Int(static_cast<int32_t>(batch.node.run_id))
      .Text(facts.name)
      .Int(static_cast<int32_t>(batch.batch_index))
      .Int(static_cast<int32_t>(facts.batches_total))
      .TinyInt(static_cast<int8_t>(status))
      .BigInt(first)
      .BigInt(last)
      .Text(InstanceOf(owner))
      .BigInt(gettid())
      .Text(Utf8Of(comment));
  return insert;
}

/// Ends of batches are written after their commit; a process that died in between left some out.
Status CassandraStore::RepairBatchHistory(const NodeId& node) {
  CAPI_ASSIGN_OR_RETURN(const auto facts, OldFacts(node));
  if (!facts || facts->num_told >= facts->batches_total) return Status::OK();
  CAPI_ASSIGN_OR_RETURN(const auto batches, ReadBatchRows(node, 0, facts->batches_total));
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectBatchEnds));
  select.values.Int(static_cast<int32_t>(node.run_id)).Text(facts->name);
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  std::set<int64_t> told;
  for (int64_t row = 0; row < rows.size(); ++row) {
    if (IsEnd(static_cast<NodeStatus>(rows.Integer(row, 1)))) told.insert(rows.Integer(row, 0));
  }
  std::vector<cql::Request> requests;
  for (const auto& [index, row] : batches) {
    const BatchRecord& batch = row.batch;
    if (!IsEnd(batch.status) || told.contains(index)) continue;
    CAPI_ASSIGN_OR_RETURN(cql::Request insert, BatchHistory(batch.id, *facts, batch.owner,
                                                            batch.status, batch.error.text));
    requests.push_back(std::move(insert));
  }
  return WriteMany(session_, std::move(requests));
}

Status CassandraStore::RepairNodeHistory(int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<NodeRow> nodes, ReadNodes(run_id));
  CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(Cql::kSelectNodeEnds));
  select.values.Int(static_cast<int32_t>(run_id));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(select)));
  std::set<std::string, std::less<>> told;
  for (int64_t row = 0; row < rows.size(); ++row) {
    if (IsEnd(static_cast<NodeStatus>(rows.Integer(row, 1)))) told.emplace(rows.Text(row, 0));
  }
  std::vector<cql::Request> requests;
  for (const NodeRow& row : nodes) {
    const NodeRecord& node = row.node;
    if (!IsEnd(node.status) || told.contains(node.name)) continue;
    CAPI_RETURN_NOT_OK(RepairBatchHistory(node.id));
    CAPI_ASSIGN_OR_RETURN(cql::Request insert,
                          NodeHistory(node.id, node.name, 0, node.status, node.error.text));
    requests.push_back(std::move(insert));
  }
  return WriteMany(session_, std::move(requests));
}

Result<std::vector<Event>> CassandraStore::EventsAfter(int64_t after, int64_t limit) {
  const int64_t after_ms = after >> kHashBits;
  CAPI_ASSIGN_OR_RETURN(cql::Request runs, statements_.Make(Cql::kSelectAllRunHistory));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, Read(std::move(runs)));
  std::vector<Event> events;
  std::map<int64_t, int64_t> ended_ms;  // by run; 0: goes on
  for (int64_t row = 0; row < rows.size(); ++row) {
    Event event;
    event.ts_ms = rows.Integer(row, 0);
    event.run_id = rows.Integer(row, 1);
    event.status = static_cast<int>(rows.Integer(row, 2));
    event.comment = rows.Text(row, 3);
    int64_t& ended = ended_ms[event.run_id];
    if (event.status != static_cast<int>(RunStatus::kStart)) ended = std::max(ended, event.ts_ms);
    AddEvent(std::move(event), after, &events);
  }
  std::vector<cql::Request> requests;
  std::vector<int64_t> run_ids;
  for (const auto& [run_id, ended] : ended_ms) {
    if (ended != 0 && ended + kLateMs < after_ms) continue;
    for (const Cql id : {Cql::kSelectNodeHistory, Cql::kSelectBatchHistory}) {
      CAPI_ASSIGN_OR_RETURN(cql::Request select, statements_.Make(id));
      select.values.Int(static_cast<int32_t>(run_id)).Timestamp(after_ms);
      requests.push_back(std::move(select));
    }
    run_ids.push_back(run_id);
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<cql::Rows> found,
                        ReadMany(session_, std::move(requests)));
  for (size_t i = 0; i < run_ids.size(); ++i) {
    AddEvents(found[2 * i], EventKind::kNode, run_ids[i], after, &events);
    AddEvents(found[2 * i + 1], EventKind::kBatch, run_ids[i], after, &events);
  }
  std::sort(events.begin(), events.end(),
            [](const Event& left, const Event& right) { return left.number < right.number; });
  if (static_cast<int64_t>(events.size()) > limit) {
    // Events that have the same number come together, or the next call would leave some out.
    auto size = static_cast<size_t>(std::max<int64_t>(limit, 0));
    while (size > 1 && events[size - 1].number == events[size].number) --size;
    events.resize(size);
  }
  return events;
}

}  // namespace capi::state
