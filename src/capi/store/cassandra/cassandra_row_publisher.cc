#include "capi/store/cassandra/cassandra_row_publisher.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "capi/base/fault_point.h"
#include "capi/data/column.h"
#include "capi/data/key.h"
#include "capi/exec/task_pool.h"
#include "capi/store/cassandra/row_values_internal.h"
#include "capi/store/rows/table_ddl.h"

namespace capi::store {

namespace {

/// Below what servers warn of as a large batch (5 KiB of values and some overhead).
constexpr size_t kBytesPerRequest = 4 << 10;
/// Servers refuse writes of more than half a commit log segment and frames of more than 16 MiB.
constexpr size_t kMaxRowBytes = 15 << 20;
constexpr size_t kMaxKeyBytes = 65535;
constexpr int64_t kRowsPerCheck = 1024;
/// Changes of the schema are repeated when their end is not known.
constexpr int kSchemaTries = 3;
/// Of entries of unique indexes, in microseconds, for the row at position 0; one less for each
/// following row. Distinct keys can have the same text (it is cut and has no accents); of those
/// the entry of the first row stays, in whatever order they are written.
constexpr int64_t kFirstKeyTimestamp = 1'000'000'000'000'000;

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// Signed as the original's never are (spec/storage.md 6a, rule 7).
int64_t CqlRowId(data::RowId row) {
  return static_cast<int64_t>(static_cast<uint64_t>(row) | (uint64_t{1} << 63));
}

/// What the server refuses for good although script and data are right is for its owner to mend.
Status ForOperator(const Status& status, const std::string& table) {
  const Status told = Prefixed(status, "rows of " + table + " cannot be published: ");
  if (KindOf(status) != ErrorKind::kUser) return told;
  ErrorInfo info = InfoOf(status);
  info.kind = ErrorKind::kEnvironment;
  return MakeError(std::move(info), told.message());
}

/// Of CREATE TABLE: what the server does not understand there is the script's part.
Status ForCreate(const Status& status, const std::string& table, const std::string& options) {
  if (InfoOf(status).error_class != "cql_invalid" || options.empty()) {
    return ForOperator(status, table);
  }
  return UserError("bad_table_options", "the server refuses to create " + table +
                                            " with these table_options: " + options + ": " +
                                            status.message());
}

/// Of writes: what is wrong with values is wrong with the data.
Status ForWrite(const Status& status, const std::string& table) {
  if (InfoOf(status).error_class != "cql_invalid") return ForOperator(status, table);
  return UserError("row_refused", "the server refuses a row of " + table + ": " + status.message());
}

struct Column {
  std::string type;
  std::string kind;  ///< partition_key, clustering, regular
  bool operator==(const Column&) const = default;
};
using Columns = std::map<std::string, Column>;

struct IndexPlan {
  std::string name;
  const IndexSchema* schema = nullptr;
  std::vector<int> fields;  ///< of its components
  cql::StatementPtr insert;
};

struct Plan {
  std::string name;
  std::vector<int> fields;  ///< all
  cql::StatementPtr insert;
  std::vector<IndexPlan> indexes;
};

/// Sends writes of one morsel, several in a request.
class Requests {
 public:
  Requests(cql::Session* session, int64_t writes_per_request)
      : writes_per_request_(static_cast<size_t>(writes_per_request)), writer_(session) {}

  Status Add(const cql::StatementPtr& statement, cql::Values values) {
    const size_t bytes = values.bytes().size();
    if (pending_.size() == writes_per_request_ || pending_bytes_ + bytes > kBytesPerRequest) {
      CAPI_RETURN_NOT_OK(Send());
    }
    pending_bytes_ += bytes;
    pending_.push_back({statement, std::move(values), cql::Consistency::kDefault});
    return Status::OK();
  }
  Status Finish() {
    CAPI_RETURN_NOT_OK(Send());
    return writer_.Finish();
  }

 private:
  Status Send() {
    pending_bytes_ = 0;
    std::vector<cql::Request> writes = std::exchange(pending_, {});
    pending_.reserve(writes_per_request_);
    return writer_.AddBatch(std::move(writes));
  }

  const size_t writes_per_request_;
  cql::BulkWriter writer_;
  std::vector<cql::Request> pending_;
  size_t pending_bytes_ = 0;
};

class CassandraRowPublisher final : public RowPublisher {
 public:
  CassandraRowPublisher(cql::Session* session, std::string keyspace, int64_t writes_per_request)
      : session_(session),
        keyspace_(std::move(keyspace)),
        writes_per_request_(writes_per_request) {}

  Status Publish(const exec::Context& context, const Table& table,
                 const std::string& table_options) override;

 private:
  /// Creates the tables and prepares their statements.
  Result<Plan> Prepare(const Table& table, const std::string& table_options);
  Status EnsureTable(const std::string& name, const std::string& create, const Columns& expected);
  Result<Columns> ColumnsOf(const std::string& name);
  Result<cql::StatementPtr> PrepareInsert(const std::string& name,
                                          const std::vector<std::string>& columns,
                                          const std::string& suffix);
  Status PublishMorsel(const exec::Context& context, const Table& table, const Plan& plan,
                       const Table::Morsel& morsel);

  cql::Session* const session_;
  const std::string keyspace_;
  const int64_t writes_per_request_;
};

Status CassandraRowPublisher::Publish(const exec::Context& context, const Table& table,
                                      const std::string& table_options) {
  CAPI_RETURN_NOT_OK(context.cancel.Check());
  CAPI_ASSIGN_OR_RETURN(const Plan plan, Prepare(table, table_options));
  const std::vector<Table::Morsel> morsels = table.Morsels(0, table.num_rows());
  const Status status =
      exec::ParallelFor(context.pool, static_cast<int64_t>(morsels.size()), [&](int64_t i) {
        return PublishMorsel(context, table, plan, morsels[static_cast<size_t>(i)]);
      });
  session_->Forget(*plan.insert);
  for (const IndexPlan& index : plan.indexes) session_->Forget(*index.insert);
  return status;
}

Result<Columns> CassandraRowPublisher::ColumnsOf(const std::string& name) {
  CAPI_ASSIGN_OR_RETURN(
      const cql::StatementPtr select,
      session_->Prepare("SELECT column_name, type, kind FROM system_schema.columns"
                        " WHERE keyspace_name = ? AND table_name = ?",
                        /*idempotent=*/true));
  cql::Values values;
  values.Text(Lower(keyspace_)).Text(Lower(name));
  CAPI_ASSIGN_OR_RETURN(const cql::Rows rows,
                        session_->Execute({select, std::move(values), cql::Consistency::kDefault}));
  Columns columns;
  for (int64_t row = 0; row < rows.size(); ++row) {
    columns[std::string(rows.Text(row, 0))] = {std::string(rows.Text(row, 1)),
                                               std::string(rows.Text(row, 2))};
  }
  return columns;
}

Status CassandraRowPublisher::EnsureTable(const std::string& name, const std::string& create,
                                          const Columns& expected) {
  // Not left out when the table is in system_schema: it is there a moment before it can be used,
  // and the servers agree on it only when this call has returned.
  Status created;
  for (int tries = 0; tries < kSchemaTries; ++tries) {
    created = session_->ExecuteSchema(create);
    if (created.ok() || KindOf(created) != ErrorKind::kRetriable) break;
  }
  CAPI_RETURN_NOT_OK(created);
  CAPI_ASSIGN_OR_RETURN(const Columns found, ColumnsOf(name));
  if (found == expected) return Status::OK();
  return EnvironmentError("there is a table " + keyspace_ + "." + name +
                          " with other columns than the script's");
}

Result<cql::StatementPtr> CassandraRowPublisher::PrepareInsert(
    const std::string& name, const std::vector<std::string>& columns, const std::string& suffix) {
  std::string names;
  std::string marks;
  for (const std::string& column : columns) {
    names += (names.empty() ? "" : ", ") + column;
    marks += marks.empty() ? "?" : ", ?";
  }
  return session_->Prepare(
      "INSERT INTO " + keyspace_ + "." + name + " (" + names + ") VALUES (" + marks + ")" + suffix,
      /*idempotent=*/true);
}

Result<Plan> CassandraRowPublisher::Prepare(const Table& table, const std::string& table_options) {
  const TableSchema& schema = table.schema();
  const int64_t run_id = table.id().run_id;
  CAPI_ASSIGN_OR_RETURN(const TableDdl ddl,
                        MakeTableDdl(schema, {keyspace_, run_id, table_options}));
  Plan plan;
  CAPI_ASSIGN_OR_RETURN(plan.name, PhysicalTableName(schema.name, run_id));
  std::vector<std::string> names = {"rowid", "batch_idx"};
  Columns columns = {{"rowid", {"bigint", "partition_key"}}, {"batch_idx", {"bigint", "regular"}}};
  for (size_t f = 0; f < schema.fields.size(); ++f) {
    plan.fields.push_back(static_cast<int>(f));
    names.push_back(schema.fields[f].name);
    columns[Lower(schema.fields[f].name)] = {Lower(std::string(CqlTypeName(schema.fields[f].type))),
                                             "regular"};
  }
  const auto prepare = [&](const std::string& name, const std::string& create,
                           const Columns& expected, const std::vector<std::string>& inserted,
                           const std::string& suffix) -> Result<cql::StatementPtr> {
    const Status ensured = EnsureTable(name, create, expected);
    if (!ensured.ok()) return ForCreate(ensured, name, table_options);
    Result<cql::StatementPtr> insert = PrepareInsert(name, inserted, suffix);
    if (!insert.ok()) return ForOperator(insert.status(), name);
    return insert;
  };
  CAPI_ASSIGN_OR_RETURN(plan.insert, prepare(plan.name, ddl.table, columns, names, ""));

  std::vector<const IndexSchema*> indexes;
  for (const IndexSchema& index : schema.indexes) indexes.push_back(&index);
  std::sort(indexes.begin(), indexes.end(),
            [](const IndexSchema* a, const IndexSchema* b) { return a->name < b->name; });
  for (size_t i = 0; i < indexes.size(); ++i) {
    IndexPlan index;
    index.schema = indexes[i];
    CAPI_ASSIGN_OR_RETURN(index.name, PhysicalTableName(index.schema->name, run_id));
    for (const data::KeyComponent& component : index.schema->components) {
      index.fields.push_back(table.FieldIndex(component.field));
      if (index.fields.back() < 0) {
        return BugError("an index has a component that is no field: " + component.field);
      }
    }
    const bool unique = index.schema->unique;
    CAPI_ASSIGN_OR_RETURN(index.insert,
                          prepare(index.name, ddl.indexes[i],
                                  {{"key", {"text", "partition_key"}},
                                   {"rowid", {"bigint", unique ? "regular" : "clustering"}}},
                                  {"key", "rowid"}, unique ? " USING TIMESTAMP ?" : ""));
    plan.indexes.push_back(std::move(index));
  }
  return plan;
}

Status CassandraRowPublisher::PublishMorsel(const exec::Context& context, const Table& table,
                                            const Plan& plan, const Table::Morsel& morsel) {
  CAPI_RETURN_NOT_OK(context.cancel.Check());
  CAPI_ASSIGN_OR_RETURN(const Table::ScanBatch batch, table.Read(morsel, plan.fields));
  std::vector<CellAppender> cells;
  for (const std::shared_ptr<arrow::Array>& column : batch.columns) {
    CAPI_ASSIGN_OR_RETURN(CellAppender appender, CellAppender::Make(*column));
    cells.push_back(std::move(appender));
  }
  Requests requests(session_, writes_per_request_);
  const auto name_of_row = [&](int64_t row) {
    return "row " + std::to_string(morsel.first_position + row) + " of " + plan.name;
  };
  std::string changed;
  for (int64_t row = 0; row < batch.num_rows; ++row) {
    if (row % kRowsPerCheck == 0) {
      CAPI_RETURN_NOT_OK(context.cancel.Check());
      CAPI_FAULT_POINT("store.publish_rows");
    }
    const data::RowId id = batch.row_ids[static_cast<size_t>(row)];
    cql::Values values;
    values.BigInt(CqlRowId(id)).BigInt(data::BatchOf(id));
    for (const CellAppender& cell : cells) cell.Append(row, &values);
    if (values.bytes().size() > kMaxRowBytes) {
      return UserError("row_too_large",
                       "a row has more bytes than the server takes at once: " + name_of_row(row));
    }
    const Status added = requests.Add(plan.insert, std::move(values));
    if (!added.ok()) return ForWrite(added, plan.name);

    for (const IndexPlan& index : plan.indexes) {
      std::vector<data::Value> parts;
      for (const int field : index.fields) {
        CAPI_ASSIGN_OR_RETURN(data::Value part,
                              data::CellValue(*batch.columns[static_cast<size_t>(field)], row));
        parts.push_back(std::move(part));
      }
      CAPI_ASSIGN_OR_RETURN(const std::string text, data::KeyText(index.schema->components, parts));
      const std::string_view key = ValidText(text, &changed);
      if (key.size() > kMaxKeyBytes) {
        return UserError("key_too_long", "the key text in " + index.name + " has more than " +
                                             std::to_string(kMaxKeyBytes) +
                                             " bytes: " + name_of_row(row));
      }
      cql::Values entry;
      entry.Text(key).BigInt(CqlRowId(id));
      if (index.schema->unique) {
        entry.BigInt(kFirstKeyTimestamp - (morsel.first_position + row));
      }
      const Status entered = requests.Add(index.insert, std::move(entry));
      if (!entered.ok()) return ForWrite(entered, plan.name);
    }
  }
  const Status finished = requests.Finish();
  return finished.ok() ? finished : ForWrite(finished, plan.name);
}

}  // namespace

std::unique_ptr<RowPublisher> NewCassandraRowPublisher(cql::Session* session,
                                                       const std::string& keyspace,
                                                       int64_t writes_per_request) {
  return std::make_unique<CassandraRowPublisher>(session, keyspace, writes_per_request);
}

}  // namespace capi::store
