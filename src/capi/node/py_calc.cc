// py_calc: fields calculated by Python formulas (spec/script.md 12.2).

#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/exec/ordered_pipeline.h"
#include "capi/node/formula_program.h"
#include "capi/node/runners_internal.h"
#include "capi/node/table_output.h"
#include "capi/node/table_source.h"

namespace capi::node {

namespace {

/// Rows given to a process at once: enough to make the exchange cheap, few enough for its objects
/// to stay in the processor's cache; and a batch is cut into several, so that all processes have
/// work. It depends on the batch alone, never on the threads.
constexpr int64_t kMaxPieceRows = 8192;
constexpr int64_t kMinPieceRows = 64;
constexpr int64_t kPiecesOfBatch = 8;
/// Bytes given to a process at once; one row may have more.
constexpr int64_t kMaxPieceBytes = int64_t{8} << 20;

class PyCalcRunner : public NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup) {
    auto runner = std::make_unique<PyCalcRunner>();
    const script::Node& node = *setup.node;
    runner->schema_ = SchemaOf(node);
    const std::vector<std::string>& names = node.table_reader->used_fields;
    CAPI_ASSIGN_OR_RETURN(runner->fields_, FieldsOf(*setup.reader, names));
    CAPI_ASSIGN_OR_RETURN(FormulaProgram formulas,
                          MakeFormulaProgram(node, setup.reader->schema().fields));
    for (const std::string& name : formulas.inputs) {
      runner->inputs_.push_back(
          static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin()));
    }
    runner->program_ = std::move(formulas.program);
    std::vector<expr::Variable> variables = VariablesOf("r", names);
    for (const script::PyField& field : node.processor->calculated) {
      variables.push_back({"p", field.field.name});
    }
    CAPI_ASSIGN_OR_RETURN(
        runner->programs_,
        FieldPrograms::Make(TargetsOf(node), node.table_writer->having,
                            "nodes." + node.name + ".w.having", variables, setup.environment));
    if (setup.formulas == nullptr) return BugError("a py_calc node without a pool of interpreters");
    runner->setup_ = std::move(setup);
    return std::unique_ptr<NodeRunner>(std::move(runner));
  }

  ~PyCalcRunner() override {
    if (setup_.formulas != nullptr) setup_.formulas->Forget(*program_);
  }

  Result<BatchResult> RunBatch(const exec::Context& context, const BatchTask& task) override {
    CAPI_ASSIGN_OR_RETURN(auto output,
                          TableOutput::Open(context, setup_, schema_, task.batch_index, {}));
    SetWork(context, setup_.reader->num_rows());
    auto [position, end] = store::PartitionRange(setup_.reader->num_rows(), task.batch_index,
                                                 setup_.node->num_batches());
    const int64_t step =
        std::clamp((end - position) / kPiecesOfBatch + 1, kMinPieceRows, kMaxPieceRows);
    std::vector<store::Table::Morsel> morsels;
    for (; position < end; position += step) {
      const auto piece = setup_.reader->Morsels(position, std::min(end, position + step));
      morsels.insert(morsels.end(), piece.begin(), piece.end());
    }
    size_t next = 0;
    CAPI_RETURN_NOT_OK((exec::OrderedPipeline<store::Table::Morsel, EncodedBlock>(
        context.pool, context.cancel, 0,
        [&]() -> Result<std::optional<store::Table::Morsel>> {
          if (next == morsels.size()) return std::nullopt;
          return morsels[next++];
        },
        [&](const store::Table::Morsel& morsel) { return Transform(context, *output, morsel); },
        [&](EncodedBlock block) { return output->Append(std::move(block)); })));
    return output->Finish();
  }

 private:
  Result<EncodedBlock> Transform(const exec::Context& context, const TableOutput& output,
                                 const store::Table::Morsel& morsel) {
    CAPI_ASSIGN_OR_RETURN(const auto scan, setup_.reader->Read(morsel, fields_));
    EncodedBlock block;
    CAPI_ASSIGN_OR_RETURN(const int64_t bytes, BytesOf(scan));
    // As many rows as have about kMaxPieceBytes.
    const int64_t pieces = bytes / kMaxPieceBytes + 1;
    const int64_t step = std::max<int64_t>(1, (scan.num_rows + pieces - 1) / pieces);
    // The question and the answer, which is taken to be as large.
    exec::Reservation reservation(context.memory);
    reservation.ForceGrow(2 * (bytes / pieces + 1));
    for (int64_t begin = 0; begin < scan.num_rows; begin += step) {
      Columns columns;
      const int64_t n = std::min(step, scan.num_rows - begin);
      for (const auto& column : scan.columns) columns.push_back(column->Slice(begin, n));
      const auto describe = [&](int64_t row) {
        return DescribeTableRow(*setup_.reader, scan.row_ids[static_cast<size_t>(begin + row)]);
      };
      CAPI_ASSIGN_OR_RETURN(ComputedRows rows, Compute(context, columns, n, describe));
      block.counts.in += n;
      block.counts.filtered += rows.filtered;
      block.counts.out += rows.num_rows;
      CAPI_ASSIGN_OR_RETURN(auto encoded,
                            output.Encode(std::move(rows.columns), rows.num_rows, {}));
      block.pieces.push_back(std::move(encoded));
    }
    CountMorsel(context, scan.num_rows);
    return block;
  }

  /// Bytes that the inputs of formulas take on their way.
  Result<int64_t> BytesOf(const store::Table::ScanBatch& scan) const {
    constexpr int64_t kFixedValueBytes = 16;
    int64_t bytes = 0;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      bytes += scan.num_rows * kFixedValueBytes;
      if (program_->inputs[i].type != data::FieldType::kString) continue;
      CAPI_ASSIGN_OR_RETURN(const auto texts, data::StringReader::Make(*scan.columns[inputs_[i]]));
      for (int64_t row = 0; row < scan.num_rows; ++row) {
        bytes += static_cast<int64_t>(texts[row].size());
      }
    }
    return bytes;
  }

  /// Formulas, then the fields of the table, then having.
  Result<ComputedRows> Compute(const exec::Context& context, Columns columns, int64_t n,
                               const DescribeRow& describe) {
    if (!program_->formulas.empty()) {
      Columns inputs;
      for (const size_t input : inputs_) inputs.push_back(columns[input]);
      python::Outcome outcome =
          setup_.formulas->Evaluate(program_, inputs, n, describe, context.cancel);
      if (!outcome.error.ok()) {
        // An error of an earlier row comes first, also one of a field or of having.
        if (outcome.error_row > 0) {
          Columns before;
          for (const auto& column : columns) before.push_back(column->Slice(0, outcome.error_row));
          CAPI_RETURN_NOT_OK(
              Compute(context, std::move(before), outcome.error_row, describe).status());
        }
        return outcome.error;
      }
      columns.insert(columns.end(), outcome.columns.begin(), outcome.columns.end());
    }
    return programs_->Compute(columns, n, describe);
  }

  NodeSetup setup_;
  store::TableSchema schema_;
  std::vector<int> fields_;
  std::vector<size_t> inputs_;  // [i]: which of fields_ is input i of the program
  std::shared_ptr<const python::Program> program_;
  std::unique_ptr<FieldPrograms> programs_;
};

}  // namespace

Result<std::unique_ptr<NodeRunner>> MakePyCalcRunner(NodeSetup setup) {
  return PyCalcRunner::Make(std::move(setup));
}

}  // namespace capi::node
