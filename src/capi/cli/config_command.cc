#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/text_table.h"
#include "capi/config/keys.h"

namespace capi::cli {

namespace {

struct ConfigArguments {
  std::string program = "capi";
  std::string format = "text";
  bool changed = false;
};

std::string SourceOf(const config::LoadedConfig& loaded, const config::Key& key) {
  const auto source = loaded.sources.find(key.path);
  return source == loaded.sources.end() ? "default" : source->second;
}

void PrintText(const config::LoadedConfig& loaded, bool changed) {
  using Align = TextTable::Align;
  TextTable table({"setting", "value", "source"}, {Align::kLeft, Align::kLeft, Align::kLeft});
  for (const config::Key& key : config::Keys()) {
    const std::string source = SourceOf(loaded, key);
    if (changed && source == "default") continue;
    table.AddRow({std::string(key.path), config::ShowValue(key, loaded.config), source});
  }
  std::printf("%s", table.ToText().c_str());
}

void PrintJson(const config::LoadedConfig& loaded, bool changed) {
  nlohmann::ordered_json json;
  json["files"] = loaded.files;
  json["settings"] = nlohmann::ordered_json::object();
  for (const config::Key& key : config::Keys()) {
    const std::string source = SourceOf(loaded, key);
    if (changed && source == "default") continue;
    json["settings"][std::string(key.path)] = {{"value", config::ShowValue(key, loaded.config)},
                                               {"source", source}};
  }
  std::printf("%s\n",
              json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

int ShowConfig(const CLI::App& app, const ConfigArguments& arguments) {
  const config::LoadedConfig loaded = config::Load(ConfigSources(app, arguments.program, {}));
  PrintDiagnostics(loaded.warnings, loaded.errors);
  if (!loaded.errors.empty()) {
    std::fprintf(stderr, "%zu error%s\n", loaded.errors.size(),
                 loaded.errors.size() == 1 ? "" : "s");
    return kExitUsage;
  }
  if (arguments.format == "json") {
    PrintJson(loaded, arguments.changed);
  } else {
    PrintText(loaded, arguments.changed);
    std::string files;
    for (const std::string& file : loaded.files) files += (files.empty() ? "" : ", ") + file;
    std::printf("\nConfig files: %s\n", files.empty() ? "none" : files.c_str());
  }
  return kExitOk;
}

}  // namespace

void AddConfigCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<ConfigArguments>();
  CLI::App* command =
      app->add_subcommand("config", "Check the settings and show them with their sources");
  command->add_option("--program", arguments->program, "Whose settings (default: capi)")
      ->check(CLI::IsMember({"capi", "capidaemon", "capitoolbelt", "capiwebapi"}));
  command->add_option("--format", arguments->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  command->add_flag("--changed", arguments->changed, "Only settings that are no defaults");
  command->footer(
      "Passwords are not shown.\n"
      "Examples:\n"
      "  capi config --changed\n"
      "  capi config --config /etc/capillaries/capi.json --program capidaemon");
  command->callback([app, arguments, exit_code] { *exit_code = ShowConfig(*app, *arguments); });
}

}  // namespace capi::cli
