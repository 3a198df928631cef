#pragma once

// The one thread pool of the process. `--threads N` means: at most N threads compute at any time.

#include <cstdint>
#include <functional>
#include <memory>

#include "capi/base/status.h"

namespace capi::exec {

/// Priority classes; within one class first in, first out.
enum class Priority : uint8_t {
  kHelper = 0,  ///< runners of an ordered pipeline already under way: finish what is begun first
  kBatch = 1,   ///< a whole batch
};

/// Thread-safe. Tasks must not block on other tasks except through OrderedPipeline (which makes the
/// waiting thread run work itself) and must not throw.
class TaskPool {
 public:
  static Result<std::unique_ptr<TaskPool>> Make(int num_threads);
  virtual ~TaskPool() = default;
  virtual void Submit(Priority priority, std::function<void()> task) = 0;
  virtual int num_threads() const = 0;
  /// Threads that have nothing to do right now (a hint).
  virtual int idle_threads() const = 0;
};

/// Calls body(i) for i in [0, n) on the pool; the calling thread takes part. Returns the error of
/// the smallest failing i. Indexes after a failing one may be skipped.
Status ParallelFor(TaskPool* pool, int64_t n, const std::function<Status(int64_t)>& body);

}  // namespace capi::exec
