#pragma once

// Keeps a keyspace that several processes work in in order while they work: what Reconcile does at
// the start of an embedded one. Every process that shares the keyspace may do it at any time; every
// step may be repeated and done by several at once.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/files/files.h"
#include "capi/state/state_store.h"
#include "capi/store/table_store.h"
#include "capi/workflow/lease.h"

namespace capi::workflow {

/// Not owned; outlives the housekeeping.
struct SharedHousekeepingOptions {
  Env* env = nullptr;
  files::Files* files = nullptr;
  state::StateStore* state = nullptr;
  store::TableStore* tables = nullptr;
  state::OwnerId self = 0;
  int64_t lease_ms = kLeaseMillis;
  /// Between looks for table data of dead processes.
  int64_t garbage_ms = int64_t{600} * 1000;
};

struct SharedHousekeepingReport {
  int64_t freed_claims = 0;  ///< of processes whose lease had run out
  int64_t files_published = 0;
  int64_t files_lost = 0;
  int64_t temp_files_discarded = 0;
  int64_t table_files_removed = 0;
};

/// Used by one thread.
class SharedHousekeeping {
 public:
  explicit SharedHousekeeping(const SharedHousekeepingOptions& options);

  /// One round; several within a lease time are wanted.
  ///  1. Starts of runs that were cut off are completed.
  ///  2. Claims of processes whose lease ran out are given back or failed.
  ///  3. Committed output files that were pending for a lease time are published: whoever committed
  ///     them is dead or slow. Where somebody removed the bytes, the node fails.
  ///  4. Temp files of attempts that are over are removed.
  ///  5. At times: table data of dead processes that no manifest mentions is removed.
  Result<SharedHousekeepingReport> Round();

 private:
  using FileKey = std::pair<state::BatchId, std::pair<int64_t, std::string>>;

  Status PublishPending(SharedHousekeepingReport* report);
  Status DiscardPlanned(SharedHousekeepingReport* report);
  Status CollectGarbage(SharedHousekeepingReport* report);
  Result<store::TableStore::Live> FindLive();

  const SharedHousekeepingOptions options_;
  LeaseWatcher leases_;
  std::map<FileKey, int64_t> pending_since_;  ///< monotonic nanoseconds
  std::optional<int64_t> collected_at_;
};

}  // namespace capi::workflow
