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

/// Not the name of a keyspace.
constexpr const char* kClusterDirectory = ".cluster";
constexpr int kDirectoryAttempts = 3;

std::string RandomSuffix(Env* env, const std::string& prefix) {
  std::array<char, 17> suffix;
  std::snprintf(suffix.data(), suffix.size(), "%016llx",
                static_cast<unsigned long long>(env->Random()));
  return prefix + suffix.data();
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

Result<KeyspaceOptions> KeyspaceOptionsOf(const config::Config& config, const std::string& name) {
  KeyspaceOptions options;
  options.env = Env::Default();
  options.name = name;
  options.data_directory = config.data_dir;
  options.cache_limit_bytes = config.daemon_cache_size;
  if (options.data_directory.empty()) {
    CAPI_ASSIGN_OR_RETURN(options.data_directory, DefaultDataDirectory());
  }
  if (UsesCluster(config)) {
    CAPI_ASSIGN_OR_RETURN(options.cluster, Cluster::Connect(options.env, config));
  }
  return options;
}

Keyspace::Keyspace(const KeyspaceOptions& options) : options_(options) {
  if (options_.cluster == nullptr) directory_ = DirectoryOf(options_);
}

Keyspace::~Keyspace() {
  if (options_.cluster == nullptr || directory_.empty()) return;
  catalog_.reset();
  tables_.reset();
  const Status removed = options_.env->RemoveTree(directory_);
  if (!removed.ok()) LogWarn("cannot remove a cache: " + Describe(removed));
}

Result<std::unique_ptr<Keyspace>> Keyspace::OpenForRunning(const KeyspaceOptions& options) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  Env* env = options.env;
  std::unique_ptr<Keyspace> keyspace(new Keyspace(options));
  CAPI_RETURN_NOT_OK(env->CreateDirectories(keyspace->directory_));
  CAPI_ASSIGN_OR_RETURN(keyspace->lock_, workflow::KeyspaceLock::Acquire(keyspace->directory_));
  state::SqliteOptions sqlite;
  sqlite.path = StatePath(keyspace->directory_);
  sqlite.vfs = options.sqlite_vfs;
  CAPI_ASSIGN_OR_RETURN(keyspace->state_, state::OpenSqliteStore(env, sqlite));
  CAPI_RETURN_NOT_OK(keyspace->OpenTables());
  keyspace->queue_ = queue::NewLocalQueue(env);
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

Result<std::unique_ptr<Keyspace>> Keyspace::OpenForStarting(const KeyspaceOptions& options) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  std::unique_ptr<Keyspace> keyspace(new Keyspace(options));
  CAPI_RETURN_NOT_OK(keyspace->OpenOnCluster(/*create=*/true));
  return keyspace;
}

Result<std::unique_ptr<Keyspace>> Keyspace::OpenForSharing(
    const KeyspaceOptions& options, int64_t lease_ms, std::function<void(const Status&)> on_lost) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  std::unique_ptr<Keyspace> keyspace(new Keyspace(options));
  CAPI_RETURN_NOT_OK(keyspace->OpenOnCluster(/*create=*/false));
  // Before the tables: what an owner writes is garbage unless it is known as living.
  CAPI_ASSIGN_OR_RETURN(keyspace->lease_,
                        workflow::LeaseKeeper::Start(options.env, keyspace->state(), lease_ms,
                                                     std::move(on_lost), options.counters));
  CAPI_RETURN_NOT_OK(keyspace->OpenTables());
  keyspace->rows_ = options.cluster->OpenRows(options.name);
  CAPI_RETURN_NOT_OK(options.env->CreateDirectories(keyspace->spill_directory()));
  return keyspace;
}

Status Keyspace::OpenOnCluster(bool create) {
  CAPI_ASSIGN_OR_RETURN(state_, options_.cluster->OpenState(options_.name, create));
  return Status::OK();
}

Status Keyspace::MakeLocalDirectory() {
  Env* env = options_.env;
  const std::string parent = options_.data_directory + "/" + kClusterDirectory;
  CAPI_RETURN_NOT_OK(env->CreateDirectories(parent));
  CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> others, env->ListDirectory(parent));
  for (const std::string& other : others) {
    // Left by a process that was killed, unless somebody holds its lock.
    const std::string directory = parent + "/" + other;
    const Result<std::unique_ptr<workflow::KeyspaceLock>> lock =
        workflow::KeyspaceLock::Acquire(directory);
    if (!lock.ok()) continue;
    const Status removed = env->RemoveTree(directory);
    if (!removed.ok()) LogWarn("cannot remove an old cache: " + Describe(removed));
  }
  Status status;
  for (int attempt = 0; attempt < kDirectoryAttempts; ++attempt) {
    const std::string directory = parent + "/" + options_.name + RandomSuffix(env, "-");
    CAPI_RETURN_NOT_OK(env->CreateDirectories(directory));
    // Another process that cleans up may take the new directory for an old one.
    Result<std::unique_ptr<workflow::KeyspaceLock>> lock =
        workflow::KeyspaceLock::Acquire(directory);
    status = lock.status();
    if (!status.ok()) continue;
    lock_ = *std::move(lock);
    directory_ = directory;
    return Status::OK();
  }
  return status;
}

Status Keyspace::OpenTables() {
  if (tables_ != nullptr) return Status::OK();
  Env* env = options_.env;
  if (options_.cluster == nullptr) {
    CAPI_ASSIGN_OR_RETURN(tables_, store::TableStore::Open(env, directory_ + "/tables"));
  } else {
    CAPI_RETURN_NOT_OK(MakeLocalDirectory());
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<store::BlobStore> blobs,
                          options_.cluster->OpenBlobs(options_.name));
    store::SharedStoreOptions shared;
    shared.env = env;
    shared.cache_directory = directory_ + "/cache";
    shared.cache_limit_bytes = options_.cache_limit_bytes;
    shared.counters = options_.cache_counters;
    // One who only reads writes nothing that could be taken for garbage.
    shared.owner =
        lease_ != nullptr ? lease_->owner() : static_cast<int64_t>(env->Random() >> 1) | 1;
    CAPI_ASSIGN_OR_RETURN(tables_, store::TableStore::OpenShared(shared, std::move(blobs)));
  }
  catalog_ = std::make_unique<workflow::TableCatalog>(state_.get(), tables_.get());
  return Status::OK();
}

Result<bool> Keyspace::InUse() {
  if (options_.cluster == nullptr) return workflow::KeyspaceLock::IsHeld(directory_);
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::OwnerRecord> owners, state_->Owners());
  return !owners.empty();
}

Result<std::unique_ptr<Keyspace>> Keyspace::OpenExisting(const KeyspaceOptions& options,
                                                         bool read_only) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  Env* env = options.env;
  std::unique_ptr<Keyspace> keyspace(new Keyspace(options));
  if (options.cluster != nullptr) {
    CAPI_RETURN_NOT_OK(keyspace->OpenOnCluster(/*create=*/false));
    return keyspace;
  }
  CAPI_ASSIGN_OR_RETURN(const bool exists, env->Exists(StatePath(keyspace->directory_)));
  if (!exists) return UnknownKeyspace(options);
  state::SqliteOptions sqlite;
  sqlite.path = StatePath(keyspace->directory_);
  sqlite.vfs = options.sqlite_vfs;
  sqlite.read_only = read_only;
  CAPI_ASSIGN_OR_RETURN(keyspace->state_, state::OpenSqliteStore(env, sqlite));
  return keyspace;
}

Status Keyspace::Drop(const KeyspaceOptions& options) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.name));
  if (options.cluster != nullptr) return options.cluster->Drop(options.name);
  Env* env = options.env;
  const std::string directory = DirectoryOf(options);
  CAPI_ASSIGN_OR_RETURN(const bool exists, env->Exists(directory));
  if (!exists) return UnknownKeyspace(options);
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<workflow::KeyspaceLock> lock,
                        workflow::KeyspaceLock::Acquire(directory));
  // Renamed first: a crash in the middle must not leave a keyspace with half its tables.
  const std::string doomed = directory + RandomSuffix(env, ".dropped-");
  CAPI_RETURN_NOT_OK(env->Rename(directory, doomed));
  return env->RemoveTree(doomed);
}

}  // namespace capi::service
