#pragma once

// Tables of state.db and how older databases become current ones.

#include "capi/base/status.h"
#include "capi/state/sqlite/connection.h"

namespace capi::state {

/// PRAGMA user_version of a database made by this program.
int64_t CurrentSchemaVersion();

/// Brings an empty or older database to the current version, each step in one transaction. A
/// database of a newer program: kUser error "newer_database".
Status MigrateSchema(Connection* connection);

/// Fails as MigrateSchema does for newer databases, and for those not yet migrated.
Status CheckSchema(Connection* connection);

}  // namespace capi::state
