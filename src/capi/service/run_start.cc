#include "capi/service/run_start.h"

#include <string>
#include <utility>
#include <vector>

#include "capi/service/input_patterns.h"
#include "capi/service/keyspace.h"

namespace capi::service {

namespace {

/// nullopt: a new run is to be made.
Result<std::optional<state::RunRecord>> FindRunToResume(const workflow::RunPlan& plan,
                                                        const RunOptions& options,
                                                        state::StateStore* state) {
  if (options.run_id != 0) {
    CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run,
                          state->FindRun(options.run_id));
    const std::string number = std::to_string(options.run_id);
    if (!run) return UserError("unknown_run", "no such run: " + number);
    if (workflow::MayResume(*run, plan)) return run;
    const bool ended = run->status != state::RunStatus::kStart;
    return UserError(
        "run_not_resumable",
        "run " + number +
            (ended ? " has ended, and what a run has made is never overwritten"
                   : " was started with another script, other parameters, nodes or strictness") +
            "; leave the run id out to make a new run");
  }
  if (options.new_run) return std::nullopt;
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::RunRecord> runs, state->Runs());
  if (runs.empty() || !workflow::MayResume(runs.back(), plan)) return std::nullopt;
  return runs.back();
}

}  // namespace

Result<std::optional<PreparedRun>> PrepareRun(const RunOptions& options, files::Files* files,
                                              RunSummary* summary) {
  summary->keyspace =
      options.keyspace.empty() ? DefaultKeyspace(options.script.script_url) : options.keyspace;
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(summary->keyspace));
  script::LoadResult loaded = script::LoadScript(options.script, files);
  summary->warnings = std::move(loaded.warnings);
  summary->script_errors = std::move(loaded.errors);
  if (loaded.script == nullptr) return std::nullopt;
  workflow::RunRequest request;
  request.start_nodes = options.start_nodes;
  request.until_node = options.until_node;
  request.description = options.description;
  PreparedRun prepared;
  CAPI_ASSIGN_OR_RETURN(prepared.plan, workflow::PlanRun(*loaded.script, request));
  prepared.script = std::move(loaded.script);
  return prepared;
}

Result<state::RunRecord> FindOrCreateRun(Env* env, files::Files* files, const RunOptions& options,
                                         state::StateStore* state, PreparedRun* prepared,
                                         RunSummary* summary) {
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> former,
                        FindRunToResume(prepared->plan, options, state));
  if (former) {
    summary->resumed = true;
    summary->run_id = former->run_id;
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes,
                          state->Nodes(summary->run_id));
    prepared->script = WithRecordedUrls(prepared->script, nodes);
    return *former;
  }
  CAPI_RETURN_NOT_OK(ExpandPatterns(files, *prepared->script, &prepared->plan));
  prepared->script = WithRecordedUrls(prepared->script, prepared->plan.nodes);
  state::RunRecord run = prepared->plan.run;
  run.started_ms = env->NowMillis();
  run.now_ms = run.started_ms;
  run.comment = options.start_comment;
  CAPI_ASSIGN_OR_RETURN(run.run_id, state->CreateRun(run, prepared->plan.nodes));
  run.status = state::RunStatus::kStart;
  summary->run_id = run.run_id;
  return run;
}

Status SummarizeRun(state::StateStore* state, RunSummary* summary) {
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run, state->FindRun(summary->run_id));
  if (run) summary->status = run->status;
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes, state->Nodes(summary->run_id));
  for (const state::NodeRecord& node : nodes) {
    if (node.type != script::NodeTypeName(script::NodeType::kFileTable)) continue;
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> batches, state->Batches(node.id));
    for (const state::BatchRecord& batch : batches) {
      if (!batch.input.empty()) summary->inputs.push_back({node.name, batch.input});
    }
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::FileRecord> files,
                        state->Files(summary->run_id, state::FileState::kPublished));
  for (const state::FileRecord& file : files) {
    const auto index = static_cast<size_t>(file.id.node.node_index);
    summary->files.push_back(
        {run && index < run->affected_nodes.size() ? run->affected_nodes[index] : "", file.target,
         file.rows, file.size});
  }
  return Status::OK();
}

}  // namespace capi::service
