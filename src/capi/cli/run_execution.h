#pragma once

// What run, start and exec-node and their old names share: options, and executing a run in this
// process with its progress on standard error.

#include <CLI/App.hpp>
#include <functional>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/config/loader.h"
#include "capi/service/engine.h"

namespace capi::cli {

struct RunArguments {
  std::string script;
  std::string parameters;
  std::vector<std::string> overrides;
  std::string keyspace;
  std::string start_nodes;
  std::string threads;
  std::string memory_limit;
  std::string data_directory;
  bool strict = false;
};

/// Adds the script and --params, --set, --keyspace.
void AddScriptOptions(CLI::App* command, RunArguments* arguments);
/// Adds --threads, --memory-limit, --data-dir, --strict.
void AddExecutionOptions(CLI::App* command, RunArguments* arguments);
std::vector<config::Override> SettingsOf(const RunArguments& arguments);
/// kUser error "usage".
Result<service::RunOptions> RunOptionsOf(const RunArguments& arguments);

/// Runs to the end, or until SIGINT or SIGTERM interrupts the run (a second one ends the process at
/// once; the run stays resumable). on_start is called when the run id is known. To be called before
/// the process has other threads.
Result<service::RunSummary> ExecuteRun(
    const config::Config& config, const service::RunOptions& options,
    const std::function<void(const service::RunSummary&)>& on_start);

/// The same with a new run of one node alone, or (run_id not 0) the unfinished one of that id. Also
/// on a cluster it is executed by this process.
Result<service::RunSummary> ExecuteNode(const config::Config& config,
                                        const service::RunOptions& options, const std::string& node,
                                        int64_t run_id);

int ExitCodeOf(const Status& status);
/// OK if all nodes succeeded; else what failed, or why the run was interrupted or stopped.
Status OutcomeOf(const service::RunSummary& summary);

}  // namespace capi::cli
