#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/version.h"

namespace capi::cli {

int RunCommandLine(int argc, char** argv) {
  if (IsToolbeltCall(argc, argv)) return RunToolbelt(argc, argv);
  CLI::App app{"capi: batch data processing with scripts (Capillaries for C++)", "capi"};
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.get_formatter()->column_width(32);
  app.footer(
      "Examples:\n"
      "  capi run examples/flights/flights.yaml --params examples/flights/params.yaml\n"
      "  capi validate script.json --params params.json\n"
      "  capi preview flights carrier_totals\n"
      "  capi eval 'r.x * 2' --var r.x=decimal2:1.25\n"
      "Help for one command: capi run --help");
  AddConfigOption(&app);
  // The original's daemon is a program of its own.
  std::vector<char*> words(argv, argv + argc);
  const std::string_view program = argc > 0 ? argv[0] : "";
  std::string daemon = "daemon";
  if (program.substr(program.find_last_of('/') + 1) == "capidaemon") {
    words.insert(words.begin() + 1, daemon.data());
  }
  int exit_code = kExitOk;
  AddRunCommand(&app, &exit_code);
  AddValidateCommand(&app, &exit_code);
  AddPreviewCommand(&app, &exit_code);
  AddHistoryCommands(&app, &exit_code);
  AddStartCommands(&app, &exit_code);
  AddDaemonCommand(&app, &exit_code);
  AddEvalCommand(&app, &exit_code);
  AddDiagramCommand(&app, &exit_code);
  AddDropCommand(&app, &exit_code);
  AddNewScriptCommand(&app, &exit_code);
  AddSchemaCommand(&app, &exit_code);
  AddClusterCommands(&app, &exit_code);
  AddConfigCommand(&app, &exit_code);
  AddCompletionCommand(&app, &exit_code);
  try {
    app.parse(static_cast<int>(words.size()), words.data());
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" of code 0 to the library.
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  std::fflush(stdout);
  return exit_code;
}

}  // namespace capi::cli
