#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/service/keyspace.h"

namespace capi::cli {

void AddDropCommand(CLI::App* app, int* exit_code) {
  auto options = std::make_shared<service::KeyspaceOptions>();
  CLI::App* command = app->add_subcommand("drop", "Remove a keyspace with its tables and history");
  command->add_option("keyspace", options->name, "Keyspace")->required();
  command->add_option("--data-dir", options->data_directory, "Where keyspaces are kept");
  command->footer("Example: capi drop flights");
  command->callback([app, options, exit_code] {
    options->env = Env::Default();
    const std::optional<config::Config> config =
        LoadConfig(*app, {{"data_dir", options->data_directory, "--data-dir"}});
    if (!config) {
      *exit_code = kExitUsage;
      return;
    }
    Result<std::string> directory = DataDirectory(*config);
    Status status = directory.status();
    if (directory.ok()) options->data_directory = *std::move(directory);
    if (status.ok()) status = service::Keyspace::Drop(*options);
    if (!status.ok()) {
      PrintDiagnostics({}, {status});
      *exit_code = KindOf(status) == ErrorKind::kUser ? kExitUsage : kExitFailed;
      return;
    }
    std::printf("dropped keyspace %s\n", options->name.c_str());
  });
}

}  // namespace capi::cli
