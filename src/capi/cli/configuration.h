#pragma once

// The settings a command works with: config files, environment and options (config/loader.h).

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/config/loader.h"

namespace capi::cli {

/// Adds --config, which may stand before or behind the name of a command.
void AddConfigOption(CLI::App* app);

/// Where the settings of `program` come from; `app` is the application with --config.
config::LoadOptions ConfigSources(const CLI::App& app, std::string_view program,
                                  std::vector<config::Override> overrides);

/// The same for a program whose config file was named by the caller, "" = not.
config::LoadOptions ConfigSources(std::string_view program, const std::string& file,
                                  std::vector<config::Override> overrides);

/// Takes over config.log.level, if there is one.
void TakeOverLogLevel(const config::Config& config);

/// Loads the settings of capi, prints errors and warnings and takes over the log level; nullopt
/// after errors. Overrides with an empty text are left out.
std::optional<config::Config> LoadConfig(const CLI::App& app,
                                         std::vector<config::Override> overrides);
/// The same for another program, such as "capidaemon".
std::optional<config::Config> LoadConfigOf(const CLI::App& app, std::string_view program,
                                           std::vector<config::Override> overrides);

/// Directory of keyspaces by the settings, else the user's.
Result<std::string> DataDirectory(const config::Config& config);

}  // namespace capi::cli
