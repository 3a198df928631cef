#include "capi/service/workflow_events.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "capi/script/model.h"
#include "capi/service/history.h"
#include "capi/workflow/attempt_records.h"
#include "capi/workflow/token_split.h"

namespace capi::service {

namespace {

template <typename T>
bool Accepts(const std::vector<T>& allowed, const T& value) {
  return allowed.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end();
}

/// Events of one kind that the filter lets through, in the order in which they happened.
Result<std::vector<state::Event>> Filtered(const KeyspaceOptions& keyspace, state::EventKind kind,
                                           const EventFilter& filter) {
  CAPI_ASSIGN_OR_RETURN(std::vector<state::Event> events, EventsOf(keyspace));
  std::erase_if(events, [&](const state::Event& event) {
    return event.kind != kind || !Accepts(filter.run_ids, event.run_id) ||
           !Accepts(filter.nodes, event.node);
  });
  return events;
}

/// What a node of a run adds to the events of its batches.
struct NodeDetails {
  bool reads_files = false;
  int64_t batches_total = 0;
  std::map<int64_t, state::BatchRecord> batches;
};

using NodeKey = std::pair<int64_t, std::string>;  // run id, name

Result<std::map<NodeKey, NodeDetails>> DetailsOf(state::StateStore* state,
                                                 const std::vector<state::Event>& events) {
  std::set<int64_t> run_ids;
  std::set<NodeKey> wanted;
  for (const state::Event& event : events) {
    run_ids.insert(event.run_id);
    wanted.insert({event.run_id, event.node});
  }
  std::map<NodeKey, NodeDetails> details;
  for (const int64_t run_id : run_ids) {
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes, state->Nodes(run_id));
    for (const state::NodeRecord& node : nodes) {
      if (!wanted.contains({run_id, node.name})) continue;
      NodeDetails& item = details[{run_id, node.name}];
      item.reads_files = node.type == script::NodeTypeName(script::NodeType::kFileTable);
      item.batches_total = node.batches_total;
      CAPI_ASSIGN_OR_RETURN(std::vector<state::BatchRecord> batches, state->Batches(node.id));
      for (state::BatchRecord& batch : batches) {
        const int64_t index = batch.id.batch_index;
        item.batches.emplace(index, std::move(batch));
      }
    }
  }
  return details;
}

std::string CommentOf(const state::Event& event, const state::BatchRecord& batch) {
  if (!event.comment.empty() || batch.counts.empty() ||
      event.status != static_cast<int>(state::NodeStatus::kSuccess)) {
    return event.comment;
  }
  const node::RowCounts counts = workflow::CountsFromJson(batch.counts);
  return "row_reads: " + std::to_string(counts.in) + "; row_writes: " + std::to_string(counts.out);
}

}  // namespace

Result<std::vector<RunEvent>> RunEventsOf(const KeyspaceOptions& keyspace) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::Event> events,
                        Filtered(keyspace, state::EventKind::kRun, {}));
  std::vector<RunEvent> rows;
  std::set<std::pair<int64_t, int>> seen;
  for (const state::Event& event : events) {
    if (!seen.insert({event.run_id, event.status}).second) continue;
    rows.push_back(
        {event.ts_ms, event.run_id, static_cast<state::RunStatus>(event.status), event.comment});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const RunEvent& left, const RunEvent& right) {
    return std::tie(left.ts_ms, left.run_id) < std::tie(right.ts_ms, right.run_id);
  });
  return rows;
}

std::vector<NodeEvent> SelectNodeEvents(std::vector<NodeEvent> events) {
  std::map<std::tuple<int64_t, std::string, state::NodeStatus>, NodeEvent> chosen;
  for (NodeEvent& event : events) {
    const auto [place, is_new] =
        chosen.try_emplace(std::make_tuple(event.run_id, event.node, event.status), event);
    if (is_new) continue;
    NodeEvent& former = place->second;
    const bool better = event.ts_ms == former.ts_ms
                            ? event.written_by_batch < former.written_by_batch
                        : event.status == state::NodeStatus::kStart ? event.ts_ms < former.ts_ms
                                                                    : event.ts_ms > former.ts_ms;
    if (better) former = std::move(event);
  }
  std::vector<NodeEvent> rows;
  rows.reserve(chosen.size());
  for (auto& [key, event] : chosen) rows.push_back(std::move(event));
  // Stable: a start stays before the end at the same moment.
  std::stable_sort(rows.begin(), rows.end(), [](const NodeEvent& left, const NodeEvent& right) {
    return std::tie(left.ts_ms, left.run_id, left.written_by_batch) <
           std::tie(right.ts_ms, right.run_id, right.written_by_batch);
  });
  return rows;
}

Result<std::vector<NodeEvent>> NodeEventsOf(const KeyspaceOptions& keyspace,
                                            const EventFilter& filter) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::Event> events,
                        Filtered(keyspace, state::EventKind::kNode, filter));
  std::vector<NodeEvent> rows;
  for (const state::Event& event : events) {
    // A node without batches is started by its finish task.
    rows.push_back({event.ts_ms, event.run_id, event.node, std::max<int64_t>(event.batch_index, 0),
                    static_cast<state::NodeStatus>(event.status), event.comment});
  }
  return SelectNodeEvents(std::move(rows));
}

Result<std::vector<BatchEvent>> BatchEventsOf(const KeyspaceOptions& options,
                                              const EventFilter& filter) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::Event> events,
                        Filtered(options, state::EventKind::kBatch, filter));
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  CAPI_ASSIGN_OR_RETURN(const auto details, DetailsOf(keyspace->state(), events));
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, keyspace->state()->Owners());
  std::map<state::OwnerId, std::string> instances;
  for (const state::OwnerRecord& owner : owners) instances[owner.owner] = owner.instance;

  std::map<std::tuple<int64_t, std::string, int64_t, int>, BatchEvent> chosen;
  for (const state::Event& event : events) {
    BatchEvent row;
    row.ts_ms = event.ts_ms;
    row.run_id = event.run_id;
    row.node = event.node;
    row.batch_index = event.batch_index;
    row.status = static_cast<state::NodeStatus>(event.status);
    row.comment = event.comment;
    if (const auto found = details.find({event.run_id, event.node}); found != details.end()) {
      const NodeDetails& node = found->second;
      row.batches_total = node.batches_total;
      const workflow::TokenInterval tokens =
          workflow::TokensOfBatch(node.reads_files, event.batch_index, node.batches_total);
      row.first_token = tokens.first;
      row.last_token = tokens.last;
      if (const auto batch = node.batches.find(event.batch_index); batch != node.batches.end()) {
        row.comment = CommentOf(event, batch->second);
        const auto instance = instances.find(batch->second.owner);
        if (instance != instances.end()) row.instance = instance->second;
      }
    }
    chosen[{event.run_id, event.node, event.batch_index, event.status}] = std::move(row);
  }
  std::vector<BatchEvent> rows;
  rows.reserve(chosen.size());
  for (auto& [key, row] : chosen) rows.push_back(std::move(row));
  std::stable_sort(rows.begin(), rows.end(), [](const BatchEvent& left, const BatchEvent& right) {
    return std::tie(left.ts_ms, left.run_id, left.batch_index) <
           std::tie(right.ts_ms, right.run_id, right.batch_index);
  });
  return rows;
}

}  // namespace capi::service
