// Keyspaces: making, checking, dropping, listing.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "capi/state/cassandra/cassandra_store.h"
#include "capi/state/cassandra/keyspace_internal.h"
#include "capi/state/cassandra/schema.h"

namespace capi::state {

namespace {

// As long as the original waits (spec/storage.md 1).
constexpr int64_t kSchemaWaitMs = 120000;
constexpr int64_t kSchemaPauseMs = 100;

using Columns = std::map<std::string, std::map<std::string, std::string>>;  // table, column, type

Result<bool> KeyspaceExists(cql::Session* session, const std::string& keyspace) {
  CAPI_ASSIGN_OR_RETURN(
      cql::StatementPtr statement,
      session->Prepare("SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
                       true));
  cql::Request request{std::move(statement), {}, cql::Consistency::kOne};
  request.values.Text(FoldedKeyspace(keyspace));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, session->Execute(request));
  return !rows.empty();
}

Result<Columns> ReadColumns(cql::Session* session, const std::string& keyspace) {
  CAPI_ASSIGN_OR_RETURN(cql::StatementPtr statement,
                        session->Prepare("SELECT table_name, column_name, type FROM "
                                         "system_schema.columns WHERE keyspace_name = ?",
                                         true));
  cql::Request request{std::move(statement), {}, cql::Consistency::kOne};
  request.values.Text(FoldedKeyspace(keyspace));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, session->Execute(request));
  Columns columns;
  for (int64_t row = 0; row < rows.size(); ++row) {
    columns[std::string(rows.Text(row, 0))][std::string(rows.Text(row, 1))] = rows.Text(row, 2);
  }
  return columns;
}

std::vector<WorkflowTable> AllTables() {
  std::vector<WorkflowTable> tables(WorkflowTables().begin(), WorkflowTables().end());
  tables.insert(tables.end(), OwnWorkflowTables().begin(), OwnWorkflowTables().end());
  return tables;
}

/// Name of the first table that is not there; "" = all are.
std::string MissingTable(const Columns& present) {
  for (const WorkflowTable& table : AllTables()) {
    if (!present.contains(std::string(table.name))) return std::string(table.name);
  }
  return "";
}

/// "table.column" of the first column that a present table lacks or has with another type.
std::string OtherColumn(const Columns& present) {
  for (const WorkflowTable& table : AllTables()) {
    const auto found = present.find(std::string(table.name));
    if (found == present.end()) continue;
    for (const WorkflowColumn& column : table.columns) {
      const auto type = found->second.find(std::string(column.name));
      if (type == found->second.end() || type->second != column.type) {
        return std::string(table.name) + "." + std::string(column.name);
      }
    }
  }
  return "";
}

Status OtherLayout(const std::string& keyspace, const std::string& column) {
  return UserError(
      "other_layout",
      "the workflow tables of the keyspace have another layout (it was made by another "
      "version): " +
          keyspace + ", column " + column);
}

Status CreateMissing(cql::Session* session, const std::string& keyspace,
                     const std::string& replication) {
  CAPI_ASSIGN_OR_RETURN(const bool exists, KeyspaceExists(session, keyspace));
  if (!exists) {
    CAPI_RETURN_NOT_OK(session->ExecuteSchema(CreateKeyspaceCql(keyspace, replication)));
  }
  CAPI_ASSIGN_OR_RETURN(const Columns present, ReadColumns(session, keyspace));
  for (const WorkflowTable& table : AllTables()) {
    if (present.contains(std::string(table.name))) continue;
    CAPI_RETURN_NOT_OK(session->ExecuteSchema(CreateStatement(table, keyspace)));
  }
  return Status::OK();
}

Status CreateCounter(cql::Session* session, const std::string& keyspace) {
  CAPI_ASSIGN_OR_RETURN(
      cql::StatementPtr select,
      session->Prepare("SELECT last_run FROM " + keyspace + ".wf_run_counter WHERE ks = ?", true));
  cql::Request request{std::move(select), {}, cql::Consistency::kDefault};
  request.values.Text(keyspace);
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows, session->Execute(request));
  if (!rows.empty()) return Status::OK();
  CAPI_ASSIGN_OR_RETURN(cql::StatementPtr insert,
                        session->Prepare(InsertCounterStatement(keyspace), false));
  return session->ExecuteConditional({{std::move(insert), {}, cql::Consistency::kDefault}})
      .status();
}

}  // namespace

Status CreateCassandraSchema(Env* env, cql::Session* session, const std::string& keyspace,
                             const std::string& replication) {
  const int64_t deadline = env->MonotonicNanos() + kSchemaWaitMs * 1000000;
  Status status;
  while (true) {
    // Two processes that change the schema at once may be told of conflicts, time-outs or tables
    // that "do not exist" yet; what counts is what is there in the end.
    status = CreateMissing(session, keyspace, replication);
    CAPI_ASSIGN_OR_RETURN(const Columns present, ReadColumns(session, keyspace));
    if (MissingTable(present).empty()) {
      const std::string other = OtherColumn(present);
      if (!other.empty()) return OtherLayout(keyspace, other);
      status = CreateCounter(session, keyspace);
      if (status.ok()) return status;
    }
    const bool final_answer = !status.ok() && KindOf(status) == ErrorKind::kUser &&
                              InfoOf(status).error_class != "cql_unknown_table" &&
                              InfoOf(status).error_class != "cql_unknown_keyspace";
    if (final_answer) return status;
    if (env->MonotonicNanos() >= deadline) break;
    env->SleepMillis(kSchemaPauseMs + static_cast<int64_t>(env->Random() % kSchemaPauseMs));
  }
  if (!status.ok()) return status;
  return EnvironmentError("the tables of a new keyspace did not become visible: " + keyspace);
}

Status CheckCassandraSchema(cql::Session* session, const std::string& keyspace) {
  CAPI_ASSIGN_OR_RETURN(const Columns present, ReadColumns(session, keyspace));
  const std::string missing = MissingTable(present);
  if (!missing.empty()) {
    return UserError("unknown_keyspace",
                     present.empty() ? "no such keyspace: " + keyspace
                                     : "the keyspace is not one of this program: " + keyspace +
                                           " has no table " + missing);
  }
  const std::string other = OtherColumn(present);
  return other.empty() ? Status::OK() : OtherLayout(keyspace, other);
}

Status DropCassandraKeyspace(cql::Session* session, const std::string& keyspace) {
  if (!IsKeyspaceName(keyspace)) {
    return UserError("bad_keyspace_name", "not a keyspace name: " + keyspace);
  }
  Env* env = Env::Default();
  const int64_t deadline = env->MonotonicNanos() + kSchemaWaitMs * 1000000;
  Status status;
  while (true) {
    status = session->ExecuteSchema("DROP KEYSPACE IF EXISTS " + keyspace);
    CAPI_ASSIGN_OR_RETURN(const bool exists, KeyspaceExists(session, keyspace));
    if (!exists) return Status::OK();
    if (!status.ok() && KindOf(status) != ErrorKind::kRetriable) return status;
    if (env->MonotonicNanos() >= deadline) break;
    env->SleepMillis(kSchemaPauseMs);
  }
  if (!status.ok()) return status;
  return EnvironmentError("a dropped keyspace did not disappear: " + keyspace);
}

Result<std::vector<std::string>> ListCassandraKeyspaces(cql::Session* session) {
  CAPI_ASSIGN_OR_RETURN(
      cql::StatementPtr statement,
      session->Prepare("SELECT keyspace_name, table_name FROM system_schema.tables", true));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows,
                        session->Execute({std::move(statement), {}, cql::Consistency::kOne}));
  std::set<std::string> names;
  for (int64_t row = 0; row < rows.size(); ++row) {
    const std::string_view table = rows.Text(row, 1);
    const std::string_view keyspace = rows.Text(row, 0);
    if (keyspace.starts_with("system")) continue;
    if (table == "wf_run_history" || table == "wf_capi_run") names.emplace(keyspace);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace capi::state
