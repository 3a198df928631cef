#pragma once

// Brings a keyspace back in order after a process ended in the middle of its work. Every step may
// be repeated.

#include <cstdint>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/files/files.h"
#include "capi/state/state_store.h"
#include "capi/store/table_store.h"

namespace capi::workflow {

struct ReconcileReport {
  int64_t lost_claims = 0;
  int64_t files_published = 0;
  int64_t files_lost = 0;
  int64_t temp_files_discarded = 0;
  store::TableStore::Garbage garbage;
};

/// Called at start-up by the holder of the keyspace lock, so every other owner is known to be dead:
///  1. committed output files that did not reach their target are published; where somebody
///     removed the bytes meanwhile, the node fails;
///  2. temp files of attempts that never committed are removed (later, if their server cannot be
///     reached now);
///  3. claims of dead owners are given back, or failed where the node says so;
///  4. table data that no manifest mentions is removed, and the spill directory emptied.
/// Ends of nodes and runs that follow from 1 and 3 are derived when the run is executed again.
Result<ReconcileReport> Reconcile(Env* env, files::Files* files, state::StateStore* state,
                                  store::TableStore* tables, const std::string& spill_directory);

}  // namespace capi::workflow
