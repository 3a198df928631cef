#pragma once

// The expression language (spec/expressions.md). An expression is parsed, type-checked against
// typed fields and constant-folded once (Compile); programs over whole columns are made from it
// (evaluator.h).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"

namespace capi::expr {

/// spec/expressions.md 1. Decides decimal rounding and whether a root aggregate is allowed.
enum class ContextKind : uint8_t {
  kField,  ///< every decimal + - * / is rounded to 2; aggregates refused
  kCond,   ///< no rounding; aggregates refused
  kGroup,  ///< root aggregate allowed (its argument is evaluated as kField); otherwise no rounding
};

struct Variable {
  std::string alias;
  std::string name;
  auto operator<=>(const Variable&) const = default;
};

/// What an expression may refer to.
struct Scope {
  /// Type of alias.name, nullopt if there is no such field. Must not be empty.
  std::function<std::optional<data::FieldType>(const Variable&)> lookup;
  /// Aliases that exist elsewhere but are not allowed here (class "prohibited_variable").
  std::vector<std::string> prohibited_aliases;
  /// Names offered for "did you mean": all "alias.name" allowed here.
  std::vector<std::string> candidates;
  /// Values known at compile time, such as wfmodel.RunStart (spec/script.md 13). May be empty.
  std::function<std::optional<data::Value>(const Variable&)> constants;
};

enum class AggregateKind : uint8_t { kCount, kSum, kAvg, kMin, kMax, kStringAgg };

struct Node;  // the typed tree, expr/tree.h

/// A checked expression. Immutable, thread-safe.
class Expression {
 public:
  const std::string& text() const { return text_; }
  ContextKind context() const { return context_; }
  data::FieldType type() const { return type_; }
  /// Variables used, sorted, without duplicates.
  const std::vector<Variable>& variables() const { return variables_; }
  bool uses_alias(std::string_view alias) const;
  /// The variable, if the whole expression is a bare `a.b` (parentheses around it allowed).
  const std::optional<Variable>& bare_variable() const { return bare_variable_; }
  /// The root aggregate, if there is one.
  std::optional<AggregateKind> aggregate() const { return aggregate_; }
  const Node& root() const { return *root_; }

 private:
  friend class Compiler;
  std::string text_;
  ContextKind context_ = ContextKind::kField;
  data::FieldType type_ = data::FieldType::kInt;
  std::vector<Variable> variables_;
  std::optional<Variable> bare_variable_;
  std::optional<AggregateKind> aggregate_;
  std::shared_ptr<const Node> root_;
};

/// Checks and compiles. `declared`: the type the result must have ("wrong_result_type" otherwise).
/// Errors are kUser with a class of spec/expressions.md 11 and expression_offset set. Deviations
/// from the original's trial evaluation (static typing instead): tests/cases/deviations.jsonl.
Result<std::shared_ptr<const Expression>> Compile(std::string_view text, ContextKind context,
                                                  const Scope& scope,
                                                  std::optional<data::FieldType> declared);

/// All errors of the expression, not only the first (at most 20), in source order. Empty: it
/// compiles.
std::vector<Status> CheckAll(std::string_view text, ContextKind context, const Scope& scope,
                             std::optional<data::FieldType> declared);

/// The expression text with a caret under `offset`, two lines.
std::string WithCaret(std::string_view text, int64_t offset);

}  // namespace capi::expr
