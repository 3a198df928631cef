#pragma once

// A keyspace on disk and the embedded back ends behind it. Only this room chooses back ends.

#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/files/files.h"
#include "capi/queue/queue.h"
#include "capi/state/state_store.h"
#include "capi/store/table_store.h"
#include "capi/workflow/keyspace_lock.h"
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

/// A cluster is configured: cassandra.hosts.
bool UsesCluster(const config::Config& config);

struct KeyspaceOptions {
  Env* env = nullptr;
  files::Files* files = nullptr;  ///< needed for running
  std::string data_directory;
  std::string name;
  std::string sqlite_vfs;  ///< tests
};

/// The keyspace where the settings say. kEnvironment if they name a cluster, which this version
/// cannot use: silently working elsewhere would be worse. kUser "no_data_directory".
Result<KeyspaceOptions> KeyspaceOptionsOf(const config::Config& config, const std::string& name);

/// An open keyspace. Thread-safe.
class Keyspace {
 public:
  /// For running: creates what is missing, takes the lock (kUser error "keyspace_in_use"),
  /// reconciles.
  static Result<std::unique_ptr<Keyspace>> OpenForRunning(const KeyspaceOptions& options);
  /// For looking, also while another process runs in it. kUser error "unknown_keyspace".
  static Result<std::unique_ptr<Keyspace>> OpenForReading(const KeyspaceOptions& options);
  /// For orders to the process that runs in it, such as stop: like reading, but the state may be
  /// changed.
  static Result<std::unique_ptr<Keyspace>> OpenForOrders(const KeyspaceOptions& options);
  /// Removes a keyspace with everything in it; refused while a process runs in it.
  static Status Drop(const KeyspaceOptions& options);

  state::StateStore* state() { return state_.get(); }
  store::TableStore* tables() { return tables_.get(); }
  queue::Queue* queue() { return queue_.get(); }
  workflow::TableCatalog* catalog() { return catalog_.get(); }
  const std::string& directory() const { return directory_; }
  std::string spill_directory() const { return directory_ + "/spill"; }
  const workflow::ReconcileReport& reconciled() const { return reconciled_; }

 private:
  explicit Keyspace(std::string directory) : directory_(std::move(directory)) {}
  static Result<std::unique_ptr<Keyspace>> OpenExisting(const KeyspaceOptions& options,
                                                        bool read_only);

  const std::string directory_;
  // In this order: destroyed from the bottom up, the lock last.
  std::unique_ptr<workflow::KeyspaceLock> lock_;
  std::unique_ptr<state::StateStore> state_;
  std::unique_ptr<store::TableStore> tables_;
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<workflow::TableCatalog> catalog_;
  workflow::ReconcileReport reconciled_;
};

}  // namespace capi::service
