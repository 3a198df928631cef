#include "capi/cli/configuration.h"

#include <cstdlib>
#include <utility>

#include "capi/base/log.h"
#include "capi/cli/arguments.h"
#include "capi/service/keyspace.h"

namespace capi::cli {

namespace {

constexpr const char* kConfigOption = "--config";

}  // namespace

void AddConfigOption(CLI::App* app) {
  app->fallthrough();
  app->add_option(kConfigOption,
                  "Config file (default: $CAPI_CONFIG, else capi.json beside the program or here)")
      ->expected(1);
}

config::LoadOptions ConfigSources(const CLI::App& app, std::string_view program,
                                  std::vector<config::Override> overrides) {
  const CLI::Option* option = app.get_option(kConfigOption);
  const std::string file = option->count() > 0 ? option->as<std::string>() : "";
  return ConfigSources(program, file, std::move(overrides));
}

config::LoadOptions ConfigSources(std::string_view program, const std::string& file,
                                  std::vector<config::Override> overrides) {
  config::LoadOptions options;
  options.program = std::string(program);
  const char* variable = std::getenv("CAPI_CONFIG");
  if (!file.empty()) {
    options.file = file;
  } else if (variable != nullptr) {
    options.file = variable;
  }
  options.directories = config::UsualDirectories();
  options.environment = config::ProcessEnvironment();
  for (config::Override& override : overrides) {
    if (!override.text.empty()) options.overrides.push_back(std::move(override));
  }
  options.env = Env::Default();
  return options;
}

void TakeOverLogLevel(const config::Config& config) {
  LogLevel known = LogLevel::kError;  // what is left are the original's names of fatal errors
  if (config.log.level.empty()) return;
  ParseLogLevel(config.log.level, &known);
  SetLogLevel(known);
}

std::optional<config::Config> LoadConfig(const CLI::App& app,
                                         std::vector<config::Override> overrides) {
  return LoadConfigOf(app, "capi", std::move(overrides));
}

std::optional<config::Config> LoadConfigOf(const CLI::App& app, std::string_view program,
                                           std::vector<config::Override> overrides) {
  config::LoadedConfig loaded = config::Load(ConfigSources(app, program, std::move(overrides)));
  PrintDiagnostics(loaded.warnings, loaded.errors);
  if (!loaded.errors.empty()) return std::nullopt;
  TakeOverLogLevel(loaded.config);
  return std::move(loaded.config);
}

Result<std::string> DataDirectory(const config::Config& config) {
  if (!config.data_dir.empty()) return config.data_dir;
  return service::DefaultDataDirectory();
}

}  // namespace capi::cli
