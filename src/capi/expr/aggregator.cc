#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/expr/aggregator_internal.h"
#include "capi/expr/evaluator_output_internal.h"

namespace capi::expr {

namespace {

/// A vector with a value for each row.
Vector WithoutConstant(const Vector& vector, int64_t n, Scratch* scratch) {
  if (!vector.constant) return vector;
  auto* first = scratch->Allocate<int32_t>(n);
  std::fill(first, first + n, 0);
  Vector single = vector;
  single.constant = false;
  return Gather(single, first, n, scratch);
}

class ColumnAggregator final : public Aggregator {
 public:
  ColumnAggregator(std::shared_ptr<const Expression> expression,
                   std::shared_ptr<const Program> program)
      : expression_(std::move(expression)),
        program_(std::move(program)),
        aggregator_(expression_->root(), program_) {}

  std::unique_ptr<Aggregator> Clone() const override {
    return std::make_unique<ColumnAggregator>(expression_, program_);
  }
  void Begin(int64_t num_groups) override { aggregator_.Begin(num_groups); }

  Outcome Update(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                 const int32_t* group_of_row) override {
    const Status status = aggregator_.machine()->SetColumns(columns, n);
    if (!status.ok()) return {nullptr, status, -1};
    BlockResult result = aggregator_.Update(n, group_of_row);
    return {nullptr, std::move(result.error), result.error_row};
  }

  Result<std::shared_ptr<arrow::Array>> Finish() override {
    const int64_t n = aggregator_.num_groups();
    CAPI_ASSIGN_OR_RETURN(ColumnBuilder builder, ColumnBuilder::Make(expression_->type(), n));
    if (n > 0) {
      Scratch scratch;
      const Vector results = aggregator_.Results(&scratch);
      const int64_t offset = expression_->root().offset;
      int64_t failed = n;
      CAPI_RETURN_NOT_OK(builder.Append(results, n, &failed));
      if (failed < n) {
        if (results.type == ValueType::kDecimal) {
          return StoreError(DecimalAt(results, failed), offset);
        }
        return AtOffset(UserError("result_too_large", "strings of a batch exceed 2 GiB"), offset);
      }
    }
    return builder.Finish();
  }

 private:
  std::shared_ptr<const Expression> expression_;
  std::shared_ptr<const Program> program_;
  GroupAggregator aggregator_;
};

}  // namespace

GroupAggregator::GroupAggregator(const Node& aggregate, std::shared_ptr<const Program> program)
    : aggregate_(aggregate),
      machine_(std::move(program)),
      accumulator_(Accumulator::Make(aggregate)) {}

Result<std::shared_ptr<const Program>> GroupAggregator::MakeProgram(
    const std::shared_ptr<const Expression>& expression, const std::vector<Variable>& inputs,
    const Environment& environment) {
  const Node& root = expression->root();
  if (root.op != Op::kAggregate) return BugError("not an aggregate: " + expression->text());
  std::vector<const Node*> arguments;
  for (const std::unique_ptr<Node>& child : root.children) arguments.push_back(child.get());
  return Program::Make(expression, arguments, inputs, environment.now);
}

void GroupAggregator::Begin(int64_t num_groups) {
  num_groups_ = num_groups;
  accumulator_->Begin(num_groups);
}

BlockResult GroupAggregator::Update(int64_t n, const int32_t* groups) {
  const size_t num_arguments = aggregate_.children.size();
  const bool has_values = aggregate_.aggregate != AggregateKind::kCount;
  for (int64_t begin = 0; begin < n; begin += kBlockRows) {
    GroupedBlock block;
    block.n = std::min(kBlockRows, n - begin);
    block.groups = groups + begin;
    if (num_arguments > 0) {
      BlockResult result = machine_.RunBlock(begin, block.n, false, &results_);
      if (!result.error.ok()) return result;
    }
    scratch_.Reset();
    if (has_values) block.values = WithoutConstant(results_[0], block.n, &scratch_);
    if (aggregate_.conditional) {
      block.accepted =
          WithoutConstant(results_[num_arguments - 1], block.n, &scratch_).as<uint8_t>();
    }
    int64_t failed = 0;
    const Status status = accumulator_->Update(block, &failed);
    if (!status.ok()) return {AtOffset(status, aggregate_.offset), begin + failed};
  }
  return {};
}

Result<std::unique_ptr<Aggregator>> Aggregator::Make(std::shared_ptr<const Expression> expression,
                                                     std::vector<Variable> inputs,
                                                     const Environment& environment) {
  CAPI_ASSIGN_OR_RETURN(auto program,
                        GroupAggregator::MakeProgram(expression, inputs, environment));
  return std::make_unique<ColumnAggregator>(std::move(expression), std::move(program));
}

}  // namespace capi::expr
