#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/diagram/dot.h"
#include "capi/diagram/svg.h"
#include "capi/service/engine.h"
#include "capi/service/validate.h"

namespace capi::cli {

namespace {

struct DiagramArguments {
  std::string format = "svg";
  script::LoadOptions options;
};

int PrintDiagram(const CLI::App& app, const DiagramArguments& arguments) {
  const std::optional<config::Config> config = LoadConfig(app, {});
  if (!config) return kExitUsage;
  const script::LoadResult result =
      service::LoadScript(arguments.options, Env::Default(), service::FilesOptionsOf(*config));
  PrintDiagnostics({}, result.errors);
  if (!result.errors.empty()) return kExitUsage;
  if (arguments.format == "dot") {
    std::printf("%s", diagram::RenderDot(*result.script).c_str());
    return kExitOk;
  }
  const Result<std::string> svg = diagram::RenderSvg(*result.script);
  if (!svg.ok()) {
    PrintDiagnostics({}, {svg.status()});
    return kExitFailed;
  }
  std::printf("%s", svg->c_str());
  return kExitOk;
}

}  // namespace

void AddDiagramCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<DiagramArguments>();
  CLI::App* command = app->add_subcommand("diagram", "Print a picture of a script's DAG");
  command->add_option("script", arguments->options.script_url, "Script file")->required();
  command->add_option("--params", arguments->options.parameters_url, "Parameter file");
  command->add_option("--format", arguments->format, "svg or dot")
      ->check(CLI::IsMember({"svg", "dot"}));
  command->footer("Example: capi diagram script.yaml --params params.yaml > dag.svg");
  command->callback([app, arguments, exit_code] { *exit_code = PrintDiagram(*app, *arguments); });
}

}  // namespace capi::cli
