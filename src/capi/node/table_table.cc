// table_table and distinct_table (spec/engine.md 8.2, 8.4). Distinct differs only in the schema:
// the store drops later rows of a key inside the attempt and across batches.

#include <utility>

#include "capi/exec/ordered_pipeline.h"
#include "capi/node/runners_internal.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"

namespace capi::node {

namespace {

class TableTableRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    auto runner = std::make_unique<TableTableRunner>();
    const script::Node& node = *setup.node;
    runner->schema_ = SchemaOf(node);
    CAPI_ASSIGN_OR_RETURN(runner->fields_, FieldsOf(*setup.reader, node.table_reader->used_fields));
    CAPI_ASSIGN_OR_RETURN(
        runner->programs_,
        FieldPrograms::Make(TargetsOf(node), node.table_writer->having,
                            "nodes." + node.name + ".w.having",
                            VariablesOf("r", node.table_reader->used_fields), setup.environment));
    runner->setup_ = std::move(setup);
    return std::unique_ptr<NodeRunner>(std::move(runner));
  }

  Result<BatchResult> RunBatch(const exec::Context& context, const BatchTask& task) override {
    CAPI_ASSIGN_OR_RETURN(auto output,
                          TableOutput::Open(context, setup_, schema_, task.batch_index, {}));
    SetWork(context, setup_.reader->num_rows());
    TableSource source(*setup_.reader, task.batch_index, setup_.node->num_batches());
    CAPI_RETURN_NOT_OK((exec::OrderedPipeline<store::Table::Morsel, EncodedBlock>(
        context.pool, context.cancel, 0,
        [&]() -> Result<std::optional<store::Table::Morsel>> { return source.Next(); },
        [&](const store::Table::Morsel& morsel) { return Transform(context, *output, morsel); },
        [&](EncodedBlock block) { return output->Append(std::move(block)); })));
    return output->Finish();
  }

 private:
  Result<EncodedBlock> Transform(const exec::Context& context, const TableOutput& output,
                                 const store::Table::Morsel& morsel) {
    CAPI_ASSIGN_OR_RETURN(auto scan, setup_.reader->Read(morsel, fields_));
    CAPI_ASSIGN_OR_RETURN(
        ComputedRows rows, programs_->Compute(scan.columns, scan.num_rows, [&](int64_t row) {
          return DescribeTableRow(*setup_.reader, scan.row_ids[static_cast<size_t>(row)]);
        }));
    EncodedBlock block;
    block.counts.in = scan.num_rows;
    block.counts.filtered = rows.filtered;
    block.counts.out = rows.num_rows;
    CAPI_ASSIGN_OR_RETURN(auto encoded, output.Encode(std::move(rows.columns), rows.num_rows, {}));
    block.pieces.push_back(std::move(encoded));
    CountMorsel(context, scan.num_rows);
    return block;
  }

  NodeSetup setup_;
  store::TableSchema schema_;
  std::vector<int> fields_;
  std::unique_ptr<FieldPrograms> programs_;
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakeTableTableRunner(NodeSetup setup) {
  return TableTableRunner::Make(std::move(setup));
}

}  // namespace capi::node
