#pragma once

// The common part of all writers: compute the target fields of a block of rows, then apply having
// (spec/script.md 7 "Field values", 10 "Order of work").

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/expr/evaluator.h"
#include "capi/script/model.h"

namespace capi::node {

using Columns = std::vector<std::shared_ptr<arrow::Array>>;

/// One target of a writer: a table field or a file column.
struct Target {
  std::string name;
  std::string field_path;  ///< for messages: nodes.x.w.fields.y.expression
  script::ExpressionPtr expression;
};

/// Names a row in a message: "orders.csv:17" or "row 5 of batch 2 of orders_00001".
using DescribeRow = std::function<std::string(int64_t row)>;

/// The first error of a block: smallest row, then first in script order (architecture P2).
class FirstError {
 public:
  /// Takes `error` if its row is smaller than the one held.
  void Offer(const Status& error, int64_t row, size_t target) {
    if (error.ok() || (row_ >= 0 && row >= row_)) return;
    error_ = error;
    row_ = row;
    target_ = target;
  }
  bool ok() const { return row_ < 0; }
  int64_t row() const { return row_; }
  size_t target() const { return target_; }
  const Status& error() const { return error_; }

 private:
  Status error_;
  int64_t row_ = -1;
  size_t target_ = 0;
};

/// Adds row, expression and the values of its variables to an evaluation error.
Status DescribeEvaluationError(const Status& error, const expr::Expression& expression,
                               const std::string& field_path, const std::string& row_text,
                               const std::vector<expr::Variable>& inputs, const Columns& columns,
                               int64_t row);

/// Evaluators of one or several expressions over the same inputs, lent to one thread at a time.
/// Thread-safe.
class Programs {
 public:
  using Set = std::vector<std::unique_ptr<expr::Evaluator>>;

  /// Null expressions yield null evaluators.
  static Result<std::unique_ptr<Programs>> Make(
      const std::vector<script::ExpressionPtr>& expressions,
      const std::vector<expr::Variable>& inputs, const expr::Environment& environment);

  /// A set for this thread; goes back to the pool when the lease ends.
  class Lease {
   public:
    Lease(Programs* owner, std::unique_ptr<Set> set) : owner_(owner), set_(std::move(set)) {}
    Lease(Lease&&) = default;
    ~Lease() {
      if (set_ != nullptr) owner_->GiveBack(std::move(set_));
    }
    expr::Evaluator* operator[](size_t i) { return (*set_)[i].get(); }

   private:
    Programs* owner_;
    std::unique_ptr<Set> set_;
  };
  Lease Acquire();
  const std::vector<expr::Variable>& inputs() const { return inputs_; }

 private:
  void GiveBack(std::unique_ptr<Set> set);
  std::vector<expr::Variable> inputs_;
  Set prototypes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Set>> free_;
};

/// Result of computing a block.
struct ComputedRows {
  Columns columns;  ///< one per target, only rows that passed having
  int64_t num_rows = 0;
  int64_t filtered = 0;
  bool all_selected = true;
  std::vector<int32_t> selected;  ///< rows that passed, when not all did
};

/// Computes all targets of a writer and its having. Thread-safe.
class FieldPrograms {
 public:
  /// having is over w.<target name>; may be null.
  static Result<std::unique_ptr<FieldPrograms>> Make(std::vector<Target> targets,
                                                     script::ExpressionPtr having,
                                                     std::string having_path,
                                                     std::vector<expr::Variable> inputs,
                                                     const expr::Environment& environment);

  /// columns[i] belongs to inputs()[i]. A target with a null input is not computed (its column
  /// stays null).
  Result<ComputedRows> Compute(const Columns& columns, int64_t n, const DescribeRow& describe);

  /// The targets alone, without having.
  Result<Columns> ComputeFields(const Columns& columns, int64_t n, const DescribeRow& describe);

  /// Applies having alone to computed columns (null where having does not need them); fills
  /// `selected`. Returns true if all rows passed.
  Result<bool> ApplyHaving(const Columns& computed, int64_t n, const DescribeRow& describe,
                           std::vector<int32_t>* selected);

  const std::vector<expr::Variable>& inputs() const { return programs_->inputs(); }
  const std::vector<Target>& targets() const { return targets_; }
  bool has_having() const { return having_ != nullptr; }

 private:
  bool Available(const expr::Expression& expression, const Columns& columns) const;
  std::vector<Target> targets_;
  script::ExpressionPtr having_expression_;
  std::string having_path_;
  std::unique_ptr<Programs> programs_;
  std::unique_ptr<Programs> having_;  // inputs: w.<target name> in target order
};

/// Targets of a table writer, in script order.
std::vector<Target> TargetsOf(const script::Node& node);

}  // namespace capi::node
