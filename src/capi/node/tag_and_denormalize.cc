// tag_and_denormalize: one output row per input row and true tag, tags in script order
// (spec/script.md 12.1).

#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/node/reference_plan.h"
#include "capi/node/runners_internal.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"

namespace capi::node {

namespace {

class TagRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    auto runner = std::make_unique<TagRunner>();
    const script::Node& node = *setup.node;
    const script::Processor& processor = *node.processor;
    runner->schema_ = SchemaOf(node);
    const std::vector<std::string>& names = node.table_reader->used_fields;
    CAPI_ASSIGN_OR_RETURN(runner->fields_, FieldsOf(*setup.reader, names));
    std::vector<expr::Variable> inputs = VariablesOf("r", names);
    std::vector<script::ExpressionPtr> criteria;
    for (const script::Tag& tag : processor.tags) criteria.push_back(tag.criterion);
    CAPI_ASSIGN_OR_RETURN(runner->criteria_, Programs::Make(criteria, inputs, setup.environment));
    inputs.push_back({"p", processor.tag_field});
    CAPI_ASSIGN_OR_RETURN(
        runner->programs_,
        FieldPrograms::Make(TargetsOf(node), node.table_writer->having,
                            "nodes." + node.name + ".w.having", inputs, setup.environment));
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
    CAPI_ASSIGN_OR_RETURN(const auto scan, setup_.reader->Read(morsel, fields_));
    EncodedBlock block;
    CAPI_RETURN_NOT_OK(TransformRows(output, scan, scan.num_rows, &block));
    CountMorsel(context, scan.num_rows);
    return block;
  }

  /// The first `num_rows` rows of a scan.
  Status TransformRows(const TableOutput& output, const store::Table::ScanBatch& scan,
                       int64_t num_rows, EncodedBlock* block) {
    const auto describe = [&](int64_t row) {
      return DescribeTableRow(*setup_.reader, scan.row_ids[static_cast<size_t>(row)]);
    };
    const script::Processor& processor = *setup_.node->processor;
    const size_t num_tags = processor.tags.size();
    std::vector<std::vector<int32_t>> tagged(num_tags);
    FirstError first;
    {
      Programs::Lease lease = criteria_->Acquire();
      for (size_t t = 0; t < num_tags; ++t) {
        const expr::Outcome outcome = lease[t]->Filter(scan.columns, num_rows, &tagged[t]);
        first.Offer(outcome.error, outcome.error_row, t);
      }
    }
    if (!first.ok()) {
      // A field or having error of an earlier row comes first.
      if (first.row() > 0) {
        EncodedBlock unused;
        CAPI_RETURN_NOT_OK(TransformRows(output, scan, first.row(), &unused));
      }
      const script::Tag& tag = processor.tags[first.target()];
      return DescribeEvaluationError(first.error(), *tag.criterion,
                                     "nodes." + setup_.node->name + ".p.tag_criteria." + tag.name,
                                     describe(first.row()), criteria_->inputs(), scan.columns,
                                     first.row());
    }

    block->counts.in = num_rows;
    // (row, tag) pairs by row, then by tag: every tag's list ascends, so a merge over cursors does
    // it.
    std::vector<int32_t> rows;
    std::vector<int32_t> tags;
    std::vector<size_t> cursor(num_tags, 0);
    for (int32_t row = 0; row < num_rows; ++row) {
      const size_t before = rows.size();
      for (size_t t = 0; t < num_tags; ++t) {
        if (cursor[t] < tagged[t].size() && tagged[t][cursor[t]] == row) {
          ++cursor[t];
          rows.push_back(row);
          tags.push_back(static_cast<int32_t>(t));
        }
      }
      if (rows.size() == before) ++block->counts.untagged;
    }
    CAPI_ASSIGN_OR_RETURN(auto tag_names, TagNames());
    for (size_t begin = 0; begin < rows.size(); begin += data::kMaxBatchRows) {
      const auto n = static_cast<int64_t>(
          std::min<size_t>(rows.size() - begin, static_cast<size_t>(data::kMaxBatchRows)));
      Columns columns;
      for (const auto& column : scan.columns) {
        CAPI_ASSIGN_OR_RETURN(auto taken, data::Take(column, rows.data() + begin, n));
        columns.push_back(std::move(taken));
      }
      CAPI_ASSIGN_OR_RETURN(auto tag_column, data::Take(tag_names, tags.data() + begin, n));
      columns.push_back(std::move(tag_column));
      CAPI_ASSIGN_OR_RETURN(ComputedRows computed, programs_->Compute(columns, n, [&](int64_t row) {
        return describe(rows[begin + static_cast<size_t>(row)]);
      }));
      block->counts.filtered += computed.filtered;
      block->counts.out += computed.num_rows;
      CAPI_ASSIGN_OR_RETURN(auto encoded,
                            output.Encode(std::move(computed.columns), computed.num_rows, {}));
      block->pieces.push_back(std::move(encoded));
    }
    return Status::OK();
  }

  /// A column of all tag names.
  Result<std::shared_ptr<arrow::Array>> TagNames() const {
    Columns names;
    for (const script::Tag& tag : setup_.node->processor->tags) {
      CAPI_ASSIGN_OR_RETURN(
          auto name, data::ConstantColumn(data::FieldType::kString, data::Value(tag.name), 1));
      CAPI_ASSIGN_OR_RETURN(name, data::ToPlainString(name));
      names.push_back(std::move(name));
    }
    return data::Concatenate(names);
  }

  NodeSetup setup_;
  store::TableSchema schema_;
  std::vector<int> fields_;
  std::unique_ptr<Programs> criteria_;
  std::unique_ptr<FieldPrograms> programs_;
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakeTagRunner(NodeSetup setup) {
  return TagRunner::Make(std::move(setup));
}

}  // namespace capi::node
