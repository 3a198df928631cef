#pragma once

// Finished tables as rows of CQL tables, one per record and one per index entry, for people and
// programs that query intermediate data (spec/storage.md 3 to 5). The engine itself never reads
// them: docs/design/store-rows.md.

#include <string>

#include "capi/base/status.h"
#include "capi/exec/context.h"
#include "capi/store/table_store.h"

namespace capi::store {

/// Thread-safe.
class RowPublisher {
 public:
  virtual ~RowPublisher() = default;

  /// Creates the tables of MakeTableDdl where they are missing and writes the live rows of `table`
  /// and an entry for each of them into every index. All rows are there on return. What is written
  /// depends on the frozen table only: publishing it again, also after a failure in the middle or
  /// by two processes at once, ends with the same rows.
  ///
  /// Besides the errors of Table::Read: kUser those of MakeTableDdl,
  /// "bad_table_options", "row_too_large", "key_too_long" and "row_refused" (by the server),
  /// kRetriable while the servers cannot be reached or are too slow, kEnvironment for what somebody
  /// has to put right there: a missing right or keyspace, or a table of the same name with other
  /// columns. Cancelled within a few thousand rows.
  virtual Status Publish(const exec::Context& context, const Table& table,
                         const std::string& table_options) = 0;
};

}  // namespace capi::store
