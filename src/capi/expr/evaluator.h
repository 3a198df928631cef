#pragma once

// Column programs of checked expressions.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/data/datetime.h"
#include "capi/expr/expression.h"

namespace capi::expr {

/// What may vary between evaluations. Same for all batches of a run.
struct Environment {
  /// time.Now(): the recorded start of the run (architecture P2).
  data::Instant now;
};

/// The value of one evaluation over n rows.
struct Outcome {
  /// n values in a layout of data/types.h. Not null only if error is OK.
  std::shared_ptr<arrow::Array> values;
  /// Error of the smallest failing row, with expression_offset; OK if none.
  Status error;
  /// That row (index into the input), -1 if none.
  int64_t error_row = -1;
};

/// Evaluates one expression over columns. Holds scratch buffers: one evaluator per thread at a time
/// (make copies with Clone, cheap). The expression is shared.
class Evaluator {
 public:
  /// inputs[i] names columns[i] of Evaluate; every variable of the expression must be among them.
  /// Aggregates: see Aggregator.
  static Result<std::unique_ptr<Evaluator>> Make(std::shared_ptr<const Expression> expression,
                                                 std::vector<Variable> inputs,
                                                 const Environment& environment);
  virtual ~Evaluator() = default;
  virtual std::unique_ptr<Evaluator> Clone() const = 0;
  /// columns not used by the expression may be null pointers; the others have at least n rows. The
  /// result is what a table holds: decimals are rounded half away from zero to hundredths (beyond
  /// 38 digits: an error of that row), other types are unchanged. store = false states that the
  /// result is no decimal: a decimal that leaves as a column is always stored (kBug otherwise). n
  /// >= 0.
  virtual Outcome Evaluate(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                           bool store = true) = 0;
  /// For boolean expressions: appends the indexes of true rows, ascending, to *selected.
  virtual Outcome Filter(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                         std::vector<int32_t>* selected) = 0;
  const Expression& expression() const { return *expression_; }

 protected:
  std::shared_ptr<const Expression> expression_;
};

/// Evaluates a root aggregate over groups. One per thread.
class Aggregator {
 public:
  static Result<std::unique_ptr<Aggregator>> Make(std::shared_ptr<const Expression> expression,
                                                  std::vector<Variable> inputs,
                                                  const Environment& environment);
  virtual ~Aggregator() = default;
  virtual std::unique_ptr<Aggregator> Clone() const = 0;
  /// Forgets all and prepares num_groups groups.
  virtual void Begin(int64_t num_groups) = 0;
  /// Feeds n rows; group_of_row[i] in [0, num_groups), non-decreasing within the call and over
  /// calls. Floats are summed in the order given. Outcome.values is null; error_row is an index
  /// into this call.
  virtual Outcome Update(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                         const int32_t* group_of_row) = 0;
  /// One value per group, as a table holds it. Groups never fed yield the zero value of the type;
  /// groups fed but with no row accepted by an _if condition yield what spec/expressions.md 8 says.
  virtual Result<std::shared_ptr<arrow::Array>> Finish() = 0;
};

/// One value, for people and case files: the expression over named single values.
struct NamedValue {
  Variable variable;
  data::Value value;
};
/// Compiles against the types of the values and evaluates once. `rows` (kGroup) may hold several
/// rows.
Result<data::Value> EvaluateOnce(std::string_view text, ContextKind context,
                                 const std::vector<std::vector<NamedValue>>& rows,
                                 std::optional<data::FieldType> declared,
                                 const Environment& environment);

}  // namespace capi::expr
