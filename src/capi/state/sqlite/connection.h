#pragma once

// A thin owner of one sqlite3 connection: prepared statements kept by their text, bound arguments,
// transactions, and the translation of SQLite's result codes into our error kinds.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "capi/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace capi::state {

/// Kind and text of a SQLite result code (extended codes allowed).
Status StatusOfSqlite(int code, std::string_view what, std::string_view detail);

/// Use of one prepared statement; resets it when destroyed. One use of a statement at a time.
class Query {
 public:
  explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
  Query(Query&& other) noexcept : statement_(other.statement_) { other.statement_ = nullptr; }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  /// Binds parameters ?1, ?2, ... Texts must outlive the use.
  template <typename... Arguments>
  Status BindAll(const Arguments&... arguments) {
    int position = 0;
    Status status;
    (void)(((status = Bind(++position, arguments)).ok()) && ...);
    return status;
  }
  /// True: a row is there; false: no more rows.
  Result<bool> Step();
  int64_t Int(int column) const;
  bool IsNull(int column) const;
  std::string Text(int column) const;

 private:
  Status Bind(int position, int64_t value);
  Status Bind(int position, int value) { return Bind(position, static_cast<int64_t>(value)); }
  Status Bind(int position, bool value) { return Bind(position, static_cast<int64_t>(value)); }
  Status Bind(int position, std::string_view value);
  Status Bind(int position, const std::string& value) {
    return Bind(position, std::string_view(value));
  }
  Status Bind(int position, const char* value) { return Bind(position, std::string_view(value)); }

  sqlite3_stmt* statement_;
};

struct ConnectionOptions {
  std::string path;
  std::string vfs;  ///< name of a registered sqlite3_vfs, "" = the default one
  bool read_only = false;
};

/// Used by one thread at a time.
class Connection {
 public:
  static Result<std::unique_ptr<Connection>> Open(const ConnectionOptions& options);
  ~Connection();

  /// Syncs the main database file itself, which commits to the write-ahead log do not.
  Status SyncMainFile();
  /// Syncs the write-ahead log: all transactions committed before, by any connection, are durable
  /// then. Needs one use of the database by this connection before.
  Status SyncLog();

  /// Statements without rows or parameters, several allowed.
  Status ExecuteScript(const std::string& sql);

  /// Prepares (once per text) and binds.
  template <typename... Arguments>
  Result<Query> Select(const char* sql, const Arguments&... arguments) {
    CAPI_ASSIGN_OR_RETURN(Query query, Prepared(sql));
    CAPI_RETURN_NOT_OK(query.BindAll(arguments...));
    return query;
  }
  /// Runs a statement that yields no rows; returns the number of rows it changed.
  template <typename... Arguments>
  Result<int64_t> Run(const char* sql, const Arguments&... arguments) {
    CAPI_ASSIGN_OR_RETURN(Query query, Select(sql, arguments...));
    CAPI_RETURN_NOT_OK(query.Step().status());
    return ChangedRows();
  }

  Status Begin();  ///< BEGIN IMMEDIATE
  Status Commit();
  void Rollback();

 private:
  explicit Connection(sqlite3* database) : database_(database) {}
  Result<Query> Prepared(const char* sql);
  int64_t ChangedRows() const;

  sqlite3* database_;
  std::unordered_map<std::string_view, sqlite3_stmt*> statements_;  // keys: string literals
};

}  // namespace capi::state
