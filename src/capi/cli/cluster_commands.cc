// What a cluster would get and whether it answers: get-table-cql, check.

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/result_table.h"
#include "capi/cli/run_execution.h"
#include "capi/service/connectivity.h"
#include "capi/service/keyspace.h"
#include "capi/service/table_cql.h"
#include "capi/service/validate.h"

namespace capi::cli {

namespace {

struct TableCqlArguments : RunArguments {
  int64_t run_id = 1;
};

int PrintTableCql(const CLI::App& app, const TableCqlArguments& arguments) {
  const std::optional<config::Config> config = LoadConfig(app, {});
  if (!config) return kExitUsage;
  const Result<service::RunOptions> options = RunOptionsOf(arguments);
  if (!options.ok()) {
    PrintDiagnostics({}, {options.status()});
    return kExitUsage;
  }
  const script::LoadResult loaded =
      service::LoadScript(options->script, Env::Default(), service::FilesOptionsOf(*config));
  PrintDiagnostics(loaded.warnings, loaded.errors);
  if (!loaded.errors.empty()) return kExitUsage;
  service::TableCqlOptions cql_options;
  cql_options.keyspace =
      arguments.keyspace.empty() ? service::DefaultKeyspace(arguments.script) : arguments.keyspace;
  cql_options.run_id = arguments.run_id;
  cql_options.start_nodes = options->start_nodes;
  const Result<std::string> cql = service::TableCql(*loaded.script, cql_options);
  if (!cql.ok()) {
    PrintDiagnostics({}, {cql.status()});
    return ExitCodeOf(cql.status());
  }
  std::printf("%s", cql->c_str());
  return kExitOk;
}

int Check(const CLI::App& app, const std::string& output) {
  const std::optional<config::Config> config = LoadConfig(app, {});
  if (!config) return kExitUsage;
  ResultTable table({{"server"}, {"status"}, {"address"}, {"note"}});
  bool all = true;
  const std::vector<std::pair<std::string, Result<service::Connectivity>>> answers = {
      {"database", service::CheckDatabase(*config)}, {"queue", service::CheckQueue(*config)}};
  for (const auto& [name, answer] : answers) {
    if (answer.ok()) {
      table.AddRow({name, std::string("OK"), answer->endpoint, answer->note});
    } else {
      all = false;
      table.AddRow({name, std::string("failed"), std::string(), Describe(answer.status())});
    }
  }
  std::printf("%s", table.ToText(output).c_str());
  return all ? kExitOk : kExitFailed;
}

}  // namespace

void AddClusterCommands(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<TableCqlArguments>();
  CLI::App* command = app->add_subcommand(
      "get-table-cql", "Print the CQL of the tables a run of a script would have in Cassandra");
  AddScriptOptions(command, arguments.get());
  command->add_option("--start-nodes", arguments->start_nodes,
                      "Nodes to start, a,b (default: all nodes without a table reader)");
  command->add_option("--run", arguments->run_id, "Run id in the names of tables (default: 1)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--strict", arguments->strict, "Warnings are errors");
  command->footer("Example: capi get-table-cql script.json --params params.json --keyspace k");
  command->callback([app, arguments, exit_code] { *exit_code = PrintTableCql(*app, *arguments); });

  auto output = std::make_shared<std::string>("table");
  command = app->add_subcommand("check", "Check whether database and queue answer");
  AddOutputOption(command, output.get());
  command->footer(
      "Without a cluster nothing is needed, and the answer is OK.\n"
      "Exit codes: 0 all answer, 1 not all, 2 wrong settings\n"
      "Example: until capi check; do sleep 1; done");
  command->callback([app, output, exit_code] { *exit_code = Check(*app, *output); });
}

}  // namespace capi::cli
