#pragma once

// The commands of the original's tool (spec/toolbelt.md). toolbelt.cc parses flags, loads the
// settings and prints errors; a command works and prints its result.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/cli/go_flags.h"
#include "capi/config/config.h"
#include "capi/script/model.h"
#include "capi/service/keyspace.h"

namespace capi::cli {

struct ToolbeltCommand {
  std::string_view name;
  std::string_view other_name;  ///< accepted too, "" = none
  void (*define)(GoFlags* flags);
  /// Returns the exit code. Errors of class kToolbeltUsage end with the list of flags and code 2,
  /// cancelled ones with 130, all others with their text on one line and code 1.
  Result<int> (*execute)(const GoFlags& flags, const config::Config& config);
};

constexpr std::string_view kToolbeltUsage = "usage";

// One for each source file, in the order of the usage text.
std::vector<ToolbeltCommand> ToolbeltScriptCommands();
std::vector<ToolbeltCommand> ToolbeltRunCommands();
std::vector<ToolbeltCommand> ToolbeltHistoryCommands();
ToolbeltCommand ToolbeltNewScriptCommand();

// ---- What several commands use.

Status ToolbeltUsageError(const std::string& message);
/// A usage error that names the first of these flags that was not given or is empty.
Status RequireFlags(const GoFlags& flags, const std::vector<std::string_view>& names);
/// A usage error unless the flag is absent or from 1 to 2147483647.
Status CheckRunId(const GoFlags& flags);

void DefineKeyspaceFlag(GoFlags* flags);
/// script_file and params_file.
void DefineScriptFlags(GoFlags* flags);

/// The flag -keyspace, which is required, with the original's texts for names that cannot be.
Result<service::KeyspaceOptions> KeyspaceOfFlags(const GoFlags& flags,
                                                 const config::Config& config);
Status CheckKeyspaceFlag(const std::string& name);
/// All problems of a script as one error, beginning like the original's texts.
Status ScriptError(const GoFlags& flags, const std::vector<Status>& errors);
/// The script of script_file, which is required; warnings are printed.
Result<std::shared_ptr<const script::Script>> ScriptOfFlags(const GoFlags& flags,
                                                            const config::Config& config);
/// The names of -start_nodes; a usage error if it was given and names none.
Result<std::vector<std::string>> StartNodesOfFlags(const GoFlags& flags);

}  // namespace capi::cli
