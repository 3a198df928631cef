#pragma once

// The commands of `capi`, one file each. Every command adds itself to the application and leaves
// its exit code in *exit_code.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>
#include <vector>

namespace capi::cli {

/// Exit codes of capi.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,  ///< a node failed, or the work itself could not be done
  kExitUsage = 2,   ///< wrong command line or script
  kExitInterrupted = 130,
};

void AddRunCommand(CLI::App* app, int* exit_code);
void AddValidateCommand(CLI::App* app, int* exit_code);
void AddEvalCommand(CLI::App* app, int* exit_code);
void AddPreviewCommand(CLI::App* app, int* exit_code);
void AddDiagramCommand(CLI::App* app, int* exit_code);
/// status, history, tables, stop.
void AddHistoryCommands(CLI::App* app, int* exit_code);
/// start, exec-node.
void AddStartCommands(CLI::App* app, int* exit_code);
/// get-table-cql, check.
void AddClusterCommands(CLI::App* app, int* exit_code);
void AddDaemonCommand(CLI::App* app, int* exit_code);
void AddDropCommand(CLI::App* app, int* exit_code);
void AddNewScriptCommand(CLI::App* app, int* exit_code);
void AddSchemaCommand(CLI::App* app, int* exit_code);
void AddConfigCommand(CLI::App* app, int* exit_code);
void AddCompletionCommand(CLI::App* app, int* exit_code);

/// A command and its options as they are typed: "--threads"; of old commands "-keyspace".
struct CommandWords {
  std::string name;
  std::string description;
  std::vector<std::string> options;
};
/// The commands of the original's tool, for completion.
std::vector<CommandWords> ToolbeltWords();

/// True if the program was called by the name of the original's tool, or with a command of it.
bool IsToolbeltCall(int argc, char** argv);
int RunToolbelt(int argc, char** argv);

/// The whole program.
int RunCommandLine(int argc, char** argv);

}  // namespace capi::cli
