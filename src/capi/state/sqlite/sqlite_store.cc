// Opening, owners, runs, nodes and files. Batches: sqlite_batches.cc.

#include "capi/state/sqlite/sqlite_store.h"

#include <utility>

#include "capi/state/record_json.h"
#include "capi/state/sqlite/schema.h"
#include "capi/state/sqlite/sqlite_rows_internal.h"
#include "capi/state/sqlite/sqlite_store_internal.h"

namespace capi::state {

Result<std::unique_ptr<StateStore>> OpenSqliteStore(Env* env, const SqliteOptions& options) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SqliteStore> store, SqliteStore::Open(env, options));
  return std::unique_ptr<StateStore>(std::move(store));
}

namespace {

/// SQLite's default; the first page of a database whose creation was finished is on the disk whole.
constexpr int64_t kPageBytes = 4096;
constexpr std::string_view kMagic = "SQLite format 3";

/// Removes what a power failure in the middle of CreateOrMigrate left behind. Nothing was ever
/// committed to it, because the first page is synced before anything else.
Status RemoveUnfinishedDatabase(Env* env, const std::string& path) {
  CAPI_ASSIGN_OR_RETURN(const bool exists, env->Exists(path));
  if (!exists) return Status::OK();
  CAPI_ASSIGN_OR_RETURN(const FileInfo info, env->Stat(path));
  if (info.size > kPageBytes) return Status::OK();
  CAPI_ASSIGN_OR_RETURN(const std::string bytes, env->ReadFile(path));
  const bool blank = bytes.find_first_not_of('\0') == std::string::npos;
  const bool torn =
      info.size < kPageBytes && std::string_view(bytes).starts_with(kMagic.substr(0, bytes.size()));
  if (!blank && !torn) return Status::OK();
  for (const char* suffix : {"-journal", "-wal", "-shm", ""}) {
    CAPI_RETURN_NOT_OK(env->RemoveFile(path + suffix));
  }
  return Status::OK();
}

Result<bool> HasSchema(Connection* connection) {
  CAPI_ASSIGN_OR_RETURN(Query query, connection->Select("PRAGMA user_version"));
  CAPI_RETURN_NOT_OK(query.Step().status());
  return query.Int(0) > 0;
}

/// Switching an empty database to write-ahead logging the usual way costs eight syncs. One is
/// needed: that of the first page. The schema becomes durable with the first sync of the log.
Status CreateOrMigrate(Connection* connection) {
  bool empty = false;
  {
    CAPI_ASSIGN_OR_RETURN(Query query, connection->Select("PRAGMA page_count"));
    CAPI_RETURN_NOT_OK(query.Step().status());
    empty = query.Int(0) == 0;
  }
  if (!empty) {
    CAPI_RETURN_NOT_OK(connection->ExecuteScript("PRAGMA journal_mode=WAL"));
    // The process that created the first page may have died before it was synced.
    CAPI_ASSIGN_OR_RETURN(const bool created, HasSchema(connection));
    if (!created) CAPI_RETURN_NOT_OK(connection->SyncMainFile());
    return MigrateSchema(connection);
  }
  CAPI_RETURN_NOT_OK(connection->ExecuteScript("PRAGMA synchronous=OFF; PRAGMA journal_mode=WAL"));
  CAPI_RETURN_NOT_OK(connection->SyncMainFile());
  CAPI_RETURN_NOT_OK(MigrateSchema(connection));
  return connection->ExecuteScript("PRAGMA synchronous=NORMAL");
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::Open(Env* env, const SqliteOptions& options) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(env));
  ConnectionOptions connection;
  connection.path = options.path;
  connection.vfs = options.vfs;
  connection.read_only = options.read_only;
  if (!options.read_only) {
    CAPI_RETURN_NOT_OK(RemoveUnfinishedDatabase(env, options.path));
    CAPI_ASSIGN_OR_RETURN(store->writer_.connection, Connection::Open(connection));
    CAPI_RETURN_NOT_OK(CreateOrMigrate(store->writer_.connection.get()));
    CAPI_ASSIGN_OR_RETURN(store->syncer_.connection, Connection::Open(connection));
    CAPI_RETURN_NOT_OK(CheckSchema(store->syncer_.connection.get()));
  }
  CAPI_ASSIGN_OR_RETURN(store->reader_.connection, Connection::Open(connection));
  if (options.read_only) CAPI_RETURN_NOT_OK(CheckSchema(store->reader_.connection.get()));
  return store;
}

Status SqliteStore::Write(const std::function<Status(Connection*)>& body) {
  const std::lock_guard lock(writer_.mutex);
  Connection* connection = writer_.connection.get();
  if (connection == nullptr) return BugError("workflow state was opened for reading only");
  CAPI_RETURN_NOT_OK(connection->Begin());
  const Status status = body(connection);
  if (!status.ok()) {
    connection->Rollback();
    return status;
  }
  CAPI_RETURN_NOT_OK(connection->Commit());
  ++num_commits_;
  return Status::OK();
}

Status SqliteStore::Sync() {
  const int64_t wanted = num_commits_.load();
  const std::lock_guard lock(syncer_.mutex);
  // After a failed sync the kernel may have dropped the pages: a later success would prove nothing.
  CAPI_RETURN_NOT_OK(sync_failure_);
  // Somebody else's sync may have covered ours while we waited for the lock.
  if (num_durable_ >= wanted || syncer_.connection == nullptr) return Status::OK();
  const int64_t covered = num_commits_.load();
  sync_failure_ = syncer_.connection->SyncLog();
  CAPI_RETURN_NOT_OK(sync_failure_);
  num_durable_ = covered;
  return Status::OK();
}

// ---- Owners

Status SqliteStore::RegisterOwner(const OwnerRecord& owner) {
  return Write([&](Connection* connection) {
    return connection
        ->Run("INSERT INTO owners(owner, instance, renewals) VALUES(?1, ?2, ?3)", owner.owner,
              owner.instance, owner.renewals)
        .status();
  });
}

Result<bool> SqliteStore::RenewOwner(OwnerId owner,
                                     const std::map<int64_t, std::string>& /*problems*/) {
  int64_t changed = 0;
  CAPI_RETURN_NOT_OK(Write([&](Connection* connection) -> Status {
    CAPI_ASSIGN_OR_RETURN(
        changed,
        connection->Run("UPDATE owners SET renewals = renewals + 1 WHERE owner = ?1", owner));
    return Status::OK();
  }));
  return changed == 1;
}

Result<std::vector<OwnerRecord>> SqliteStore::Owners() {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(
      Query query,
      reader_.connection->Select("SELECT owner, instance, renewals FROM owners ORDER BY owner"));
  std::vector<OwnerRecord> owners;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return owners;
    owners.push_back({query.Int(0), query.Text(1), query.Int(2), {}});
  }
}

// ---- Events and changes

Status SqliteStore::AddEvent(Connection* connection, EventKind kind, const NodeId& node,
                             int64_t batch_index, int status, const std::string& comment) {
  return connection
      ->Run(
          "INSERT INTO events(ts_ms, kind, run_id, node_index, batch_index, status, comment) "
          "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
          env_->NowMillis(), static_cast<int>(kind), node.run_id, node.node_index, batch_index,
          status, comment)
      .status();
}

Status SqliteStore::ApplyIn(Connection* connection, const Changes& changes) {
  for (const NodeChange& change : changes.nodes) {
    if (change.pins) {
      CAPI_RETURN_NOT_OK(connection
                             ->Run("UPDATE nodes SET pinned = 1, reader_run = ?3, lookup_run = ?4, "
                                   "inputs = ?5 WHERE run_id = ?1 AND node_index = ?2 AND "
                                   "pinned = 0 AND status < 2",
                                   change.id.run_id, change.id.node_index, change.pins->reader_run,
                                   change.pins->lookup_run, change.pins->inputs)
                             .status());
    }
    if (!change.status) continue;
    const int64_t now = env_->NowMillis();
    CAPI_ASSIGN_OR_RETURN(
        const int64_t changed,
        connection->Run(
            "UPDATE nodes SET status = ?3, manifest = ?4, counts = ?5, error_kind = ?6, "
            "error_class = ?7, error_text = ?8, ended_ms = ?9, "
            "started_ms = CASE started_ms WHEN 0 THEN ?9 ELSE started_ms END "
            "WHERE run_id = ?1 AND node_index = ?2 AND status < 2",
            change.id.run_id, change.id.node_index, static_cast<int>(*change.status),
            change.manifest, change.counts, change.error.kind, change.error.error_class,
            change.error.text, now));
    if (changed == 0) continue;
    const std::string& comment = change.comment.empty() ? change.error.text : change.comment;
    CAPI_RETURN_NOT_OK(AddEvent(connection, EventKind::kNode, change.id, 0,
                                static_cast<int>(*change.status), comment));
  }
  for (const RunChange& change : changes.completed_runs) {
    CAPI_ASSIGN_OR_RETURN(const int64_t changed,
                          connection->Run("UPDATE runs SET status = 2, ended_ms = ?2, comment = ?3 "
                                          "WHERE run_id = ?1 AND status = 1",
                                          change.run_id, env_->NowMillis(), change.comment));
    if (changed == 0) continue;
    CAPI_RETURN_NOT_OK(AddEvent(connection, EventKind::kRun, {change.run_id, 0}, 0,
                                static_cast<int>(RunStatus::kComplete), change.comment));
  }
  return Status::OK();
}

Status SqliteStore::Apply(const Changes& changes) {
  if (changes.empty()) return Status::OK();
  return Write([&](Connection* connection) { return ApplyIn(connection, changes); });
}

// ---- Runs and nodes

Result<int64_t> SqliteStore::CreateRun(const RunRecord& run, const std::vector<NodeRecord>& nodes) {
  int64_t run_id = 0;
  CAPI_RETURN_NOT_OK(Write([&](Connection* connection) -> Status {
    {
      CAPI_ASSIGN_OR_RETURN(Query query,
                            connection->Select("SELECT coalesce(max(run_id), 0) + 1 FROM runs"));
      CAPI_RETURN_NOT_OK(query.Step().status());
      run_id = query.Int(0);
    }
    const std::string start_nodes = ListToJson(run.start_nodes);
    const std::string affected_nodes = ListToJson(run.affected_nodes);
    CAPI_RETURN_NOT_OK(
        connection
            ->Run("INSERT INTO runs(run_id, status, script_url, parameters_url, script_hash, "
                  "parameters_hash, start_hash, start_nodes, affected_nodes, until_node, "
                  "description, now_ms, started_ms, ended_ms, comment, overrides, strict) "
                  "VALUES(?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13, ?14, "
                  "?15)",
                  run_id, run.script_url, run.parameters_url, run.script_hash, run.parameters_hash,
                  run.start_hash, start_nodes, affected_nodes, run.until_node, run.description,
                  run.now_ms, run.started_ms, run.comment, PairsToJson(run.overrides), run.strict)
            .status());
    for (size_t i = 0; i < nodes.size(); ++i) {
      const NodeRecord& node = nodes[i];
      CAPI_RETURN_NOT_OK(
          connection
              ->Run("INSERT INTO nodes(run_id, node_index, name, type, table_name, depth, "
                    "batches_total, rerun_fails, urls, status) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, "
                    "?8, ?9, 0)",
                    run_id, static_cast<int64_t>(i), node.name, node.type, node.table, node.depth,
                    node.batches_total, node.rerun_fails,
                    node.urls.empty() ? std::string() : ListToJson(node.urls))
              .status());
    }
    return AddEvent(connection, EventKind::kRun, {run_id, 0}, 0,
                    static_cast<int>(RunStatus::kStart), run.comment);
  }));
  return run_id;
}

Result<std::vector<RunRecord>> SqliteStore::Runs() {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(Query query, reader_.connection->Select("SELECT " CAPI_RUN_COLUMNS
                                                                " FROM runs r ORDER BY r.run_id"));
  std::vector<RunRecord> runs;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return runs;
    runs.push_back(ReadRun(query, 0));
  }
}

Result<std::optional<RunRecord>> SqliteStore::FindRun(int64_t run_id) {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(Query query,
                        reader_.connection->Select(
                            "SELECT " CAPI_RUN_COLUMNS " FROM runs r WHERE r.run_id = ?1", run_id));
  CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
  if (!row) return std::nullopt;
  return ReadRun(query, 0);
}

Status SqliteStore::StopRun(int64_t run_id, const std::string& comment) {
  return Write([&](Connection* connection) -> Status {
    {
      CAPI_ASSIGN_OR_RETURN(Query query,
                            connection->Select("SELECT 1 FROM runs WHERE run_id = ?1", run_id));
      CAPI_ASSIGN_OR_RETURN(const bool known, query.Step());
      if (!known) return UserError("unknown_run", "no such run: " + std::to_string(run_id));
    }
    CAPI_ASSIGN_OR_RETURN(const int64_t changed,
                          connection->Run("UPDATE runs SET status = 3, ended_ms = ?2, comment = ?3 "
                                          "WHERE run_id = ?1 AND status <> 3",
                                          run_id, env_->NowMillis(), comment));
    if (changed == 0) return Status::OK();
    return AddEvent(connection, EventKind::kRun, {run_id, 0}, 0, static_cast<int>(RunStatus::kStop),
                    comment);
  });
}

Result<std::vector<NodeRecord>> SqliteStore::Nodes(int64_t run_id) {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(Query query, reader_.connection->Select(
                                         "SELECT " CAPI_NODE_COLUMNS
                                         " FROM nodes n WHERE n.run_id = ?1 ORDER BY n.node_index",
                                         run_id));
  std::vector<NodeRecord> nodes;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return nodes;
    nodes.push_back(ReadNode(query, 0));
  }
}

Result<std::vector<std::pair<NodeRecord, RunRecord>>> SqliteStore::NodesNamed(
    const std::vector<std::string>& names) {
  const std::lock_guard lock(reader_.mutex);
  std::vector<std::pair<NodeRecord, RunRecord>> found;
  for (const std::string& name : names) {
    CAPI_ASSIGN_OR_RETURN(
        Query query,
        reader_.connection->Select("SELECT " CAPI_NODE_COLUMNS ", " CAPI_RUN_COLUMNS
                                   " FROM nodes n JOIN runs r USING (run_id) WHERE n.name = ?1 "
                                   "ORDER BY n.run_id",
                                   name));
    while (true) {
      CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      found.emplace_back(ReadNode(query, 0), ReadRun(query, kNumNodeColumns));
    }
  }
  return found;
}

Result<std::optional<NodeRecord>> SqliteStore::NodeOfTable(int64_t run_id,
                                                           const std::string& table) {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(Query query, reader_.connection->Select(
                                         "SELECT " CAPI_NODE_COLUMNS
                                         " FROM nodes n WHERE n.run_id = ?1 AND n.table_name = ?2",
                                         run_id, table));
  CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
  if (!row) return std::nullopt;
  return ReadNode(query, 0);
}

// ---- Output files

Status SqliteStore::PlanFile(const FileRecord& file) {
  CAPI_RETURN_NOT_OK(Write([&](Connection* connection) {
    return connection
        ->Run(
            "INSERT OR REPLACE INTO files(run_id, node_index, batch_index, attempt, target, "
            "temp_path, size, rows, state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0)",
            file.id.node.run_id, file.id.node.node_index, file.id.batch_index, file.attempt,
            file.target, file.temp_path)
        .status();
  }));
  return Sync();
}

Status SqliteStore::MarkPublished(const std::vector<FileRecord>& files, const Changes& changes) {
  return EndPending(files, FileState::kPublished, changes);
}

Status SqliteStore::MarkLost(const std::vector<FileRecord>& files, const Changes& changes) {
  return EndPending(files, FileState::kLost, changes);
}

Status SqliteStore::EndPending(const std::vector<FileRecord>& files, FileState state,
                               const Changes& changes) {
  if (files.empty() && changes.empty()) return Status::OK();
  return Write([&](Connection* connection) -> Status {
    for (const FileRecord& file : files) {
      CAPI_RETURN_NOT_OK(
          connection
              ->Run("UPDATE files SET state = ?6 WHERE run_id = ?1 AND node_index = ?2 AND "
                    "batch_index = ?3 AND attempt = ?4 AND target = ?5 AND state = 1",
                    file.id.node.run_id, file.id.node.node_index, file.id.batch_index, file.attempt,
                    file.target, static_cast<int64_t>(state))
              .status());
    }
    return ApplyIn(connection, changes);
  });
}

Status SqliteStore::ForgetPlannedFiles(const std::vector<FileRecord>& files) {
  if (files.empty()) return Status::OK();
  return Write([&](Connection* connection) -> Status {
    for (const FileRecord& file : files) {
      CAPI_RETURN_NOT_OK(
          connection
              ->Run("DELETE FROM files WHERE run_id = ?1 AND node_index = ?2 AND "
                    "batch_index = ?3 AND attempt = ?4 AND target = ?5 AND state = 0",
                    file.id.node.run_id, file.id.node.node_index, file.id.batch_index, file.attempt,
                    file.target)
              .status());
    }
    return Status::OK();
  });
}

Result<std::vector<FileRecord>> SqliteStore::Files(std::optional<int64_t> run_id,
                                                   std::optional<FileState> state) {
  constexpr int64_t kAny = -1;
  const std::lock_guard lock(reader_.mutex);
  // The partial index on unfinished files is used only with a literal condition.
  const bool unfinished = state && (*state == FileState::kPlanned || *state == FileState::kPending);
  const char* sql =
      unfinished ? "SELECT run_id, node_index, batch_index, attempt, target, temp_path, size, "
                   "rows, state FROM files WHERE state < 2 AND (?1 = -1 OR run_id = ?1) AND "
                   "(?2 = -1 OR state = ?2) ORDER BY run_id, node_index, batch_index, target"
                 : "SELECT run_id, node_index, batch_index, attempt, target, temp_path, size, "
                   "rows, state FROM files WHERE (?1 = -1 OR run_id = ?1) AND "
                   "(?2 = -1 OR state = ?2) ORDER BY run_id, node_index, batch_index, target";
  CAPI_ASSIGN_OR_RETURN(Query query,
                        reader_.connection->Select(sql, run_id.value_or(kAny),
                                                   state ? static_cast<int64_t>(*state) : kAny));
  std::vector<FileRecord> files;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return files;
    FileRecord file;
    file.id = {{query.Int(0), query.Int(1)}, query.Int(2)};
    file.attempt = query.Int(3);
    file.target = query.Text(4);
    file.temp_path = query.Text(5);
    file.size = query.Int(6);
    file.rows = query.Int(7);
    file.state = static_cast<FileState>(query.Int(8));
    files.push_back(std::move(file));
  }
}

// ---- Change feed

Result<std::vector<Event>> SqliteStore::EventsAfter(int64_t after, int64_t limit) {
  const std::lock_guard lock(reader_.mutex);
  CAPI_ASSIGN_OR_RETURN(
      Query query,
      reader_.connection->Select(
          "SELECT e.number, e.ts_ms, e.kind, e.run_id, "
          "CASE e.kind WHEN 0 THEN '' ELSE n.name END, e.batch_index, e.status, e.comment "
          "FROM events e LEFT JOIN nodes n USING (run_id, node_index) "
          "WHERE e.number > ?1 ORDER BY e.number LIMIT ?2",
          after, limit));
  std::vector<Event> events;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return events;
    Event event;
    event.number = query.Int(0);
    event.ts_ms = query.Int(1);
    event.kind = static_cast<EventKind>(query.Int(2));
    event.run_id = query.Int(3);
    event.node = query.Text(4);
    event.batch_index = query.Int(5);
    event.status = static_cast<int>(query.Int(6));
    event.comment = query.Text(7);
    events.push_back(std::move(event));
  }
}

}  // namespace capi::state
