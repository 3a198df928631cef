#pragma once

// The CQL tables that hold one row per record of an intermediate table (spec/storage.md 3, 4), as
// text. Pure: nothing is connected to.
//
// Names are not quoted, so Cassandra folds them to lower case; what another program finds there is
// what the original would have made. Names that Cassandra cannot hold unquoted are refused here,
// before anything is created.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/types.h"
#include "capi/store/table_store.h"

namespace capi::store {

/// "BIGINT", "DOUBLE", "TEXT", "BOOLEAN", "TIMESTAMP", "DECIMAL".
std::string_view CqlTypeName(data::FieldType type);

/// `<name>_<run id, at least five digits>`. kUser errors "bad_run_id" (negative), "name_too_long"
/// (Cassandra's limit is 48 characters).
Result<std::string> PhysicalTableName(std::string_view name, int64_t run_id);

struct TableDdlOptions {
  std::string keyspace;
  int64_t run_id = 0;
  /// Put behind the closing parenthesis of every statement, without blanks at its ends.
  std::string table_options;
};

struct TableDdl {
  std::string table;                 ///< CREATE TABLE IF NOT EXISTS ...;
  std::vector<std::string> indexes;  ///< the same, one for each index, by name
};

/// Columns are rowid, batch_idx, then the fields by name. kUser errors: those of PhysicalTableName;
/// "reserved_cql_word" and "duplicate_cql_name" (equal without regard to case) for fields.
Result<TableDdl> MakeTableDdl(const TableSchema& schema, const TableDdlOptions& options);

}  // namespace capi::store
