#pragma once

// Script and parameter text -> Script (spec/script.md 1, 2, 15).

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/fetcher.h"
#include "capi/script/model.h"

namespace capi::script {

struct LoadOptions {
  std::string script_url;
  std::string parameters_url;  ///< "" = none
  /// --set name=value: replaces or adds parameters; the type follows the placeholder's type.
  std::vector<std::pair<std::string, std::string>> overrides;
  /// Unknown keys and other warnings are errors.
  bool strict = false;
};

/// A warning, with its place: unknown key, unused parameter, ...
struct Warning {
  SourcePlace place;
  std::string field_path;
  std::string message;
};

struct LoadResult {
  std::shared_ptr<const Script> script;  ///< null if errors is not empty
  /// All errors, in source order. InfoOf(error) has class, place and field_path.
  std::vector<Status> errors;
  std::vector<Warning> warnings;
};

/// Thread-safe if the fetcher is.
LoadResult LoadScript(const LoadOptions& options, Fetcher* fetcher);

}  // namespace capi::script
