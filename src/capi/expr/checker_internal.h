#pragma once

// From the syntax tree to the typed tree: names, argument counts, types, implicit conversions.

#include <memory>
#include <string>
#include <vector>

#include "capi/expr/expression.h"
#include "capi/expr/syntax.h"
#include "capi/expr/tree.h"

namespace capi::expr {

class Checker {
 public:
  /// `scope` must outlive the checker.
  Checker(ContextKind context, const Scope& scope) : context_(context), scope_(scope) {}

  /// The typed tree, not yet folded; null when errors() is not empty.
  std::unique_ptr<Node> Check(const Syntax& root);
  const std::vector<Status>& errors() const { return errors_; }

 private:
  using NodePointer = std::unique_ptr<Node>;

  // Each returns null after reporting an error.
  NodePointer CheckNode(const Syntax& syntax);
  NodePointer CheckIdentifier(const Syntax& syntax);
  NodePointer CheckInteger(const Syntax& syntax);
  NodePointer CheckFloat(const Syntax& syntax);
  NodePointer CheckSelector(const Syntax& syntax);
  NodePointer CheckUnary(const Syntax& syntax);
  NodePointer CheckBinary(const Syntax& syntax);
  NodePointer CheckLogic(const Syntax& syntax, NodePointer left, NodePointer right);
  NodePointer CheckArithmetic(const Syntax& syntax, NodePointer left, NodePointer right);
  NodePointer CheckComparison(const Syntax& syntax, NodePointer left, NodePointer right);
  NodePointer CheckCall(const Syntax& syntax);
  NodePointer CheckIif(const Syntax& syntax, const std::string& name, ValueType type);
  NodePointer CheckAggregate(const Syntax& syntax, const std::string& name);
  NodePointer CheckConversion(const Syntax& syntax, NodePointer call);
  /// All arguments of a call; empty after an error in one of them.
  std::vector<NodePointer> CheckArguments(const Syntax& call);
  bool CheckArgumentCount(const Syntax& call, const std::string& name, size_t least, size_t most);

  NodePointer Report(std::string error_class, int64_t offset, std::string message);
  NodePointer ReportMismatch(const Syntax& syntax, const Node& left, const Node& right);
  NodePointer UnknownVariable(const Syntax& syntax, const Variable& variable);
  bool RoundsDecimals() const { return context_ == ContextKind::kField || inside_aggregate_; }

  ContextKind context_;
  const Scope& scope_;
  std::vector<Status> errors_;
  bool inside_aggregate_ = false;
};

/// True for `a.b` in any number of parentheses.
bool IsPlainSelector(const Syntax& syntax);

}  // namespace capi::expr
