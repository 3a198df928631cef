#pragma once

// Puts blocks into a table writer: the encoding runs in the parallel step of an ordered pipeline,
// the append in its ordered step.

#include <memory>
#include <utility>
#include <vector>

#include "capi/node/field_programs.h"
#include "capi/node/node.h"

namespace capi::node {

/// One block on its way through a pipeline.
struct EncodedBlock {
  std::vector<std::shared_ptr<store::TableWriter::Encoded>> pieces;
  RowCounts counts;
};

/// Writer of one attempt.
class TableOutput {
 public:
  static Result<std::unique_ptr<TableOutput>> Open(
      const exec::Context& context, const NodeSetup& setup, const store::TableSchema& schema,
      int64_t batch_index, std::vector<store::TableWriter::ReferenceGroup> groups);

  /// Converts to stored layouts and encodes; thread-safe. `columns` are those of a Batch.
  Result<std::shared_ptr<store::TableWriter::Encoded>> Encode(
      Columns columns, int64_t num_rows,
      std::vector<std::vector<data::RowId>> reference_rows) const;
  /// In block order, one thread at a time.
  Status Append(EncodedBlock block);
  /// Finishes the attempt.
  Result<BatchResult> Finish();

 private:
  exec::Context context_;
  std::unique_ptr<store::TableWriter> writer_;
  RowCounts counts_;
};

/// "row 5 of batch 2 of orders_00001" (rows count from 1).
std::string DescribeTableRow(const store::Table& table, data::RowId row);

}  // namespace capi::node
