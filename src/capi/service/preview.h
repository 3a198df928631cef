#pragma once

// Rows of intermediate tables.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/types.h"
#include "capi/service/keyspace.h"

namespace capi::service {

struct PreviewOptions {
  std::string table;
  int64_t run_id = 0;  ///< 0 = the newest run with this table
  int64_t limit = 20;  ///< < 0 = all rows
  /// Boolean expression over the table's fields as r.<field>; "" = all rows. time.Now() is the
  /// start of the run.
  std::string where;
};

struct Preview {
  int64_t run_id = 0;
  std::vector<data::Field> fields;
  /// At most `limit` rows, in row-id order.
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  int64_t num_rows = 0;    ///< in batches
  int64_t table_rows = 0;  ///< in the whole table
  bool more = false;       ///< the limit left rows out
};

/// kUser errors "unknown_keyspace", "table_not_found" (with the tables there are) and those of
/// expressions.
Result<Preview> PreviewTable(const KeyspaceOptions& keyspace, const PreviewOptions& options);

struct TableInfo {
  int64_t run_id = 0;
  std::string table;
  std::string node;
};
/// Finished tables, by run and script order.
Result<std::vector<TableInfo>> TablesOf(const KeyspaceOptions& keyspace);

}  // namespace capi::service
