#pragma once

// A pool of persistent interpreter processes that evaluate formulas over columns
// (docs/design/python.md).

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/latency_histogram.h"
#include "capi/base/status.h"
#include "capi/exec/cancel.h"
#include "capi/python/program.h"

namespace capi::python {

struct PoolOptions {
  /// Name looked up in PATH, or path. Python 3.9 or newer.
  std::string interpreter = "python3";
  /// Options put before the program. "-" and "-u" are accepted and mean nothing.
  std::vector<std::string> interpreter_parameters;
  /// For Program::slice_rows rows; 0 = 5000.
  int64_t execution_timeout_ms = 0;
  /// For starting the interpreter and running the sources once; 0 = 60000.
  int64_t start_timeout_ms = 0;
  /// Address space of one process (RLIMIT_AS) in bytes; 0 = 4 GiB, negative = no limit.
  int64_t memory_limit = 0;
  /// Shut formulas off from network, foreign processes and writing, as far as the kernel can.
  bool sandbox = true;
  /// Environment variables that formulas may see besides the usual harmless ones.
  std::vector<std::string> passed_variables;
  /// Idle processes kept for later; 0 = one per processor.
  int max_idle_workers = 0;
};

/// What this kernel offers for the sandbox, and whether Landlock shall be used (tests).
struct SandboxSupport {
  int landlock_version = 0;  ///< 0 = none
  bool seccomp = false;
};
SandboxSupport DetectSandbox();

/// Names a row in a message.
using DescribeRow = std::function<std::string(int64_t row)>;

struct Outcome {
  /// columns[i] belongs to formula i, of a layout of data/types.h; datetimes are wide when one has
  /// an offset or parts of a millisecond. Empty after an error.
  std::vector<std::shared_ptr<arrow::Array>> columns;
  /// kUser: the formula's own fault, with the class python_load, python_exception, python_result,
  /// python_timeout, python_memory, python_died or python_protocol. kEnvironment: the interpreter
  /// cannot be started. kCancelled.
  Status error;
  /// The row of the error: the smallest that any formula fails at. -1: not known which.
  int64_t error_row = -1;
};

/// Thread-safe. A formula that hangs, dies, prints, eats memory or writes garbage costs its own
/// process and nothing else.
class FormulaPool {
 public:
  static Result<std::unique_ptr<FormulaPool>> Make(PoolOptions options);
  /// Ends all processes. No Evaluate may be under way.
  virtual ~FormulaPool() = default;

  /// Evaluates all formulas for n rows in one process; blocks the calling thread. columns[i] is
  /// input i, in a stored layout.
  virtual Outcome Evaluate(const std::shared_ptr<const Program>& program,
                           const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                           const DescribeRow& describe, const exec::CancelToken& cancel) = 0;
  /// Ends the idle processes of a program that is not needed any more.
  virtual void Forget(const Program& program) = 0;

  /// Processes started so far, and those that live.
  virtual int64_t started_workers() const = 0;
  virtual int64_t live_workers() const = 0;
  /// Time of each Evaluate that had a process to ask, without the wait for its start.
  virtual LatencyHistogram::Snapshot latencies() const = 0;
};

}  // namespace capi::python
