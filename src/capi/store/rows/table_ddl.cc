#include "capi/store/rows/table_ddl.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

namespace capi::store {

namespace {

constexpr size_t kMaxCqlTableName = 48;

/// Words that Cassandra 5.0 takes for names only in quotes, found out by asking a server. Sorted.
constexpr std::array<std::string_view, 57> kReservedWords = {
    "add",      "allow",    "alter",        "and",          "apply",  "asc",         "authorize",
    "batch",    "begin",    "by",           "columnfamily", "create", "delete",      "desc",
    "describe", "drop",     "entries",      "execute",      "from",   "full",        "grant",
    "if",       "in",       "index",        "infinity",     "insert", "into",        "is",
    "keyspace", "limit",    "materialized", "modify",       "nan",    "norecursive", "not",
    "null",     "of",       "on",           "or",           "order",  "primary",     "rename",
    "revoke",   "schema",   "select",       "set",          "table",  "to",          "token",
    "truncate", "unlogged", "update",       "use",          "using",  "view",        "where",
    "with"};

std::string Folded(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

/// With a blank before it; "" if there are none.
std::string OptionsText(std::string_view options) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = options.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return "";
  return " " + std::string(options.substr(begin, options.find_last_not_of(kBlanks) - begin + 1));
}

Status CheckColumn(const TableSchema& schema, const std::string& name,
                   std::set<std::string>* taken) {
  const std::string folded = Folded(name);
  if (std::binary_search(kReservedWords.begin(), kReservedWords.end(), folded)) {
    return UserError("reserved_cql_word",
                     "a field has the name of a word of CQL: " + name + " in table " + schema.name);
  }
  if (!taken->insert(folded).second) {
    return UserError("duplicate_cql_name",
                     "columns differ in upper and lower case only, which Cassandra takes for "
                     "equal: " +
                         name + " in table " + schema.name);
  }
  return Status::OK();
}

}  // namespace

std::string_view CqlTypeName(data::FieldType type) {
  switch (type) {
    case data::FieldType::kInt:
      return "BIGINT";
    case data::FieldType::kFloat:
      return "DOUBLE";
    case data::FieldType::kString:
      return "TEXT";
    case data::FieldType::kBool:
      return "BOOLEAN";
    case data::FieldType::kDecimal2:
      return "DECIMAL";
    case data::FieldType::kDatetime:
      return "TIMESTAMP";
  }
  return "TEXT";
}

Result<std::string> PhysicalTableName(std::string_view name, int64_t run_id) {
  if (run_id < 0) {
    return UserError("bad_run_id", "a run id is not negative: " + std::to_string(run_id));
  }
  std::array<char, 24> digits{};
  std::snprintf(digits.data(), digits.size(), "_%05lld", static_cast<long long>(run_id));
  std::string physical = std::string(name) + digits.data();
  if (physical.size() > kMaxCqlTableName) {
    return UserError("name_too_long", "a table name has more than " +
                                          std::to_string(kMaxCqlTableName) +
                                          " characters with its run id: " + physical);
  }
  return physical;
}

Result<TableDdl> MakeTableDdl(const TableSchema& schema, const TableDdlOptions& options) {
  std::vector<data::Field> fields = schema.fields;
  std::sort(fields.begin(), fields.end(), [](const data::Field& left, const data::Field& right) {
    return left.name < right.name;
  });
  const std::string begin = "CREATE TABLE IF NOT EXISTS " + options.keyspace + ".";
  const std::string end = ")" + OptionsText(options.table_options) + ";";

  TableDdl ddl;
  CAPI_ASSIGN_OR_RETURN(const std::string table, PhysicalTableName(schema.name, options.run_id));
  ddl.table = begin + table + " ( rowid BIGINT, batch_idx BIGINT, ";
  std::set<std::string> taken = {"rowid", "batch_idx"};
  for (const data::Field& field : fields) {
    CAPI_RETURN_NOT_OK(CheckColumn(schema, field.name, &taken));
    ddl.table += field.name + " " + std::string(CqlTypeName(field.type)) + ", ";
  }
  ddl.table += "PRIMARY KEY((rowid))" + end;

  std::vector<IndexSchema> indexes = schema.indexes;
  std::sort(indexes.begin(), indexes.end(), [](const IndexSchema& left, const IndexSchema& right) {
    return left.name < right.name;
  });
  for (const IndexSchema& index : indexes) {
    CAPI_ASSIGN_OR_RETURN(const std::string name, PhysicalTableName(index.name, options.run_id));
    ddl.indexes.push_back(begin + name + " ( key TEXT, rowid BIGINT, PRIMARY KEY(" +
                          (index.unique ? "(key)" : "(key), rowid") + ")" + end);
  }
  return ddl;
}

}  // namespace capi::store
