// start: a new run whose id is told to scripts; exec-node: a new run of one node.

#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/result_table.h"
#include "capi/cli/run_execution.h"
#include "capi/service/keyspace.h"

namespace capi::cli {

namespace {

using Kind = ResultColumn::Kind;

struct StartArguments : RunArguments {
  bool wait = false;
  std::string output = "id";
};

struct ExecNodeArguments : RunArguments {
  std::string node;
  int64_t run_id = 0;
  std::string output = "table";
};

std::string StatusText(const service::RunSummary& summary) {
  return summary.interrupted ? "interrupted" : std::string(RunStatusName(summary.status));
}

int64_t NumFailed(const service::RunSummary& summary) {
  int64_t failed = 0;
  for (const workflow::NodeSnapshot& node : summary.nodes) {
    failed += node.status == state::NodeStatus::kFail ? 1 : 0;
  }
  return failed;
}

/// A refused or unknown script, or nothing started; kExitOk if there is a summary of a run.
int Complain(const Result<service::RunSummary>& summary) {
  if (!summary.ok()) {
    PrintDiagnostics({}, {summary.status()});
    return ExitCodeOf(summary.status());
  }
  if (summary->script_errors.empty()) return kExitOk;
  PrintDiagnostics(summary->warnings, summary->script_errors);
  return kExitUsage;
}

int Start(const CLI::App& app, const StartArguments& arguments) {
  const std::optional<config::Config> config = LoadConfig(app, SettingsOf(arguments));
  if (!config) return kExitUsage;
  Result<service::RunOptions> options = RunOptionsOf(arguments);
  if (options.ok() && options->start_nodes.empty()) {
    options = UserError("usage", "--start-nodes names no node");
  }
  if (!options.ok()) {
    PrintDiagnostics({}, {options.status()});
    return kExitUsage;
  }
  options->new_run = true;
  options->description = "started by capi start";
  options->start_comment = "capi start";
  options->follow = arguments.wait;
  const auto on_start = [&](const service::RunSummary& started) {
    if (arguments.output != "id") return;
    std::printf("%lld\n", static_cast<long long>(started.run_id));
    std::fflush(stdout);
  };
  const Result<service::RunSummary> summary = ExecuteRun(*config, *options, on_start);
  if (const int problem = Complain(summary); problem != kExitOk) return problem;
  if (arguments.output != "id") {
    ResultTable table({{"keyspace"},
                       {"run", Kind::kId},
                       {"status"},
                       {"nodes", Kind::kNumber},
                       {"failed", Kind::kNumber},
                       {"time", Kind::kDuration}});
    table.AddRow({summary->keyspace, summary->run_id, StatusText(*summary),
                  static_cast<int64_t>(summary->nodes.size()), NumFailed(*summary),
                  summary->elapsed_ms});
    std::printf("%s", table.ToText(arguments.output).c_str());
  }
  const Status outcome = OutcomeOf(*summary);
  if (!outcome.ok()) PrintDiagnostics({}, {outcome});
  return summary->interrupted ? ExitCodeOf(outcome) : kExitOk;
}

int ExecNode(const CLI::App& app, const ExecNodeArguments& arguments) {
  const std::optional<config::Config> config = LoadConfig(app, SettingsOf(arguments));
  if (!config) return kExitUsage;
  Result<service::RunOptions> options = RunOptionsOf(arguments);
  if (!options.ok()) {
    PrintDiagnostics({}, {options.status()});
    return kExitUsage;
  }
  options->description = "started by capi exec-node";
  options->start_comment = "capi exec-node " + arguments.node;
  const Result<service::RunSummary> summary =
      ExecuteNode(*config, *options, arguments.node, arguments.run_id);
  if (const int problem = Complain(summary); problem != kExitOk) return problem;
  ResultTable table({{"run", Kind::kId},
                     {"node"},
                     {"status"},
                     {"batches", Kind::kNumber},
                     {"rows in", Kind::kNumber},
                     {"rows out", Kind::kNumber},
                     {"time", Kind::kDuration},
                     {"error"}});
  for (const workflow::NodeSnapshot& node : summary->nodes) {
    table.AddRow({summary->run_id, node.name, std::string(NodeStatusName(node.status)),
                  node.batches_total, node.counts.in, node.counts.out, summary->elapsed_ms,
                  node.error.text});
  }
  std::printf("%s", table.ToText(arguments.output).c_str());
  const Status outcome = OutcomeOf(*summary);
  if (outcome.ok()) return kExitOk;
  PrintDiagnostics({}, {outcome});
  return summary->interrupted ? ExitCodeOf(outcome) : kExitFailed;
}

}  // namespace

void AddStartCommands(CLI::App* app, int* exit_code) {
  auto start = std::make_shared<StartArguments>();
  CLI::App* command = app->add_subcommand("start", "Start a new run and print its id");
  AddScriptOptions(command, start.get());
  command->add_option("--start-nodes", start->start_nodes, "Nodes to start, a,b")->required();
  AddExecutionOptions(command, start.get());
  command->add_flag("--wait", start->wait,
                    "On a cluster: return when the run has ended (without a cluster always)");
  command
      ->add_option("--output", start->output,
                   "id (default: only the run id, at once), or of the run: table, json, csv")
      ->check(CLI::IsMember({"id", "table", "json", "csv"}));
  command->footer(
      "On a cluster daemons execute the run, and this command returns at once. Without a cluster\n"
      "the run is executed by this command, which returns when it has ended; the run id is\n"
      "printed when it begins. As for those who go on to ask for the history, "
      "failed\n"
      "nodes are no failure of this command: see capi history, or use capi run.\n"
      "Exit codes: 0 the run ended, 1 it could not go on, 2 usage or script error,\n"
      "  130 interrupted (capi run with the same script and nodes resumes it)\n"
      "Example: run=$(capi start script.json --keyspace k --start-nodes read_a,read_b)");
  command->callback([app, start, exit_code] { *exit_code = Start(*app, *start); });

  auto exec = std::make_shared<ExecNodeArguments>();
  command = app->add_subcommand("exec-node", "Run the batches of one node");
  AddScriptOptions(command, exec.get());
  command->add_option("node", exec->node, "The node")->required();
  command
      ->add_option("--run", exec->run_id,
                   "Resume this unfinished run of the node (default: make a new run)")
      ->check(CLI::PositiveNumber);
  AddExecutionOptions(command, exec.get());
  AddOutputOption(command, &exec->output);
  command->footer(
      "Tables the node reads come from earlier runs of the keyspace, by its dependency policy.\n"
      "On a cluster too the node is executed by this command; neither daemons nor a broker are\n"
      "needed. Daemons that find the run take part in it, and go on with it after an interruption\n"
      "or a crash; capi stop ends it.\n"
      "Exit codes: 0 ok, 1 the node failed, 2 usage or script error, 130 interrupted\n"
      "Example: capi exec-node script.json read_orders --params params.json");
  command->callback([app, exec, exit_code] { *exit_code = ExecNode(*app, *exec); });
}

}  // namespace capi::cli
