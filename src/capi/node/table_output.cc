#include "capi/node/table_output.h"

#include <array>
#include <cstdio>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"

namespace capi::node {

Result<std::unique_ptr<TableOutput>> TableOutput::Open(
    const exec::Context& context, const NodeSetup& setup, const store::TableSchema& schema,
    int64_t batch_index, std::vector<store::TableWriter::ReferenceGroup> groups) {
  auto output = std::make_unique<TableOutput>();
  output->context_ = context;
  CAPI_ASSIGN_OR_RETURN(output->writer_,
                        setup.tables->NewWriter(context, {setup.run_id, schema.name}, schema,
                                                batch_index, std::move(groups)));
  return output;
}

Result<std::shared_ptr<store::TableWriter::Encoded>> TableOutput::Encode(
    Columns columns, int64_t num_rows, std::vector<std::vector<data::RowId>> reference_rows) const {
  store::TableWriter::Batch batch;
  batch.num_rows = num_rows;
  for (auto& column : columns) {
    if (column == nullptr) continue;
    CAPI_ASSIGN_OR_RETURN(column, data::ToStored(column));
  }
  batch.columns = std::move(columns);
  batch.reference_rows = std::move(reference_rows);
  return writer_->Encode(batch);
}

Status TableOutput::Append(EncodedBlock block) {
  for (auto& piece : block.pieces) CAPI_RETURN_NOT_OK(writer_->Append(std::move(piece)));
  counts_ += block.counts;
  if (context_.progress != nullptr) context_.progress->rows_out += block.counts.out;
  return Status::OK();
}

Result<BatchResult> TableOutput::Finish() {
  BatchResult result;
  CAPI_ASSIGN_OR_RETURN(store::AttemptManifest manifest, writer_->Finish());
  result.counts = counts_;
  result.counts.duplicates += manifest.duplicates;
  result.counts.out = manifest.rows;
  result.table = std::move(manifest);
  return result;
}

std::string DescribeTableRow(const store::Table& table, data::RowId row) {
  std::array<char, 24> run;
  std::snprintf(run.data(), run.size(), "_%05lld", static_cast<long long>(table.id().run_id));
  return "row " + std::to_string(data::OrdinalOf(row) + 1) + " of batch " +
         std::to_string(data::BatchOf(row)) + " of table " + table.id().name + run.data();
}

}  // namespace capi::node
