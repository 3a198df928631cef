#pragma once

// Starts interpreter processes from a thread of its own.

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/posix_file.h"
#include "capi/python/formula_pool.h"
#include "capi/python/sandbox_internal.h"

namespace capi::python {

/// A process just started. It leads a process group of its own and dies with the spawner's thread.
struct Spawned {
  pid_t pid = -1;
  FileDescriptor channel;  ///< our end of the socket pair, not blocking
  FileDescriptor output;   ///< what it prints, not blocking
};

/// Thread-safe. All processes are children of one thread, because the kernel's "die with the
/// parent" means the thread that forked: threads of a pool may end before the process does.
class Spawner {
 public:
  static Result<std::unique_ptr<Spawner>> Make(const PoolOptions& options,
                                               const SandboxSupport& support);
  ~Spawner();
  Result<Spawned> Spawn();

 private:
  explicit Spawner(Sandbox sandbox) : sandbox_(std::move(sandbox)) {}
  void Run();
  Result<Spawned> Fork();

  std::string path_;  // of the interpreter
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
  int64_t memory_limit_ = 0;
  Sandbox sandbox_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::promise<Result<Spawned>>> requests_;  // guarded by mutex_
  bool ending_ = false;                                 // guarded by mutex_
  std::thread thread_;
};

/// The variables of this process that formulas may see, and what is set for them: "NAME=value".
std::vector<std::string> FormulaEnvironment(const std::vector<std::string>& passed_variables);

}  // namespace capi::python
