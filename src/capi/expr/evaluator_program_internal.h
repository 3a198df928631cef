#pragma once

// A typed tree prepared for evaluation over columns: variables resolved to input positions,
// constants as vectors, patterns, layouts and formats compiled.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "capi/data/datetime.h"
#include "capi/data/go_format.h"
#include "capi/expr/evaluator.h"
#include "capi/expr/scalar_functions.h"
#include "capi/expr/tree.h"
#include "capi/expr/vector_internal.h"

namespace capi::expr {

/// A node of the tree and what is known of it before the first row.
struct Step {
  const Node* node = nullptr;  // of the expression, which the program keeps
  std::vector<std::unique_ptr<Step>> children;
  size_t id = 0;  ///< number within the program
  /// kVariable: position among the inputs.
  size_t input = 0;
  /// kConstant.
  std::unique_ptr<ConstantValue> constant;
  /// A row may fail.
  bool can_fail = false;
  /// Evaluating all rows costs less than picking the needed ones.
  bool cheap = true;
  /// The subtree depends on exactly this input, a string, and is more than the bare variable: it
  /// can be evaluated once per value of a dictionary.
  std::optional<size_t> dictionary_input;
  /// From constant arguments.
  std::shared_ptr<const re2::RE2> pattern;
  std::optional<data::TimeLayout> layout;
  std::optional<data::PrintFormat> format;
};

/// Immutable, thread-safe.
class Program {
 public:
  /// `roots` are subtrees of the expression.
  static Result<std::shared_ptr<const Program>> Make(std::shared_ptr<const Expression> expression,
                                                     const std::vector<const Node*>& roots,
                                                     const std::vector<Variable>& inputs,
                                                     const data::Instant& now);

  const std::vector<std::unique_ptr<Step>>& roots() const { return roots_; }
  size_t num_steps() const { return num_steps_; }
  const std::vector<Variable>& inputs() const { return inputs_; }
  /// Positions of the inputs that are read, ascending.
  const std::vector<size_t>& used_inputs() const { return used_inputs_; }
  /// Types of the used inputs, in the same order.
  const std::vector<ValueType>& used_types() const { return used_types_; }
  const data::Instant& now() const { return now_; }

 private:
  Result<std::unique_ptr<Step>> MakeStep(const Node& node);

  std::shared_ptr<const Expression> expression_;
  std::vector<Variable> inputs_;
  std::vector<std::unique_ptr<Step>> roots_;
  std::vector<size_t> used_inputs_;
  std::vector<ValueType> used_types_;
  data::Instant now_;
  size_t num_steps_ = 0;
};

}  // namespace capi::expr
