// start_run, stop_run, exec_node, drop_keyspace, check_db_connectivity, check_queue_connectivity.

#include <cstdio>
#include <string>
#include <vector>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/go_duration.h"
#include "capi/cli/run_execution.h"
#include "capi/cli/toolbelt_internal.h"
#include "capi/service/connectivity.h"
#include "capi/service/history.h"

namespace capi::cli {

namespace {

using Type = GoFlags::Type;

/// Keyspace and script of the flags; nothing may be started with wrong ones.
Result<service::RunOptions> RunOptionsOfFlags(const GoFlags& flags) {
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"keyspace"}));
  CAPI_RETURN_NOT_OK(CheckKeyspaceFlag(flags.Text("keyspace")));
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"script_file"}));
  service::RunOptions options;
  options.keyspace = flags.Text("keyspace");
  options.script.script_url = flags.Text("script_file");
  options.script.parameters_url = flags.Text("params_file");
  options.new_run = true;
  return options;
}

// ---- start_run

void DefineStartRun(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  DefineScriptFlags(flags);
  flags->Define("start_nodes", Type::kString, "",
                "Names of the nodes to start, comma separated. On a cluster this command returns "
                "when the run has begun. Without a cluster the run is "
                "executed by this command, which returns when it has ended; the run id is printed "
                "when it begins. Failed nodes are no failure of this command: ask "
                "get_node_history");
}

Result<int> StartRun(const GoFlags& flags, const config::Config& config) {
  CAPI_ASSIGN_OR_RETURN(service::RunOptions options, RunOptionsOfFlags(flags));
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"start_nodes"}));
  CAPI_ASSIGN_OR_RETURN(options.start_nodes, StartNodesOfFlags(flags));
  options.description = "started by Toolbelt";
  options.start_comment = "api.StartRun";
  options.follow = false;
  const auto on_start = [](const service::RunSummary& started) {
    std::printf("%lld\n", static_cast<long long>(started.run_id));
    std::fflush(stdout);
  };
  CAPI_ASSIGN_OR_RETURN(const service::RunSummary summary, ExecuteRun(config, options, on_start));
  if (!summary.script_errors.empty()) return ScriptError(flags, summary.script_errors);
  const Status outcome = OutcomeOf(summary);
  if (summary.interrupted) return outcome;
  // The run is complete, which is what those who wait for it ask for.
  if (!outcome.ok()) PrintDiagnostics({}, {outcome});
  return kExitOk;
}

// ---- exec_node

void DefineExecNode(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  DefineScriptFlags(flags);
  flags->Define("node_id", Type::kString, "", "Name of the node whose batches are executed");
  flags->Define("run_id", Type::kInt, "0", "Unfinished run of this node to resume; 0 = a new run");
}

Result<int> ExecNode(const GoFlags& flags, const config::Config& config) {
  CAPI_ASSIGN_OR_RETURN(service::RunOptions options, RunOptionsOfFlags(flags));
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"node_id"}));
  if (flags.Int("run_id") != 0) CAPI_RETURN_NOT_OK(CheckRunId(flags));
  const std::string& node = flags.Text("node_id");
  options.description = "started by Toolbelt direct RunNode";
  options.start_comment = "Toolbelt RunNode(" + node + ")";
  const int64_t begin = Env::Default()->MonotonicNanos();
  const Result<service::RunSummary> summary =
      ExecuteNode(config, options, node, flags.Int("run_id"));
  if (!summary.ok()) {
    if (InfoOf(summary.status()).error_class != "unknown_node") return summary.status();
    return Prefixed(summary.status(), "cannot find node to start with: " + node +
                                          " in the script " + flags.Text("script_file") + ": ");
  }
  if (!summary->script_errors.empty()) return ScriptError(flags, summary->script_errors);
  std::printf("run %lld, elapsed %s\n", static_cast<long long>(summary->run_id),
              GoDuration(Env::Default()->MonotonicNanos() - begin).c_str());
  CAPI_RETURN_NOT_OK(OutcomeOf(*summary));
  return kExitOk;
}

// ---- stop_run

void DefineStopRun(GoFlags* flags) {
  DefineKeyspaceFlag(flags);
  flags->Define("run_id", Type::kInt, "0", "Run to stop for good; it must exist");
}

Result<int> StopRun(const GoFlags& flags, const config::Config& config) {
  CAPI_ASSIGN_OR_RETURN(const service::KeyspaceOptions keyspace, KeyspaceOfFlags(flags, config));
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"run_id"}));
  CAPI_RETURN_NOT_OK(CheckRunId(flags));
  CAPI_RETURN_NOT_OK(service::StopRun(keyspace, flags.Int("run_id"), "stopped by toolbelt"));
  return kExitOk;
}

// ---- drop_keyspace

Result<int> DropKeyspace(const GoFlags& flags, const config::Config& config) {
  CAPI_ASSIGN_OR_RETURN(const service::KeyspaceOptions keyspace, KeyspaceOfFlags(flags, config));
  const Status status = service::Keyspace::Drop(keyspace);
  if (!status.ok() && InfoOf(status).error_class != "unknown_keyspace") return status;
  return kExitOk;
}

// ---- Connectivity

void DefineNothing(GoFlags*) {}

int PrintConnectivity(const service::Connectivity& connectivity) {
  std::printf("OK: %s\n", connectivity.endpoint.c_str());
  if (!connectivity.note.empty()) std::fprintf(stderr, "%s\n", connectivity.note.c_str());
  return kExitOk;
}

Result<int> CheckDatabase(const GoFlags&, const config::Config& config) {
  CAPI_ASSIGN_OR_RETURN(const service::Connectivity answer, service::CheckDatabase(config));
  return PrintConnectivity(answer);
}

Result<int> CheckQueue(const GoFlags&, const config::Config& config) {
  CAPI_ASSIGN_OR_RETURN(const service::Connectivity answer, service::CheckQueue(config));
  return PrintConnectivity(answer);
}

}  // namespace

std::vector<ToolbeltCommand> ToolbeltRunCommands() {
  return {{"start_run", "", DefineStartRun, StartRun},
          {"stop_run", "", DefineStopRun, StopRun},
          {"exec_node", "", DefineExecNode, ExecNode},
          {"drop_keyspace", "", DefineKeyspaceFlag, DropKeyspace},
          {"check_db_connectivity", "", DefineNothing, CheckDatabase},
          {"check_queue_connectivity", "", DefineNothing, CheckQueue}};
}

}  // namespace capi::cli
