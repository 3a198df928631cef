#pragma once

// The workflow state of one keyspace in one SQLite database (embedded mode).

#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/state/state_store.h"

namespace capi::state {

struct SqliteOptions {
  std::string path;
  std::string vfs;         ///< name of a registered sqlite3_vfs, "" = the default one (tests)
  bool read_only = false;  ///< history and previews beside a running engine
};

/// Creates or migrates the database unless read_only.
Result<std::unique_ptr<StateStore>> OpenSqliteStore(Env* env, const SqliteOptions& options);

}  // namespace capi::state
