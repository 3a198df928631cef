#include "capi/service/keyspace.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "capi/base/log.h"
#include "capi/queue/local/local_queue.h"
#include "capi/state/sqlite/sqlite_store.h"

namespace capi::service {

namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

constexpr size_t kMaxKeyspaceName = 48;  // Cassandra's limit, so that scripts can move to a cluster
constexpr std::string_view kReservedPrefix = "system";

std::string DirectoryOf(const KeyspaceOptions& options) {
  return options.data_directory + "/" + options.name;
}

std::string StatePath(const std::string& directory) { return directory + "/state.db"; }

Status UnknownKeyspace(const KeyspaceOptions& options) {
  return UserError("unknown_keyspace",
                   "no such keyspace: " + options.name + " in " + options.data_directory);
}

}  // namespace

Result<std::string> DefaultDataDirectory() {
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    return UserError("no_data_directory",
                     "neither CAPI_DATA_DIR nor HOME is set; name a data directory");
  }
  return std::string(home) + "/.local/share/capillaries";
}

std::string DefaultKeyspace(const std::string& script_url) {
  std::string name = script_url.substr(script_url.find_last_of('/') + 1);
  name = name.substr(0, name.find_last_of('.'));
  for (char& c : name) {
    if (!IsNameCharacter(c)) c = '_';
  }
  if (name.empty() || name.starts_with(kReservedPrefix)) name = "ks_" + name;
  return name.substr(0, kMaxKeyspaceName);
}

Status CheckKeyspaceName(const std::string& name) {
  if (name.empty() || name.size() > kMaxKeyspaceName || name.starts_with(kReservedPrefix) ||
      !std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    return UserError("bad_keyspace_name",
                     "a keyspace name has 1 to 48 letters, digits and underscores and does not "
                     "begin with \"system\": " +
                         name);
  }
  return Status::OK();
}

bool UsesCluster(const config::Config& config) { return !config.cassandra.hosts.empty(); }

Result<KeyspaceOptions> KeyspaceOptionsOf(const config::Config& config, const std::string& name) {
  if (UsesCluster(config)) {
    return EnvironmentError(
        "a cluster is configured (cassandra.hosts), which this version cannot use; without it the "
        "embedded engine is used");
  }
  KeyspaceOptions options;
  options.env = Env::Default();
  options.name = name;
  options.data_directory = config.data_dir;
  if (options.data_directory.empty()) {
    CAPI_ASSIGN_OR_RETURN(options.data_directory, DefaultDataDirectory());
  }
  return options;
}

Result<std::unique_ptr<Keyspace>> Keyspace::OpenForRunning(const KeyspaceOptions& options) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  Env* env = options.env;
  std::unique_ptr<Keyspace> keyspace(new Keyspace(DirectoryOf(options)));
  CAPI_RETURN_NOT_OK(env->CreateDirectories(keyspace->directory_));
  CAPI_ASSIGN_OR_RETURN(keyspace->lock_, workflow::KeyspaceLock::Acquire(keyspace->directory_));
  state::SqliteOptions sqlite;
  sqlite.path = StatePath(keyspace->directory_);
  sqlite.vfs = options.sqlite_vfs;
  CAPI_ASSIGN_OR_RETURN(keyspace->state_, state::OpenSqliteStore(env, sqlite));
  CAPI_ASSIGN_OR_RETURN(keyspace->tables_,
                        store::TableStore::Open(env, keyspace->directory_ + "/tables"));
  keyspace->queue_ = queue::NewLocalQueue(env);
  keyspace->catalog_ =
      std::make_unique<workflow::TableCatalog>(keyspace->state_.get(), keyspace->tables_.get());
  CAPI_ASSIGN_OR_RETURN(keyspace->reconciled_,
                        workflow::Reconcile(env, options.files, keyspace->state_.get(),
                                            keyspace->tables_.get(), keyspace->spill_directory()));
  return keyspace;
}

Result<std::unique_ptr<Keyspace>> Keyspace::OpenForReading(const KeyspaceOptions& options) {
  return OpenExisting(options, /*read_only=*/true);
}

Result<std::unique_ptr<Keyspace>> Keyspace::OpenForOrders(const KeyspaceOptions& options) {
  return OpenExisting(options, /*read_only=*/false);
}

Result<std::unique_ptr<Keyspace>> Keyspace::OpenExisting(const KeyspaceOptions& options,
                                                         bool read_only) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  Env* env = options.env;
  std::unique_ptr<Keyspace> keyspace(new Keyspace(DirectoryOf(options)));
  CAPI_ASSIGN_OR_RETURN(const bool exists, env->Exists(StatePath(keyspace->directory_)));
  if (!exists) return UnknownKeyspace(options);
  state::SqliteOptions sqlite;
  sqlite.path = StatePath(keyspace->directory_);
  sqlite.vfs = options.sqlite_vfs;
  sqlite.read_only = read_only;
  CAPI_ASSIGN_OR_RETURN(keyspace->state_, state::OpenSqliteStore(env, sqlite));
  CAPI_ASSIGN_OR_RETURN(keyspace->tables_,
                        store::TableStore::Open(env, keyspace->directory_ + "/tables"));
  keyspace->catalog_ =
      std::make_unique<workflow::TableCatalog>(keyspace->state_.get(), keyspace->tables_.get());
  return keyspace;
}

Status Keyspace::Drop(const KeyspaceOptions& options) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  Env* env = options.env;
  const std::string directory = DirectoryOf(options);
  CAPI_ASSIGN_OR_RETURN(const bool exists, env->Exists(directory));
  if (!exists) return UnknownKeyspace(options);
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<workflow::KeyspaceLock> lock,
                        workflow::KeyspaceLock::Acquire(directory));
  // Renamed first: a crash in the middle must not leave a keyspace with half its tables.
  std::array<char, 17> suffix;
  std::snprintf(suffix.data(), suffix.size(), "%016llx",
                static_cast<unsigned long long>(env->Random()));
  const std::string doomed = directory + ".dropped-" + suffix.data();
  CAPI_RETURN_NOT_OK(env->Rename(directory, doomed));
  return env->RemoveTree(doomed);
}

}  // namespace capi::service
