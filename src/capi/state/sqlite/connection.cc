#include "capi/state/sqlite/connection.h"

#include <sqlite3.h>

namespace capi::state {

namespace {

constexpr int kBusyTimeoutMs = 10000;

ErrorKind KindOfCode(int primary_code) {
  switch (primary_code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorKind::kRetriable;
    case SQLITE_PERM:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
    case SQLITE_AUTH:
    case SQLITE_NOTADB:
      return ErrorKind::kEnvironment;
    case SQLITE_INTERRUPT:
      return ErrorKind::kCancelled;
    default:
      return ErrorKind::kBug;
  }
}

}  // namespace

Status StatusOfSqlite(int code, std::string_view what, std::string_view detail) {
  constexpr int kPrimaryMask = 0xff;
  ErrorInfo info;
  info.kind = KindOfCode(code & kPrimaryMask);
  std::string message =
      "workflow state database: " + std::string(what) + ": " + sqlite3_errstr(code);
  if (!detail.empty() && detail != sqlite3_errstr(code)) message += ": " + std::string(detail);
  return MakeError(std::move(info), std::move(message));
}

namespace {

/// The error of the last call on this connection, with the path of its database.
Status LastError(sqlite3* database, std::string_view what) {
  const int code = sqlite3_extended_errcode(database);
  std::string detail = sqlite3_errmsg(database);
  if (detail == sqlite3_errstr(code)) detail.clear();
  const char* path = sqlite3_db_filename(database, "main");
  if (path != nullptr && *path != '\0') detail += (detail.empty() ? "" : ": ") + std::string(path);
  return StatusOfSqlite(code, what, detail);
}

}  // namespace

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Result<bool> Query::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return LastError(sqlite3_db_handle(statement_), "statement failed");
}

int64_t Query::Int(int column) const { return sqlite3_column_int64(statement_, column); }

bool Query::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string Query::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (text == nullptr) return {};
  return {text, static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

Status Query::Bind(int position, int64_t value) {
  const int code = sqlite3_bind_int64(statement_, position, value);
  return code == SQLITE_OK ? Status::OK() : StatusOfSqlite(code, "cannot bind a value", "");
}

Status Query::Bind(int position, std::string_view value) {
  // An empty view may hold a null pointer, which would bind NULL.
  const char* data = value.empty() ? "" : value.data();
  const int code =
      sqlite3_bind_text64(statement_, position, data, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  return code == SQLITE_OK ? Status::OK() : StatusOfSqlite(code, "cannot bind a text", "");
}

Result<std::unique_ptr<Connection>> Connection::Open(const ConnectionOptions& options) {
  sqlite3* database = nullptr;
  const int flags =
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) |
      SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(options.path.c_str(), &database, flags,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  // Owned from here on: SQLite gives a handle even when opening fails.
  std::unique_ptr<Connection> connection(new Connection(database));
  if (code != SQLITE_OK) {
    return StatusOfSqlite(code, "cannot open " + options.path,
                          database == nullptr ? "" : sqlite3_errmsg(database));
  }
  sqlite3_extended_result_codes(database, 1);
  sqlite3_busy_timeout(database, kBusyTimeoutMs);
  // Closing leaves the write-ahead log to the next opener: a checkpoint would cost two syncs at the
  // end of every run, and any SQLite reads the log.
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // NORMAL: a commit is written but not synced; SyncLog is the sync.
  CAPI_RETURN_NOT_OK(
      connection->ExecuteScript("PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY"));
  return connection;
}

namespace {

Status SyncFile(sqlite3* database, int file_pointer_operation, std::string_view what) {
  sqlite3_file* file = nullptr;
  int code = sqlite3_file_control(database, "main", file_pointer_operation, &file);
  if (code == SQLITE_OK && (file == nullptr || file->pMethods == nullptr)) code = SQLITE_MISUSE;
  if (code == SQLITE_OK) code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
  if (code == SQLITE_OK) return Status::OK();
  const char* path = sqlite3_db_filename(database, "main");
  return StatusOfSqlite(code, what, path == nullptr ? "" : path);
}

}  // namespace

Status Connection::SyncMainFile() {
  return SyncFile(database_, SQLITE_FCNTL_FILE_POINTER, "cannot sync the database file");
}

Status Connection::SyncLog() {
  return SyncFile(database_, SQLITE_FCNTL_JOURNAL_POINTER, "cannot sync the write-ahead log");
}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(database_);
}

Status Connection::ExecuteScript(const std::string& sql) {
  const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return Status::OK();
  return LastError(database_, "statement failed");
}

Result<Query> Connection::Prepared(const char* sql) {
  const auto found = statements_.find(sql);
  if (found != statements_.end()) return Query(found->second);
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) !=
      SQLITE_OK) {
    return LastError(database_, "cannot prepare a statement");
  }
  statements_.emplace(sql, statement);
  return Query(statement);
}

int64_t Connection::ChangedRows() const { return sqlite3_changes64(database_); }

Status Connection::Begin() { return Run("BEGIN IMMEDIATE").status(); }

Status Connection::Commit() {
  Status status = Run("COMMIT").status();
  if (!status.ok()) Rollback();
  return status;
}

void Connection::Rollback() {
  // Some errors roll back by themselves; a second rollback would only complain.
  if (sqlite3_get_autocommit(database_) == 0) (void)Run("ROLLBACK");
}

}  // namespace capi::state
