#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/formula_options.h"
#include "capi/cli/progress_display.h"
#include "capi/cli/run_summary.h"
#include "capi/cli/text_table.h"
#include "capi/service/engine.h"

namespace capi::cli {

namespace {

struct RunArguments {
  std::string script;
  std::string parameters;
  std::vector<std::string> overrides;
  std::string keyspace;
  std::string start_nodes;
  std::string until;
  int threads = 0;
  std::string memory_limit;
  std::string data_directory;
  bool strict = false;
  bool new_run = false;
  std::string output = "text";
};

/// Turns SIGINT and SIGTERM into Engine::Cancel. A second signal ends the process at once (the run
/// stays resumable: nothing partial is visible).
class SignalWatcher {
 public:
  SignalWatcher() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGUSR1);  // ends the watcher
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  void Start(service::Engine* engine) {
    thread_ = std::thread([this, engine] {
      for (bool first = true;; first = false) {
        int signal = 0;
        if (sigwait(&signals_, &signal) != 0 || signal == SIGUSR1) return;
        if (!first) _exit(kExitInterrupted);
        engine->Cancel(signal == SIGINT ? "interrupted by Ctrl-C" : "interrupted by SIGTERM");
      }
    });
  }
  ~SignalWatcher() {
    if (!thread_.joinable()) return;
    pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }

 private:
  sigset_t signals_;
  std::thread thread_;
};

Result<service::RunOptions> OptionsOf(const RunArguments& arguments) {
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
  options.until_node = arguments.until;
  options.new_run = arguments.new_run;
  return options;
}

int ExitCodeOf(const Status& status) {
  const ErrorKind kind = KindOf(status);
  if (kind == ErrorKind::kCancelled) return kExitInterrupted;
  return kind == ErrorKind::kUser ? kExitUsage : kExitFailed;
}

int Run(const RunArguments& arguments) {
  SignalWatcher signals;  // before the engine makes threads, so that they inherit the mask
  service::EngineOptions engine_options;
  engine_options.files = files::FilesOptionsFromEnvironment();
  engine_options.data_directory = arguments.data_directory;
  engine_options.threads = arguments.threads;
  Result<service::RunOptions> options = OptionsOf(arguments);
  Status status = options.status();
  if (status.ok() && !arguments.memory_limit.empty()) {
    const Result<int64_t> bytes = ParseBytes(arguments.memory_limit);
    status = bytes.status();
    if (bytes.ok()) engine_options.memory_limit = *bytes;
  }
  if (status.ok()) status = ReadFormulaEnvironment(&engine_options.formulas);
  if (!status.ok()) {
    PrintDiagnostics({}, {status});
    return kExitUsage;
  }
  Result<std::unique_ptr<service::Engine>> engine = service::Engine::Make(engine_options);
  if (!engine.ok()) {
    PrintDiagnostics({}, {engine.status()});
    return ExitCodeOf(engine.status());
  }
  signals.Start(engine->get());

  const bool json = arguments.output == "json";
  std::unique_ptr<ProgressDisplay> display;
  const auto on_start = [&](const service::RunSummary& started) {
    PrintDiagnostics(started.warnings, {});
    std::fprintf(stderr, "keyspace %s in %s, run %lld%s, %d threads, memory limit %s\n",
                 started.keyspace.c_str(), started.data_directory.c_str(),
                 static_cast<long long>(started.run_id),
                 started.resumed ? (" (resumed, " + WithThousands(started.batches_kept) +
                                    " committed batches kept)")
                                       .c_str()
                                 : "",
                 (*engine)->threads(), HumanBytes((*engine)->memory_limit()).c_str());
    display = std::make_unique<ProgressDisplay>([&] { return (*engine)->Snapshot(); },
                                                isatty(STDERR_FILENO) == 1);
  };
  const Result<service::RunSummary> summary = (*engine)->RunScript(*options, on_start);
  if (display != nullptr) {
    workflow::RunSnapshot final;
    if (summary.ok()) {
      final.run_id = summary->run_id;
      final.nodes = summary->nodes;
    }
    display->Stop(final);
  }
  if (!summary.ok()) {
    PrintDiagnostics({}, {summary.status()});
    return ExitCodeOf(summary.status());
  }
  if (!summary->script_errors.empty()) {
    PrintDiagnostics(summary->warnings, summary->script_errors);
    return kExitUsage;
  }
  if (json) {
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
  auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app->add_subcommand("run", "Run a script, or resume its unfinished run");
  command->add_option("script", arguments->script, "Script file (.json or .yaml)")->required();
  command->add_option("--params", arguments->parameters, "Parameter file (.json or .yaml)");
  command->add_option("--set", arguments->overrides, "Parameter, name=value (repeatable)");
  command->add_option("--keyspace", arguments->keyspace,
                      "Where tables and history are kept (default: the script's file stem)");
  command->add_option("--start-nodes", arguments->start_nodes,
                      "Nodes to start, a,b (default: all nodes without a table reader)");
  command->add_option("--until", arguments->until, "Only what is needed for this node");
  command->add_option("--threads", arguments->threads, "Threads that compute (default: all cores)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--memory-limit", arguments->memory_limit,
                      "Such as 2GiB (default: 70 % of the memory)");
  command->add_option("--data-dir", arguments->data_directory,
                      "Where keyspaces are kept (default $CAPI_DATA_DIR, else "
                      "~/.local/share/capillaries)");
  command->add_flag("--strict", arguments->strict, "Warnings are errors");
  command->add_flag("--new-run", arguments->new_run, "Do not resume an unfinished run");
  command->add_option("--output", arguments->output, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  command->footer(
      "Examples:\n"
      "  capi run script.json --params params.json\n"
      "  capi run script.json --set month=2026-10 --threads 4 --memory-limit 2GiB\n"
      "  capi run script.json --start-nodes summarise,write   (a second run in the same keyspace)\n"
      "Exit codes: 0 ok, 1 a node failed, 2 usage or script error, 130 interrupted (resumable)");
  command->callback([arguments, exit_code] { *exit_code = Run(*arguments); });
}

}  // namespace capi::cli
