#include "capi/service/history.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "capi/base/near_name.h"
#include "capi/service/run_problems.h"
#include "capi/workflow/attempt_records.h"

namespace capi::service {

namespace {

Status CheckRun(state::StateStore* state, int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run, state->FindRun(run_id));
  if (run) return Status::OK();
  return UserError("unknown_run", "no such run: " + std::to_string(run_id));
}

}  // namespace

Result<std::vector<std::string>> ListKeyspaces(const KeyspaceOptions& where) {
  if (where.cluster != nullptr) return where.cluster->Keyspaces();
  Env* env = where.env;
  const std::string& data_directory = where.data_directory;
  std::vector<std::string> keyspaces;
  CAPI_ASSIGN_OR_RETURN(const bool exists, env->Exists(data_directory));
  if (!exists) return keyspaces;
  CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names, env->ListDirectory(data_directory));
  for (const std::string& name : names) {
    if (!CheckKeyspaceName(name).ok()) continue;
    CAPI_ASSIGN_OR_RETURN(const bool is_keyspace,
                          env->Exists(data_directory + "/" + name + "/state.db"));
    if (is_keyspace) keyspaces.push_back(name);
  }
  return keyspaces;
}

Result<std::vector<RunHistory>> RunsOf(const KeyspaceOptions& options) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  CAPI_ASSIGN_OR_RETURN(const bool in_use, keyspace->InUse());
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, keyspace->state()->Owners());
  CAPI_ASSIGN_OR_RETURN(std::vector<state::RunRecord> runs, keyspace->state()->Runs());
  std::vector<RunHistory> history;
  for (state::RunRecord& run : runs) {
    RunHistory item;
    item.interrupted = run.status == state::RunStatus::kStart && !in_use;
    if (run.status == state::RunStatus::kStart) item.problems = ProblemsOf(owners, run.run_id);
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes,
                          keyspace->state()->Nodes(run.run_id));
    item.num_nodes = static_cast<int64_t>(nodes.size());
    for (const state::NodeRecord& node : nodes) {
      item.num_succeeded += node.status == state::NodeStatus::kSuccess ? 1 : 0;
      item.num_failed += node.status == state::NodeStatus::kFail ? 1 : 0;
    }
    item.run = std::move(run);
    history.push_back(std::move(item));
  }
  return history;
}

Result<std::vector<NodeHistory>> NodesOf(const KeyspaceOptions& options, int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  CAPI_RETURN_NOT_OK(CheckRun(keyspace->state(), run_id));
  CAPI_ASSIGN_OR_RETURN(std::vector<state::NodeRecord> nodes, keyspace->state()->Nodes(run_id));
  std::vector<NodeHistory> history;
  for (state::NodeRecord& node : nodes) {
    NodeHistory item;
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> batches,
                          keyspace->state()->Batches(node.id));
    for (const state::BatchRecord& batch : batches) {
      if (batch.id.batch_index == state::kFinishBatch) continue;
      if (batch.status == state::NodeStatus::kSuccess) {
        ++item.batches_succeeded;
        item.counts += workflow::CountsFromJson(batch.counts);
      } else if (batch.status == state::NodeStatus::kFail) {
        ++item.batches_failed;
      }
    }
    if (state::IsEnd(node.status)) item.counts = workflow::CountsFromJson(node.counts);
    item.node = std::move(node);
    history.push_back(std::move(item));
  }
  return history;
}

Result<std::vector<BatchHistory>> BatchesOf(const KeyspaceOptions& options, int64_t run_id,
                                            const std::string& node_name) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  CAPI_RETURN_NOT_OK(CheckRun(keyspace->state(), run_id));
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes,
                        keyspace->state()->Nodes(run_id));
  const auto node = std::find_if(nodes.begin(), nodes.end(), [&](const state::NodeRecord& record) {
    return record.name == node_name;
  });
  if (node == nodes.end()) {
    std::vector<std::string> names;
    for (const state::NodeRecord& record : nodes) names.push_back(record.name);
    const std::string near = NearestName(node_name, names);
    return UserError("unknown_node", "no such node in the run: " + node_name +
                                         (near.empty() ? "" : " (did you mean " + near + "?)"));
  }
  CAPI_ASSIGN_OR_RETURN(std::vector<state::BatchRecord> batches,
                        keyspace->state()->Batches(node->id));
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::FormerAttempt> attempts,
                        keyspace->state()->FormerAttempts(node->id));
  std::vector<BatchHistory> history;
  auto attempt = attempts.begin();
  for (state::BatchRecord& batch : batches) {
    BatchHistory item;
    item.counts = workflow::CountsFromJson(batch.counts);
    // Both lists are sorted by batch index.
    while (attempt != attempts.end() && attempt->id.batch_index == batch.id.batch_index) {
      item.former_attempts.push_back(*attempt++);
    }
    if (batch.id.batch_index == state::kFinishBatch) continue;
    item.batch = std::move(batch);
    history.push_back(std::move(item));
  }
  return history;
}

Result<std::vector<state::FileRecord>> FilesOf(const KeyspaceOptions& options, int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  CAPI_RETURN_NOT_OK(CheckRun(keyspace->state(), run_id));
  return keyspace->state()->Files(run_id, std::nullopt);
}

Result<std::vector<state::Event>> EventsOf(const KeyspaceOptions& options) {
  constexpr int64_t kAtOnce = 10000;
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  std::vector<state::Event> events;
  while (true) {
    const int64_t last = events.empty() ? 0 : events.back().number;
    CAPI_ASSIGN_OR_RETURN(std::vector<state::Event> more,
                          keyspace->state()->EventsAfter(last, kAtOnce));
    if (more.empty()) return events;
    std::move(more.begin(), more.end(), std::back_inserter(events));
  }
}

Result<int64_t> NewestRun(const KeyspaceOptions& options) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForReading(options));
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::RunRecord> runs, keyspace->state()->Runs());
  if (runs.empty()) return UserError("no_runs", "the keyspace has no runs: " + options.name);
  return runs.back().run_id;
}

Status StopRun(const KeyspaceOptions& options, int64_t run_id, const std::string& comment) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace, Keyspace::OpenForOrders(options));
  CAPI_RETURN_NOT_OK(keyspace->state()->StopRun(run_id, comment));
  return keyspace->state()->Sync();
}

}  // namespace capi::service
