// The original's command line tool: `capitoolbelt` is a link to capi. Streams and exit codes are
// those of spec/toolbelt.md 2, repaired: results on standard output, everything else on standard
// error; 0 done, 1 the work failed, 2 wrong use.

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/toolbelt_internal.h"
#include "capi/cli/version.h"
#include "capi/service/engine.h"
#include "capi/service/validate.h"

namespace capi::cli {

namespace {

/// In the order of the usage text.
const std::vector<ToolbeltCommand>& Commands() {
  static const std::vector<ToolbeltCommand> commands = [] {
    std::vector<ToolbeltCommand> all;
    const auto add = [&all](const std::vector<ToolbeltCommand>& some) {
      all.insert(all.end(), some.begin(), some.end());
    };
    add(ToolbeltScriptCommands());
    add(ToolbeltRunCommands());
    add(ToolbeltHistoryCommands());
    all.push_back(ToolbeltNewScriptCommand());
    constexpr std::array<std::string_view, 13> kOrder = {"validate_script",
                                                         "start_run",
                                                         "stop_run",
                                                         "exec_node",
                                                         "get_run_history",
                                                         "get_node_history",
                                                         "get_batch_history",
                                                         "get_run_status_diagram",
                                                         "drop_keyspace",
                                                         "get_table_cql",
                                                         "proto_file_reader_creator",
                                                         "check_db_connectivity",
                                                         "check_queue_connectivity"};
    const auto place = [&](const ToolbeltCommand& command) {
      return std::find(kOrder.begin(), kOrder.end(), command.name);
    };
    std::sort(all.begin(), all.end(),
              [&](const ToolbeltCommand& left, const ToolbeltCommand& right) {
                return place(left) < place(right);
              });
    return all;
  }();
  return commands;
}

const ToolbeltCommand* Find(std::string_view name) {
  for (const ToolbeltCommand& command : Commands()) {
    if (name == command.name || (!name.empty() && name == command.other_name)) return &command;
  }
  return nullptr;
}

std::string Usage() {
  // Without the name of the program before it.
  const std::string_view version = std::string_view(kVersion).substr(std::strlen("capi "));
  std::string text = "Capillaries toolbelt " + std::string(version) +
                     "\nUsage: capitoolbelt <command> <command parameters>\nCommands:\n";
  for (const ToolbeltCommand& command : Commands()) text += "  " + std::string(command.name) + "\n";
  return text;
}

void PrintFlags(const ToolbeltCommand& command, const GoFlags& flags) {
  std::fprintf(stderr, "Usage of %s:\n%s", std::string(command.name).c_str(),
               flags.Usage().c_str());
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

GoFlags FlagsOf(const ToolbeltCommand& command) {
  GoFlags flags;
  command.define(&flags);
  flags.Define("config", GoFlags::Type::kString, "",
               "Config file; without it $CAPI_CONFIG, else capi.json and capitoolbelt.json beside "
               "the program or here");
  flags.Define("data_dir", GoFlags::Type::kString, "",
               "Where the embedded engine keeps keyspaces; without it the setting data_dir");
  return flags;
}

int Execute(const ToolbeltCommand& command, const std::vector<std::string>& words) {
  GoFlags flags = FlagsOf(command);
  const GoFlags::Outcome outcome = flags.Parse(words);
  if (outcome == GoFlags::Outcome::kHelp) {
    PrintFlags(command, flags);
    return kExitOk;
  }
  if (outcome == GoFlags::Outcome::kWrong) {
    std::fprintf(stderr, "%s\n", flags.problem().c_str());
    PrintFlags(command, flags);
    return kExitUsage;
  }
  if (!flags.rest().empty()) {
    std::string ignored;
    for (const std::string& word : flags.rest()) ignored += " " + word;
    std::fprintf(stderr, "warning: words behind the flags are ignored:%s\n", ignored.c_str());
  }
  std::vector<config::Override> overrides;
  if (flags.Given("data_dir"))
    overrides.push_back({"data_dir", flags.Text("data_dir"), "-data_dir"});
  const config::LoadedConfig loaded =
      config::Load(ConfigSources("capitoolbelt", flags.Text("config"), std::move(overrides)));
  PrintDiagnostics(loaded.warnings, loaded.errors);
  if (!loaded.errors.empty()) return kExitFailed;
  TakeOverLogLevel(loaded.config);

  const Result<int> exit_code = command.execute(flags, loaded.config);
  std::fflush(stdout);
  if (exit_code.ok()) return *exit_code;
  const Status& error = exit_code.status();
  std::fprintf(stderr, "%s\n", OneLine(Describe(error)).c_str());
  if (InfoOf(error).error_class == kToolbeltUsage) {
    PrintFlags(command, flags);
    return kExitUsage;
  }
  return KindOf(error) == ErrorKind::kCancelled ? kExitInterrupted : kExitFailed;
}

}  // namespace

Status ToolbeltUsageError(const std::string& message) { return UserError(kToolbeltUsage, message); }

Status RequireFlags(const GoFlags& flags, const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) {
    if (!flags.Given(name) || flags.Text(name).empty()) {
      return ToolbeltUsageError("the flag -" + std::string(name) + " is required");
    }
  }
  return Status::OK();
}

Status CheckRunId(const GoFlags& flags) {
  const int64_t run_id = flags.Int("run_id");
  if (!flags.Given("run_id") || (run_id >= 1 && run_id <= INT32_MAX)) return Status::OK();
  return ToolbeltUsageError("the flag -run_id must be a positive number, not " +
                            flags.Text("run_id"));
}

void DefineKeyspaceFlag(GoFlags* flags) {
  flags->Define("keyspace", GoFlags::Type::kString, "", "Keyspace (session id)");
}

void DefineScriptFlags(GoFlags* flags) {
  flags->Define("script_file", GoFlags::Type::kString, "", "Path or URL of the script file");
  flags->Define("params_file", GoFlags::Type::kString, "",
                "Path or URL of the script parameters map file");
}

Status CheckKeyspaceFlag(const std::string& name) {
  if (service::CheckKeyspaceName(name).ok()) return Status::OK();
  const bool system = name.starts_with("system");
  return UserError("bad_keyspace_name",
                   "invalid keyspace name [" + name + "]: " +
                       (system ? "prohibited regex is [^system]"
                               : "allowed regex is [a-zA-Z0-9_]+, at most 48 characters"));
}

Result<service::KeyspaceOptions> KeyspaceOfFlags(const GoFlags& flags,
                                                 const config::Config& config) {
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"keyspace"}));
  CAPI_RETURN_NOT_OK(CheckKeyspaceFlag(flags.Text("keyspace")));
  return service::KeyspaceOptionsOf(config, flags.Text("keyspace"));
}

Status ScriptError(const GoFlags& flags, const std::vector<Status>& errors) {
  const std::string& script = flags.Text("script_file");
  const std::string& parameters = flags.Text("params_file");
  std::string all;
  bool unresolved = false;
  for (const Status& error : errors) {
    all += (all.empty() ? "" : "; ") + Describe(error);
    unresolved = unresolved || InfoOf(error).error_class == "unresolved_parameter";
  }
  const ErrorInfo first = InfoOf(errors.front());
  std::string beginning;
  if (unresolved) {
    beginning = "unresolved parameter references in [" + script + "], params[" + parameters + "]: ";
  } else if (errors.size() == 1 && !first.place.known() && first.field_path.empty()) {
    const bool of_parameters = !parameters.empty() && first.place.file == parameters;
    beginning = of_parameters ? "cannot read script parameters " + parameters + ": "
                              : "cannot read script " + script + ": ";
  }
  return UserError("bad_script", beginning + all);
}

Result<std::shared_ptr<const script::Script>> ScriptOfFlags(const GoFlags& flags,
                                                            const config::Config& config) {
  CAPI_RETURN_NOT_OK(RequireFlags(flags, {"script_file"}));
  script::LoadOptions options;
  options.script_url = flags.Text("script_file");
  options.parameters_url = flags.Text("params_file");
  const script::LoadResult loaded =
      service::LoadScript(options, Env::Default(), service::FilesOptionsOf(config));
  PrintDiagnostics(loaded.warnings, {});
  if (!loaded.errors.empty()) return ScriptError(flags, loaded.errors);
  return loaded.script;
}

Result<std::vector<std::string>> StartNodesOfFlags(const GoFlags& flags) {
  std::vector<std::string> names = SplitNames(flags.Text("start_nodes"));
  if (names.empty() && flags.Given("start_nodes")) {
    return ToolbeltUsageError("the flag -start_nodes names no node");
  }
  return names;
}

std::vector<CommandWords> ToolbeltWords() {
  std::vector<CommandWords> commands;
  for (const ToolbeltCommand& command : Commands()) {
    CommandWords words;
    words.name = command.name;
    for (const std::string& name : FlagsOf(command).Names()) words.options.push_back("-" + name);
    commands.push_back(std::move(words));
  }
  return commands;
}

bool IsToolbeltCall(int argc, char** argv) {
  const std::string program = argc > 0 ? argv[0] : "";
  const bool by_name = program.substr(program.find_last_of('/') + 1) == "capitoolbelt";
  return by_name || (argc > 1 && Find(argv[1]) != nullptr);
}

int RunToolbelt(int argc, char** argv) {
  if (argc <= 1) {
    std::printf("%s", Usage().c_str());
    return kExitOk;
  }
  const std::string name = argv[1];
  if (name == "-h" || name == "-help" || name == "--help" || name == "help") {
    std::printf("%s", Usage().c_str());
    return kExitOk;
  }
  const ToolbeltCommand* command = Find(name);
  if (command == nullptr) {
    std::fprintf(stderr, "invalid command: %s\n%s", name.c_str(), Usage().c_str());
    return kExitUsage;
  }
  return Execute(*command, std::vector<std::string>(argv + 2, argv + argc));
}

}  // namespace capi::cli
