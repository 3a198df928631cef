#pragma once

// Files, environment and command line -> Config (spec/config.md 1, 2).
//
// Later sources win over earlier ones, setting by setting: defaults, capi.json, the program's own
// file (capidaemon.json, ...), environment variables, options of the command line. Each file is
// looked for beside the executable, then in the current directory; a file that is named explicitly
// stands for both.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/script/loader.h"

namespace capi::config {

/// A value of the command line, which wins over everything.
struct Override {
  std::string_view path;    ///< of a Key
  std::string text;         ///< as in the environment
  std::string_view option;  ///< "--threads", for messages
};

struct LoadOptions {
  std::string program = "capi";  ///< "capi", "capidaemon", "capitoolbelt", "capiwebapi"
  /// The only file to read; it must exist. "" = as described above.
  std::string file;
  /// Directories that are searched, in this order.
  std::vector<std::string> directories;
  std::map<std::string, std::string> environment;
  std::vector<Override> overrides;
  Env* env = nullptr;
};

struct LoadedConfig {
  Config config;                   ///< defaults where something is wrong
  std::vector<std::string> files;  ///< that were read
  /// Key path to where the value comes from: "FILE:LINE:COLUMN", "CAPI_X (environment)",
  /// "--option"; defaults are absent.
  std::map<std::string, std::string, std::less<>> sources;
  /// All of them: kUser, class "bad_config" or "bad_json", with place and path. Secrets are not
  /// shown.
  std::vector<Status> errors;
  std::vector<script::Warning> warnings;  ///< unknown keys and variables
};

LoadedConfig Load(const LoadOptions& options);

/// This process's executable directory and current directory.
std::vector<std::string> UsualDirectories();
/// This process's variables that begin with "CAPI_" or are other names of settings.
std::map<std::string, std::string> ProcessEnvironment();

}  // namespace capi::config
