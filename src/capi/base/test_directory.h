#pragma once

// A fresh directory for one test, removed at its end.

#include <string>

#include "capi/base/env.h"

namespace capi {

/// The memory file system where there is one, else `fallback`: for simulations with thousands of
/// file operations, which must not wait for a disk.
inline std::string MemoryDirectoryOr(const std::string& fallback) {
  const Result<bool> exists = Env::Default()->Exists("/dev/shm");
  return exists.ok() && *exists ? "/dev/shm" : fallback;
}

class TestDirectory {
 public:
  /// `parent` exists, e.g. testing::TempDir().
  explicit TestDirectory(const std::string& parent)
      : path_((parent.ends_with('/') ? parent : parent + "/") + "capi_test_" +
              std::to_string(Env::Default()->Random())) {
    const Status created = Env::Default()->CreateDirectories(path_);
    if (!created.ok()) created.Abort();
  }
  ~TestDirectory() { (void)Env::Default()->RemoveTree(path_); }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  const std::string path_;
};

}  // namespace capi
