#include "capi/cli/run_execution.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/progress_display.h"
#include "capi/cli/signal_watcher.h"
#include "capi/cli/text_table.h"
#include "capi/service/cluster_engine.h"

namespace capi::cli {

namespace {

void PrintBeginning(const service::Engine& engine, const service::RunSummary& started) {
  PrintDiagnostics(started.warnings, {});
  const std::string run = started.keyspace + " " +
                          (started.cluster.empty() ? "in " : "on the cluster ") +
                          (started.cluster.empty() ? started.data_directory : started.cluster) +
                          ", run " + std::to_string(started.run_id);
  const std::string kept = WithThousands(started.batches_kept) + " committed batches";
  if (engine.threads() == 0) {
    std::fprintf(stderr, "keyspace %s%s\n", run.c_str(),
                 started.resumed ? (" (begun before, " + kept + ")").c_str() : "");
    return;
  }
  std::fprintf(stderr, "keyspace %s%s, %d threads, memory limit %s\n", run.c_str(),
               started.resumed ? (" (resumed, " + kept + " kept)").c_str() : "", engine.threads(),
               HumanBytes(engine.memory_limit()).c_str());
}

Result<service::RunSummary> Execute(
    const config::Config& config, service::ExecutedBy executed_by,
    const service::RunOptions& options,
    const std::function<void(const service::RunSummary&)>& on_start) {
  SignalWatcher signals;  // before the engine makes threads, so that they inherit the mask
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<service::Engine> engine,
                        service::MakeEngine(config, executed_by));
  signals.Start([&engine](const char* reason) { engine->Cancel(reason); });
  std::unique_ptr<ProgressDisplay> display;
  Result<service::RunSummary> summary =
      engine->RunScript(options, [&](const service::RunSummary& started) {
        PrintBeginning(*engine, started);
        if (on_start != nullptr) on_start(started);
        display = std::make_unique<ProgressDisplay>([&] { return engine->Snapshot(); },
                                                    isatty(STDERR_FILENO) == 1);
      });
  if (display != nullptr) {
    workflow::RunSnapshot final;
    if (summary.ok()) {
      final.run_id = summary->run_id;
      final.nodes = summary->nodes;
    }
    display->Stop(final);
  }
  signals.Stop();
  return summary;
}

}  // namespace

void AddScriptOptions(CLI::App* command, RunArguments* arguments) {
  command->add_option("script", arguments->script, "Script file (.json or .yaml)")->required();
  command->add_option("--params", arguments->parameters, "Parameter file (.json or .yaml)");
  command->add_option("--set", arguments->overrides, "Parameter, name=value (repeatable)");
  command->add_option("--keyspace", arguments->keyspace,
                      "Where tables and history are kept (default: the script's file stem)");
}

void AddExecutionOptions(CLI::App* command, RunArguments* arguments) {
  command->add_option("--threads", arguments->threads, "Threads that compute (default: all cores)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--memory-limit", arguments->memory_limit,
                      "Such as 2GiB (default: 70 % of the memory)");
  command->add_option("--data-dir", arguments->data_directory,
                      "Where keyspaces are kept (default: setting data_dir, else "
                      "~/.local/share/capillaries)");
  command->add_flag("--strict", arguments->strict, "Warnings are errors");
}

std::vector<config::Override> SettingsOf(const RunArguments& arguments) {
  return {{"data_dir", arguments.data_directory, "--data-dir"},
          {"threads", arguments.threads, "--threads"},
          {"memory_limit", arguments.memory_limit, "--memory-limit"}};
}

Result<service::RunOptions> RunOptionsOf(const RunArguments& arguments) {
  service::RunOptions options;
  options.keyspace = arguments.keyspace;
  options.script.script_url = arguments.script;
  options.script.parameters_url = arguments.parameters;
  options.script.strict = arguments.strict;
  for (const std::string& text : arguments.overrides) {
    CAPI_ASSIGN_OR_RETURN(auto assignment, ParseAssignment(text));
    options.script.overrides.push_back(std::move(assignment));
  }
  options.start_nodes = SplitNames(arguments.start_nodes);
  return options;
}

Result<service::RunSummary> ExecuteRun(
    const config::Config& config, const service::RunOptions& options,
    const std::function<void(const service::RunSummary&)>& on_start) {
  return Execute(config, service::ExecutedBy::kDaemons, options, on_start);
}

Result<service::RunSummary> ExecuteNode(const config::Config& config,
                                        const service::RunOptions& options, const std::string& node,
                                        int64_t run_id) {
  service::RunOptions alone = options;
  alone.start_nodes = {node};
  alone.until_node = node;
  alone.run_id = run_id;
  alone.new_run = true;
  return Execute(config, service::ExecutedBy::kThisProcess, alone, nullptr);
}

int ExitCodeOf(const Status& status) {
  const ErrorKind kind = KindOf(status);
  if (kind == ErrorKind::kCancelled) return kExitInterrupted;
  return kind == ErrorKind::kUser ? kExitUsage : kExitFailed;
}

Status OutcomeOf(const service::RunSummary& summary) {
  const std::string run = "run " + std::to_string(summary.run_id);
  if (summary.interrupted) return Prefixed(summary.error, run + " was interrupted: ");
  if (!summary.error.ok()) return summary.error;
  if (summary.status == state::RunStatus::kStart) return Status::OK();  // goes on without us
  if (summary.status == state::RunStatus::kStop) return EnvironmentError(run + " was stopped");
  std::string failed;
  int64_t not_run = 0;
  for (const workflow::NodeSnapshot& node : summary.nodes) {
    if (node.status == state::NodeStatus::kSuccess) continue;
    // Its reason is told by the node that failed before it, unless that was in another run.
    if (node.error.error_class == "dependency_failed" && !failed.empty()) {
      ++not_run;
      continue;
    }
    failed += (failed.empty() ? "" : "; ") + node.name +
              (node.error.empty() ? "" : ": " + node.error.text);
  }
  if (failed.empty()) return Status::OK();
  if (not_run > 0) failed += "; nodes not run because of them: " + std::to_string(not_run);
  return EnvironmentError(run + " has failed nodes: " + failed);
}

}  // namespace capi::cli
