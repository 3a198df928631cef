#include <cstdio>
#include <memory>
#include <string>

#include "capi/cli/commands.h"
#include "capi/script/json_schema.h"

namespace capi::cli {

void AddSchemaCommand(CLI::App* app, int* exit_code) {
  auto what = std::make_shared<std::string>("script");
  CLI::App* command =
      app->add_subcommand("schema", "Print the JSON Schema of scripts or parameter files");
  command->add_option("what", *what, "script (default) or params")
      ->check(CLI::IsMember({"script", "params"}));
  command->footer("Example: capi schema script > script.schema.json");
  command->callback([what, exit_code] {
    std::printf("%s", *what == "script" ? script::ScriptSchema().c_str()
                                        : script::ParameterSchema().c_str());
    *exit_code = kExitOk;
  });
}

}  // namespace capi::cli
