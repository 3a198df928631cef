#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/script/print.h"
#include "capi/service/engine.h"
#include "capi/service/validate.h"

namespace capi::cli {

namespace {

struct ValidateArguments {
  std::string script;
  std::string parameters;
  std::vector<std::string> overrides;
  bool strict = false;
};

int Validate(const CLI::App& app, const ValidateArguments& arguments) {
  const std::optional<config::Config> config = LoadConfig(app, {});
  if (!config) return kExitUsage;
  script::LoadOptions options;
  options.script_url = arguments.script;
  options.parameters_url = arguments.parameters;
  options.strict = arguments.strict;
  for (const std::string& text : arguments.overrides) {
    auto assignment = ParseAssignment(text);
    if (!assignment.ok()) {
      PrintDiagnostics({}, {assignment.status()});
      return kExitUsage;
    }
    options.overrides.push_back(*std::move(assignment));
  }
  const script::LoadResult result =
      service::LoadScript(options, Env::Default(), service::FilesOptionsOf(*config));
  PrintDiagnostics(result.warnings, result.errors);
  if (!result.errors.empty()) {
    std::fprintf(stderr, "%zu error%s\n", result.errors.size(),
                 result.errors.size() == 1 ? "" : "s");
    return kExitUsage;
  }
  std::printf("%s", script::PrintNodes(*result.script).c_str());
  std::printf("\n%s is valid: %zu nodes, %zu warnings\n", arguments.script.c_str(),
              result.script->nodes.size(), result.warnings.size());
  return kExitOk;
}

}  // namespace

void AddValidateCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<ValidateArguments>();
  CLI::App* command = app->add_subcommand("validate", "Check a script and show its nodes in order");
  command->add_option("script", arguments->script, "Script file (.json or .yaml)")->required();
  command->add_option("--params", arguments->parameters, "Parameter file (.json or .yaml)");
  command->add_option("--set", arguments->overrides, "Parameter, name=value (repeatable)");
  command->add_flag("--strict", arguments->strict, "Warnings are errors");
  command->footer(
      "Example: capi validate examples/flights/flights.yaml --params examples/flights/params.yaml");
  command->callback([app, arguments, exit_code] { *exit_code = Validate(*app, *arguments); });
}

}  // namespace capi::cli
