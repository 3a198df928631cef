#pragma once

// A keyspace and the back ends behind it: on the disk of this machine, or on a cluster. Only this
// room chooses back ends.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/files/files.h"
#include "capi/queue/queue.h"
#include "capi/service/cluster.h"
#include "capi/state/state_store.h"
#include "capi/store/rows/row_publisher.h"
#include "capi/store/table_store.h"
#include "capi/workflow/keyspace_lock.h"
#include "capi/workflow/lease.h"
#include "capi/workflow/reconcile.h"
#include "capi/workflow/table_catalog.h"

namespace capi::service {

/// ~/.local/share/capillaries, unless the setting data_dir says otherwise. kUser error
/// "no_data_directory" without a home.
Result<std::string> DefaultDataDirectory();
/// The script's file stem; characters that a keyspace name cannot hold become '_'.
std::string DefaultKeyspace(const std::string& script_url);
/// Letters, digits and '_', not beginning with "system", at most 48: kUser error
/// "bad_keyspace_name".
Status CheckKeyspaceName(const std::string& name);

struct KeyspaceOptions {
  Env* env = nullptr;
  files::Files* files = nullptr;  ///< needed for running
  /// Embedded keyspaces; of those on a cluster only caches and spill files are there, in
  /// `.cluster`.
  std::string data_directory;
  std::string name;
  std::shared_ptr<Cluster> cluster;               ///< null = embedded
  int64_t cache_limit_bytes = int64_t{16} << 30;  ///< on a cluster; soft
  std::string sqlite_vfs;                         ///< tests
  // On a cluster, for metrics; null = nobody asks. The first outlives the keyspace.
  workflow::ExecutionCounters* counters = nullptr;
  std::shared_ptr<store::CacheCounters> cache_counters;
};

/// The keyspace where the settings say; connects if they name a cluster. kUser
/// "no_data_directory", errors of Cluster::Connect.
Result<KeyspaceOptions> KeyspaceOptionsOf(const config::Config& config, const std::string& name);

/// An open keyspace. Thread-safe.
class Keyspace {
 public:
  /// Embedded, for running: creates what is missing, takes the lock (kUser error
  /// "keyspace_in_use"), reconciles.
  static Result<std::unique_ptr<Keyspace>> OpenForRunning(const KeyspaceOptions& options);
  /// On a cluster, for a process that executes batches among others: registers it as an owner and
  /// keeps its lease. on_lost: see LeaseKeeper. kUser error "unknown_keyspace".
  static Result<std::unique_ptr<Keyspace>> OpenForSharing(
      const KeyspaceOptions& options, int64_t lease_ms, std::function<void(const Status&)> on_lost);
  /// For looking, also while processes run in it. kUser error "unknown_keyspace".
  static Result<std::unique_ptr<Keyspace>> OpenForReading(const KeyspaceOptions& options);
  /// For orders to the processes that run in it, such as stop: like reading, but the state may be
  /// changed.
  static Result<std::unique_ptr<Keyspace>> OpenForOrders(const KeyspaceOptions& options);
  /// On a cluster, for starting runs: creates what is missing.
  static Result<std::unique_ptr<Keyspace>> OpenForStarting(const KeyspaceOptions& options);
  /// Removes a keyspace with everything in it; an embedded one is refused while a process runs in
  /// it.
  static Status Drop(const KeyspaceOptions& options);
  ~Keyspace();

  state::StateStore* state() { return state_.get(); }
  /// Of a keyspace opened for running or sharing, else after OpenTables.
  store::TableStore* tables() { return tables_.get(); }
  workflow::TableCatalog* catalog() { return catalog_.get(); }
  /// Of a keyspace opened for sharing on a cluster that publishes rows, else null.
  store::RowPublisher* rows() { return rows_.get(); }
  /// Makes tables and catalog available. One thread.
  Status OpenTables();
  queue::Queue* queue() { return queue_.get(); }  ///< opened for running
  /// Opened for sharing.
  workflow::LeaseKeeper* lease() { return lease_.get(); }
  /// Whether any process executes batches in it.
  Result<bool> InUse();
  std::string spill_directory() const { return directory_ + "/spill"; }
  const workflow::ReconcileReport& reconciled() const { return reconciled_; }

 private:
  explicit Keyspace(const KeyspaceOptions& options);
  static Result<std::unique_ptr<Keyspace>> OpenExisting(const KeyspaceOptions& options,
                                                        bool read_only);
  Status OpenOnCluster(bool create);
  /// A directory of this process for the cache, removed with this object.
  Status MakeLocalDirectory();

  const KeyspaceOptions options_;
  std::string directory_;  ///< "" until there is one
  // In this order: destroyed from the bottom up, the lock last.
  std::unique_ptr<workflow::KeyspaceLock> lock_;
  std::unique_ptr<state::StateStore> state_;
  std::unique_ptr<workflow::LeaseKeeper> lease_;
  std::unique_ptr<store::TableStore> tables_;
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<workflow::TableCatalog> catalog_;
  std::unique_ptr<store::RowPublisher> rows_;
  workflow::ReconcileReport reconciled_;
};

}  // namespace capi::service
