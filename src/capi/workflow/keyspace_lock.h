#pragma once

// One engine per keyspace at a time: a lock file held by the running process. The kernel drops the
// lock when the process ends, however it ends.

#include <memory>
#include <string>

#include "capi/base/status.h"

namespace capi::workflow {

class KeyspaceLock {
 public:
  /// Takes the lock of `directory`, or fails at once: kUser error "keyspace_in_use" naming the
  /// holder.
  static Result<std::unique_ptr<KeyspaceLock>> Acquire(const std::string& directory);
  ~KeyspaceLock();
  KeyspaceLock(const KeyspaceLock&) = delete;
  KeyspaceLock& operator=(const KeyspaceLock&) = delete;

  /// Whether any process holds it now. A missing file is not held.
  static Result<bool> IsHeld(const std::string& directory);

 private:
  explicit KeyspaceLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// "host/pid": how this process is named in messages and histories.
std::string ProcessInstance();

}  // namespace capi::workflow
