#pragma once

// Executes one run: waits for dependencies, claims batches, runs them on the pool, commits what
// they did and derives the ends of nodes and of the run (architecture 3). Protocol:
// docs/design/workflow.md.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/exec/memory.h"
#include "capi/exec/task_pool.h"
#include "capi/files/files.h"
#include "capi/node/node.h"
#include "capi/queue/queue.h"
#include "capi/script/model.h"
#include "capi/state/state_store.h"
#include "capi/store/table_store.h"
#include "capi/workflow/run_snapshot.h"
#include "capi/workflow/table_catalog.h"

namespace capi::workflow {

/// Makes the runner of a node; tests put their own in place of node::NodeRunner::Make.
using RunnerFactory =
    std::function<Result<std::unique_ptr<node::NodeRunner>>(node::NodeSetup setup)>;

/// What an executor works with. Not owned; outlives it.
struct ExecutorEnvironment {
  Env* env = nullptr;
  files::Files* files = nullptr;
  exec::TaskPool* pool = nullptr;
  exec::MemoryBudget* memory = nullptr;
  state::StateStore* state = nullptr;
  queue::Queue* queue = nullptr;
  store::TableStore* tables = nullptr;
  TableCatalog* catalog = nullptr;
  python::FormulaPool* formulas = nullptr;  ///< for py_calc nodes
  std::string spill_directory;
  state::OwnerId owner = 0;
  bool strict = false;
  RunnerFactory make_runner;
  /// Tries of a batch that fails with kRetriable before it fails for good, and the pause before the
  /// first repetition (doubled each time).
  int max_tries = 3;
  int64_t retry_delay_ms = 200;
  /// How often a stop request and other runs are looked at.
  int64_t poll_ms = 500;
};

/// Thread-safe.
class RunExecutor {
 public:
  /// `run` has status kStart and belongs to `script`; what it has committed already is kept.
  static Result<std::unique_ptr<RunExecutor>> Make(const ExecutorEnvironment& environment,
                                                   std::shared_ptr<const script::Script> script,
                                                   const state::RunRecord& run);
  virtual ~RunExecutor() = default;

  /// Once. OK: the run ended (complete or stopped; nodes may have failed). kCancelled: it was
  /// cancelled and may be resumed. Others: it cannot go on now, for example because the state
  /// cannot be written or another run must be finished first (kUser "waits_for_other_run"); it may
  /// be resumed too.
  virtual Status Run() = 0;
  /// Ends Run soon; batches under way are given back.
  virtual void Cancel(const Status& reason) = 0;
  virtual RunSnapshot Snapshot() const = 0;
};

}  // namespace capi::workflow
