#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/run_execution.h"
#include "capi/cli/run_summary.h"

namespace capi::cli {

namespace {

struct RunCommandArguments : RunArguments {
  std::string until;
  bool new_run = false;
  std::string output = "text";
};

int Run(const CLI::App& app, const RunCommandArguments& arguments) {
  const std::optional<config::Config> config = LoadConfig(app, SettingsOf(arguments));
  if (!config) return kExitUsage;
  Result<service::RunOptions> options = RunOptionsOf(arguments);
  if (!options.ok()) {
    PrintDiagnostics({}, {options.status()});
    return kExitUsage;
  }
  options->until_node = arguments.until;
  options->new_run = arguments.new_run;
  const Result<service::RunSummary> summary = ExecuteRun(*config, *options, nullptr);
  if (!summary.ok()) {
    PrintDiagnostics({}, {summary.status()});
    return ExitCodeOf(summary.status());
  }
  if (!summary->script_errors.empty()) {
    PrintDiagnostics(summary->warnings, summary->script_errors);
    return kExitUsage;
  }
  if (arguments.output == "json") {
    std::printf("%s", SummaryJson(*summary).c_str());
  } else {
    std::printf("\n%s", SummaryText(*summary).c_str());
  }
  if (summary->interrupted) {
    return KindOf(summary->error) == ErrorKind::kCancelled ? kExitInterrupted : kExitFailed;
  }
  return summary->AllSucceeded() ? kExitOk : kExitFailed;
}

}  // namespace

void AddRunCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<RunCommandArguments>();
  CLI::App* command = app->add_subcommand("run", "Run a script, or resume its unfinished run");
  AddScriptOptions(command, arguments.get());
  command->add_option("--start-nodes", arguments->start_nodes,
                      "Nodes to start, a,b (default: all nodes without a table reader)");
  command->add_option("--until", arguments->until, "Only what is needed for this node");
  AddExecutionOptions(command, arguments.get());
  command->add_flag("--new-run", arguments->new_run, "Do not resume an unfinished run");
  command->add_option("--output", arguments->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  command->footer(
      "Examples:\n"
      "  capi run script.json --params params.json\n"
      "  capi run script.json --set month=2026-10 --threads 4 --memory-limit 2GiB\n"
      "  capi run script.json --start-nodes summarise,write   (a second run in the same keyspace)\n"
      "Exit codes: 0 ok, 1 a node failed, 2 usage or script error, 130 interrupted (resumable)");
  command->callback([app, arguments, exit_code] { *exit_code = Run(*app, *arguments); });
}

}  // namespace capi::cli
