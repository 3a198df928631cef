#include "capi/expr/evaluator.h"

#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/expr/evaluator_machine_internal.h"
#include "capi/expr/evaluator_output_internal.h"
#include "capi/expr/kernels_internal.h"

namespace capi::expr {

namespace {

class ColumnEvaluator final : public Evaluator {
 public:
  ColumnEvaluator(std::shared_ptr<const Expression> expression,
                  std::shared_ptr<const Program> program)
      : machine_(std::move(program)) {
    expression_ = std::move(expression);
    const std::optional<Variable>& bare = expression_->bare_variable();
    if (bare.has_value()) bare_input_ = machine_.program().used_inputs().front();
  }

  std::unique_ptr<Evaluator> Clone() const override {
    return std::make_unique<ColumnEvaluator>(expression_, machine_.program_ptr());
  }

  Outcome Evaluate(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                   bool store) override {
    if (expression_->type() == data::FieldType::kDecimal2 && !store) {
      return Failed(BugError("a decimal leaves an expression only as a stored column"), -1);
    }
    if (bare_input_.has_value()) return PassThrough(columns, n);
    if (machine_.program().used_inputs().empty() && n > 0) return EvaluateConstant(n);
    const Status status = machine_.SetColumns(columns, n);
    if (!status.ok()) return Failed(status, -1);
    return EvaluateBlocks(n);
  }

  Outcome Filter(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                 std::vector<int32_t>* selected) override {
    if (expression_->type() != data::FieldType::kBool) {
      return Failed(BugError("a filter must be a bool expression"), -1);
    }
    const Status status = machine_.SetColumns(columns, n);
    if (!status.ok()) return Failed(status, -1);
    for (int64_t begin = 0; begin < n; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, n - begin);
      const BlockResult result = machine_.RunBlock(begin, count, false, &results_);
      if (!result.error.ok()) return Failed(result.error, result.error_row);
      AppendSelected(results_[0], begin, count, selected);
    }
    return {};
  }

 private:
  static Outcome Failed(Status error, int64_t row) { return {nullptr, std::move(error), row}; }

  /// A bare variable: the column itself.
  Outcome PassThrough(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n) {
    const size_t input = *bare_input_;
    const Status status = machine_.SetColumns(columns, n);
    if (!status.ok()) return Failed(status, -1);
    Outcome outcome;
    outcome.values = columns[input]->length() == n ? columns[input] : columns[input]->Slice(0, n);
    if (outcome.values->type_id() == arrow::Type::DECIMAL128) {
      auto stored = data::ToStored(outcome.values);
      if (!stored.ok()) return Failed(stored.status(), -1);
      outcome.values = *std::move(stored);
    }
    return outcome;
  }

  Outcome EvaluateConstant(int64_t n) {
    const BlockResult result = machine_.RunBlock(0, 1, true, &results_);
    if (!result.error.ok()) return Failed(result.error, result.error_row);
    const data::Value value = ValueAt(results_[0], 0);
    const auto* decimal = std::get_if<data::BigDecimal>(&value);
    if (decimal != nullptr && !FitsColumn(*decimal)) {
      return Failed(StoreError(*decimal, expression_->root().offset), 0);
    }
    auto column = data::ConstantColumn(expression_->type(), value, n);
    if (!column.ok()) return Failed(column.status(), -1);
    Outcome outcome;
    outcome.values = *std::move(column);
    return outcome;
  }

  Outcome EvaluateBlocks(int64_t n) {
    auto builder = ColumnBuilder::Make(expression_->type(), n);
    if (!builder.ok()) return Failed(builder.status(), -1);
    for (int64_t begin = 0; begin < n; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, n - begin);
      const BlockResult result = machine_.RunBlock(begin, count, true, &results_);
      if (!result.error.ok()) return Failed(result.error, result.error_row);
      int64_t failed = count;
      const Status status = builder->Append(results_[0], count, &failed);
      if (!status.ok()) return Failed(status, begin);
      if (failed < count) return Failed(ColumnError(results_[0], failed), begin + failed);
    }
    auto column = builder->Finish();
    if (!column.ok()) return Failed(column.status(), n > 0 ? 0 : -1);
    Outcome outcome;
    outcome.values = *std::move(column);
    return outcome;
  }

  /// Why a column cannot hold a value.
  Status ColumnError(const Vector& vector, int64_t position) const {
    const int64_t offset = expression_->root().offset;
    if (vector.type == ValueType::kDecimal) return StoreError(DecimalAt(vector, position), offset);
    return AtOffset(UserError("result_too_large", "strings of a batch exceed 2 GiB"), offset);
  }

  void AppendSelected(const Vector& mask, int64_t begin, int64_t n,
                      std::vector<int32_t>* selected) {
    const size_t before = selected->size();
    if (mask.constant) {
      if (mask.as<uint8_t>()[0] == 0) return;
      for (int64_t i = 0; i < n; ++i) selected->push_back(static_cast<int32_t>(begin + i));
      return;
    }
    selected->resize(before + static_cast<size_t>(n));
    int32_t* const positions = selected->data() + before;
    const int64_t count = kernels::CollectPositions(mask.as<uint8_t>(), 1, n, positions);
    for (int64_t i = 0; i < count; ++i) positions[i] += static_cast<int32_t>(begin);
    selected->resize(before + static_cast<size_t>(count));
  }

  Machine machine_;
  std::optional<size_t> bare_input_;
  std::vector<Vector> results_;
};

}  // namespace

Result<std::unique_ptr<Evaluator>> Evaluator::Make(std::shared_ptr<const Expression> expression,
                                                   std::vector<Variable> inputs,
                                                   const Environment& environment) {
  CAPI_ASSIGN_OR_RETURN(auto program,
                        Program::Make(expression, {&expression->root()}, inputs, environment.now));
  return std::make_unique<ColumnEvaluator>(std::move(expression), std::move(program));
}

}  // namespace capi::expr
