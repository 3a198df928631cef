#include <algorithm>
#include <utility>

#include "capi/expr/constant_folding_internal.h"
#include "capi/expr/scalar_functions.h"

namespace capi::expr {

namespace {

using NodePointer = std::unique_ptr<Node>;

bool IsZero(const data::Value& value) {
  if (const int64_t* number = std::get_if<int64_t>(&value)) return *number == 0;
  if (const data::BigDecimal* number = std::get_if<data::BigDecimal>(&value)) {
    return number->is_zero();
  }
  return false;
}

/// Errors of an operation whose other operands vary by row.
Status CheckConstantOperands(const Node& node) {
  const bool divides = node.op == Op::kDivide || node.op == Op::kModulo;
  if (divides && IsConstant(*node.children[1]) && IsZero(node.children[1]->value)) {
    return DivisionByZeroError();
  }
  const bool matches = node.op == Op::kCall && node.function == Function::kMatchString;
  if (matches && IsConstant(*node.children[0])) {
    return CompilePattern(std::get<std::string>(node.children[0]->value)).status();
  }
  return Status::OK();
}

bool IsFoldable(const Node& node) {
  if (node.op == Op::kVariable || node.op == Op::kAggregate || node.op == Op::kConstant) {
    return false;
  }
  if (node.op == Op::kCall && node.function == Function::kTimeNow) return false;
  return std::all_of(node.children.begin(), node.children.end(),
                     [](const NodePointer& child) { return IsConstant(*child); });
}

/// For && || and iif with a constant first child: the child the node stands for, else -1.
int ChosenChild(const Node& node) {
  if (!IsConstant(*node.children[0])) return -1;
  const bool first = std::get<bool>(node.children[0]->value);
  if (node.op == Op::kAnd) return first ? 1 : 0;
  if (node.op == Op::kOr) return first ? 0 : 1;
  return first ? 1 : 2;
}

}  // namespace

std::unique_ptr<Node> FoldConstants(std::unique_ptr<Node> node, std::vector<Status>* errors) {
  const bool is_lazy = node->op == Op::kAnd || node->op == Op::kOr || node->op == Op::kIif;
  bool failed = false;
  for (size_t i = 0; i < node->children.size(); ++i) {
    node->children[i] = FoldConstants(std::move(node->children[i]), errors);
    failed = failed || node->children[i] == nullptr;
    if (i > 0 || !is_lazy || failed) continue;
    const int chosen = ChosenChild(*node);
    if (chosen == 0) return std::move(node->children[0]);
    if (chosen > 0) {
      return FoldConstants(std::move(node->children[static_cast<size_t>(chosen)]), errors);
    }
  }
  if (failed) return nullptr;
  if (!IsFoldable(*node)) {
    if (const Status status = CheckConstantOperands(*node); !status.ok()) {
      errors->push_back(AtOffset(status, node->offset));
      return nullptr;
    }
    return node;
  }
  Result<data::Value> value = EvaluateScalar(
      *node, [](const Variable&) { return BugError("a constant has no variables"); },
      data::Instant());
  if (!value.ok()) {
    errors->push_back(AtOffset(value.status(), node->offset));
    return nullptr;
  }
  auto constant = std::make_unique<Node>();
  constant->op = Op::kConstant;
  constant->type = node->type;
  constant->offset = node->offset;
  constant->value = *std::move(value);
  return constant;
}

}  // namespace capi::expr
