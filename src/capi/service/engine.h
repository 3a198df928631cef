#pragma once

// Running scripts in this process (embedded mode).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/files/files_options.h"
#include "capi/node/node.h"
#include "capi/python/formula_pool.h"
#include "capi/script/loader.h"
#include "capi/state/records.h"
#include "capi/workflow/run_executor.h"
#include "capi/workflow/run_snapshot.h"

namespace capi::service {

struct EngineOptions {
  std::string data_directory;  ///< "" = DefaultDataDirectory()
  /// Of table data on this machine's disk, for each keyspace of a cluster; soft.
  int64_t cache_limit_bytes = int64_t{16} << 30;
  int threads = 0;               ///< 0 = the processors this process may use
  int64_t memory_limit = 0;      ///< bytes; 0 = 70 % of the machine's memory
  Env* env = nullptr;            ///< null = Env::Default()
  python::PoolOptions formulas;  ///< interpreter of py_calc nodes and its limits
  files::FilesOptions files;
  // For tests.
  std::string sqlite_vfs;
  workflow::RunnerFactory make_runner;  ///< null = node::NodeRunner::Make
};

/// What the settings say about running scripts in this process.
EngineOptions EngineOptionsOf(const config::Config& config);
/// What they say about files; for everything else that reads scripts.
files::FilesOptions FilesOptionsOf(const config::Config& config);

struct RunOptions {
  std::string keyspace;  ///< "" = DefaultKeyspace(script)
  script::LoadOptions script;
  std::vector<std::string> start_nodes;  ///< empty = all nodes without a table reader
  std::string until_node;                ///< "" = all affected nodes
  bool new_run = false;                  ///< do not resume an unfinished run
  /// Resume this run and no other; 0 = as new_run says. kUser errors "unknown_run";
  /// "run_not_resumable" if it has ended or does something else.
  int64_t run_id = 0;
  /// Kept in a new run's properties and in the comment of its start.
  std::string description = "started by capi run";
  std::string start_comment = "capi run";
  /// On a cluster: RunScript returns when the run has ended. False: when it has begun; the summary
  /// has status kStart then.
  bool follow = true;
};

struct FileWritten {
  std::string node;
  std::string path;
  int64_t rows = 0;
  int64_t size = 0;
};

struct FileRead {
  std::string node;
  std::string record;  ///< JSON object, see files::ToJson
};

struct RunSummary {
  std::string data_directory;
  std::string cluster;  ///< its database's address; "" = embedded
  std::string keyspace;
  int64_t run_id = 0;    ///< 0: nothing was started (script_errors)
  bool resumed = false;  ///< an unfinished run was continued
  /// Batches that were committed before this process began.
  int64_t batches_kept = 0;
  state::RunStatus status = state::RunStatus::kNone;
  /// Not ended: the same command resumes it. `error` says why.
  bool interrupted = false;
  Status error;
  std::vector<workflow::NodeSnapshot> nodes;  ///< script order
  std::vector<FileRead> inputs;               ///< of all processes of the run, by node and batch
  std::vector<FileWritten> files;
  std::vector<Status> script_errors;
  std::vector<script::Warning> warnings;
  int64_t elapsed_ms = 0;
  int64_t peak_reserved_bytes = 0;
  int64_t spilled_bytes = 0;

  bool AllSucceeded() const;
};

/// One per process is usual. RunScript is called by one thread at a time; Cancel and Snapshot by
/// any.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> Make(EngineOptions options);
  virtual ~Engine() = default;

  /// Loads, starts or resumes, and executes until the run ends or is cancelled. Failed nodes,
  /// script errors and interruptions are told in the summary; a Status is returned when nothing
  /// could be started (bad start nodes, keyspace in use, no space ...). `on_start` (may be null) is
  /// called when the run id is known and before batches are executed; it gets the summary as far as
  /// it is filled.
  virtual Result<RunSummary> RunScript(const RunOptions& options,
                                       const std::function<void(const RunSummary&)>& on_start) = 0;
  /// Interrupts the run (Ctrl-C). Also stops a RunScript that has not begun to execute yet. Not
  /// safe in signal handlers: call it from a thread.
  virtual void Cancel(const std::string& reason) = 0;
  /// The run under way; run_id 0 if there is none.
  virtual workflow::RunSnapshot Snapshot() const = 0;

  virtual const std::string& data_directory() const = 0;
  /// Of this process; 0 if daemons alone execute the runs.
  virtual int threads() const = 0;
  virtual int64_t memory_limit() const = 0;
};

}  // namespace capi::service
