#pragma once

// For crash simulations: a SQLite VFS whose files take part in the crash model of a FaultEnv, so
// that one Crash(seed) takes back unsynced writes, truncations and names of table files and of the
// database alike.

#include <memory>
#include <string>

#include "capi/base/fault_env.h"
#include "capi/base/status.h"

namespace capi::state {

/// Registered with SQLite from Register to its destruction; outlives the connections that use it.
/// Reads, locks and shared memory are those of SQLite's own VFS; the wal-index in shared memory
/// needs no simulation, because the first connection after a crash builds it anew. Close all
/// connections before a Crash.
class FaultVfs {
 public:
  /// `env` outlives the VFS. `name` must not be in use.
  static Result<std::unique_ptr<FaultVfs>> Register(FaultEnv* env, const std::string& name);
  ~FaultVfs();
  const std::string& name() const { return name_; }

 private:
  struct Registration;
  FaultVfs(std::string name, std::unique_ptr<Registration> registration);

  const std::string name_;
  const std::unique_ptr<Registration> registration_;
};

}  // namespace capi::state
