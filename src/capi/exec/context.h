#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "capi/base/env.h"
#include "capi/exec/cancel.h"
#include "capi/exec/memory.h"
#include "capi/exec/task_pool.h"

namespace capi::exec {

/// Counters of the work under way, read by the progress display while nodes add to them.
/// Thread-safe.
struct Progress {
  std::atomic<int64_t> rows_in{0};
  std::atomic<int64_t> rows_out{0};
  /// Work done and work in all, in the node's own unit (bytes for file readers, rows otherwise);
  /// work_total 0 = unknown.
  std::atomic<int64_t> work_done{0};
  std::atomic<int64_t> work_total{0};
  std::atomic<int64_t> spilled_bytes{0};
};

/// A temporary file for spilled data in the run's spill directory: written once sequentially, then
/// mapped. The path is unlinked as soon as it is created, so that a crash leaves nothing behind.
class SpillFile {
 public:
  virtual ~SpillFile() = default;
  virtual Status Append(std::string_view bytes) = 0;
  virtual int64_t size() const = 0;
  /// Ends writing; the view lives as long as the SpillFile.
  virtual Result<std::string_view> FinishAndMap() = 0;
};

/// What a batch needs to compute. Not owned; outlives the batch. Thread-safe.
struct Context {
  Env* env = nullptr;
  TaskPool* pool = nullptr;
  MemoryBudget* memory = nullptr;
  CancelToken cancel;
  std::string spill_directory;
  Progress* progress = nullptr;  ///< may be null
};

/// Bytes are counted in context.progress->spilled_bytes.
Result<std::unique_ptr<SpillFile>> NewSpillFile(const Context& context);

}  // namespace capi::exec
