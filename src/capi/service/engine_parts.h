#pragma once

// What executes batches in this process, shared by all runs: threads, memory, interpreters, files.

#include <cstdint>
#include <memory>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/exec/memory.h"
#include "capi/exec/task_pool.h"
#include "capi/files/files.h"
#include "capi/python/formula_pool.h"
#include "capi/service/engine.h"
#include "capi/service/keyspace.h"
#include "capi/workflow/run_executor.h"

namespace capi::service {

/// Fills in what was left open. kUser error "no_data_directory".
Status CompleteOptions(EngineOptions* options);

/// Thread-safe.
class EngineParts {
 public:
  /// `options` are complete.
  static Result<std::unique_ptr<EngineParts>> Make(const EngineOptions& options);

  Env* env() const { return options_.env; }
  files::Files* files() const { return files_.get(); }
  exec::MemoryBudget* memory() { return &memory_; }
  const python::FormulaPool& formulas() const { return *formulas_; }
  int threads() const { return options_.threads; }
  const EngineOptions& options() const { return options_; }
  /// For runs in a keyspace; queue is the keyspace's, which may be null.
  workflow::ExecutorEnvironment EnvironmentFor(Keyspace* keyspace, state::OwnerId owner);

 private:
  explicit EngineParts(EngineOptions options)
      : options_(std::move(options)), memory_(options_.memory_limit) {}

  const EngineOptions options_;
  exec::MemoryBudget memory_;
  std::unique_ptr<files::Files> files_;
  std::unique_ptr<exec::TaskPool> pool_;
  std::unique_ptr<python::FormulaPool> formulas_;
};

}  // namespace capi::service
