#pragma once

// Executes one run: waits for dependencies, claims batches, runs them on the pool, commits what
// they did and derives the ends of nodes and of the run (architecture 3). Protocol:
// docs/design/workflow.md.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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
#include "capi/workflow/execution_counters.h"
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
  RunnerFactory make_runner;
  /// Tries of a batch that fails with kRetriable before it fails for good, and the pause before the
  /// first repetition (doubled each time).
  int max_tries = 3;
  int64_t retry_delay_ms = 200;
  /// How often a stop request and other runs are looked at.
  int64_t poll_ms = 500;
  /// Set: the run is shared with other processes, which execute batches of it at the same time
  /// (needed with a state that IsShared). The function offers batches of nodes that became ready to
  /// all of them (this one included); `queue` holds what was handed to this process. Called by one
  /// thread at a time.
  std::function<Status(const std::vector<queue::Message>&)> offer;
  /// Set: makes a frozen table known outside, before its node may succeed. Called in node finishes,
  /// for different tables at once; a finish that is repeated, also by another process, calls it
  /// again for the same rows. Its errors are those of the finish.
  std::function<Status(const exec::Context&, const script::Node&, const store::Table&)> publish;
  /// Shared runs: a process that had nothing to do for this long takes unclaimed batches of ready
  /// nodes without a message, because messages may get lost.
  int64_t idle_claim_ms = 2000;
  /// Shared runs: whether Run goes on while all that is left waits for other runs, which other
  /// processes may execute. False: it ends with kUser "waits_for_other_run", as it always does in
  /// runs that are not shared.
  bool wait_for_other_runs = true;
  bool shared() const { return offer != nullptr; }
  ExecutionCounters* counters = nullptr;  ///< null = nothing is counted
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
  /// Begins nothing new and gives back what has not begun; when the batches under way are
  /// committed, Run ends with kCancelled.
  virtual void Drain(const Status& reason) = 0;
  /// Something was put into the queue from outside.
  virtual void Wake() = 0;
  /// Batches that are claimed and have no end yet.
  virtual int64_t BatchesInHand() const = 0;
  virtual RunSnapshot Snapshot() const = 0;
};

}  // namespace capi::workflow
