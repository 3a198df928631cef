#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/service/keyspace.h"

namespace capi::cli {

void AddDropCommand(CLI::App* app, int* exit_code) {
  struct Arguments {
    std::string keyspace;
    std::string data_directory;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app->add_subcommand("drop", "Remove a keyspace with its tables and history");
  command->add_option("keyspace", arguments->keyspace, "Keyspace")->required();
  command->add_option("--data-dir", arguments->data_directory, "Where keyspaces are kept");
  command->footer("Example: capi drop flights");
  command->callback([app, arguments, exit_code] {
    const std::optional<config::Config> config =
        LoadConfig(*app, {{"data_dir", arguments->data_directory, "--data-dir"}});
    if (!config) {
      *exit_code = kExitUsage;
      return;
    }
    const Result<service::KeyspaceOptions> keyspace =
        service::KeyspaceOptionsOf(*config, arguments->keyspace);
    const Status status = keyspace.ok() ? service::Keyspace::Drop(*keyspace) : keyspace.status();
    if (!status.ok()) {
      PrintDiagnostics({}, {status});
      *exit_code = KindOf(status) == ErrorKind::kUser ? kExitUsage : kExitFailed;
      return;
    }
    std::printf("dropped keyspace %s\n", arguments->keyspace.c_str());
  });
}

}  // namespace capi::cli
