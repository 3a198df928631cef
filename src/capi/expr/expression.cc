#include "capi/expr/expression.h"

#include <algorithm>
#include <utility>

#include "capi/expr/checker_internal.h"
#include "capi/expr/constant_folding_internal.h"
#include "capi/expr/syntax.h"
#include "capi/expr/tree.h"

namespace capi::expr {

namespace {

constexpr size_t kMaxErrors = 20;

void CollectVariables(const Node& node, std::vector<Variable>* variables) {
  if (node.op == Op::kVariable) variables->push_back(node.variable);
  for (const std::unique_ptr<Node>& child : node.children) CollectVariables(*child, variables);
}

Status WrongResultType(const Syntax& root, data::FieldType found, data::FieldType declared) {
  const std::string found_name(data::FieldTypeName(found));
  const std::string declared_name(data::FieldTypeName(declared));
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = "wrong_result_type";
  info.expression_offset = root.begin;
  std::string hint;
  const bool convertible =
      declared != data::FieldType::kBool && declared != data::FieldType::kDatetime &&
      (found != data::FieldType::kDatetime || declared == data::FieldType::kString);
  if (convertible) hint = "; convert with " + declared_name + "(...)";
  return MakeError(std::move(info), "the expression has another type than declared: it gives " +
                                        found_name + ", declared is " + declared_name + hint);
}

/// Bytes before the first one of the line that holds `offset`.
size_t LineBegin(std::string_view text, size_t offset) {
  const size_t newline = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
  return newline == std::string_view::npos ? 0 : newline + 1;
}

bool IsContinuationByte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

/// One compilation: collects every error, or fills an expression.
class Compiler {
 public:
  Compiler(std::string_view text, ContextKind context, const Scope& scope,
           std::optional<data::FieldType> declared)
      : text_(text), context_(context), scope_(scope), declared_(declared) {}

  /// Null when there are errors.
  std::shared_ptr<const Expression> Run() {
    Result<std::unique_ptr<Syntax>> syntax = ParseExpression(text_);
    if (!syntax.ok()) {
      errors_.push_back(syntax.status());
      return nullptr;
    }
    Checker checker(context_, scope_);
    std::unique_ptr<Node> root = checker.Check(**syntax);
    errors_ = checker.errors();
    if (root == nullptr) return nullptr;
    const data::FieldType type = ToFieldType(root->type);
    if (declared_.has_value() && *declared_ != type) {
      errors_.push_back(WrongResultType(**syntax, type, *declared_));
    }
    const bool is_bare = IsPlainSelector(**syntax) && root->op == Op::kVariable;
    root = FoldConstants(std::move(root), &errors_);
    if (!errors_.empty()) return nullptr;

    auto expression = std::make_shared<Expression>();
    expression->text_ = std::string(text_);
    expression->context_ = context_;
    expression->type_ = type;
    CollectVariables(*root, &expression->variables_);
    std::vector<Variable>& variables = expression->variables_;
    std::sort(variables.begin(), variables.end());
    variables.erase(std::unique(variables.begin(), variables.end()), variables.end());
    if (is_bare) expression->bare_variable_ = root->variable;
    if (root->op == Op::kAggregate) expression->aggregate_ = root->aggregate;
    expression->root_ = std::move(root);
    return expression;
  }

  /// In source order.
  std::vector<Status> TakeErrors() {
    std::stable_sort(errors_.begin(), errors_.end(), [](const Status& left, const Status& right) {
      return InfoOf(left).expression_offset < InfoOf(right).expression_offset;
    });
    if (errors_.size() > kMaxErrors) errors_.resize(kMaxErrors);
    return std::move(errors_);
  }

 private:
  std::string_view text_;
  ContextKind context_;
  const Scope& scope_;
  std::optional<data::FieldType> declared_;
  std::vector<Status> errors_;
};

bool Expression::uses_alias(std::string_view alias) const {
  return std::any_of(variables_.begin(), variables_.end(),
                     [alias](const Variable& variable) { return variable.alias == alias; });
}

Result<std::shared_ptr<const Expression>> Compile(std::string_view text, ContextKind context,
                                                  const Scope& scope,
                                                  std::optional<data::FieldType> declared) {
  Compiler compiler(text, context, scope, declared);
  std::shared_ptr<const Expression> expression = compiler.Run();
  if (expression == nullptr) return compiler.TakeErrors().front();
  return expression;
}

std::vector<Status> CheckAll(std::string_view text, ContextKind context, const Scope& scope,
                             std::optional<data::FieldType> declared) {
  Compiler compiler(text, context, scope, declared);
  compiler.Run();
  return compiler.TakeErrors();
}

std::string WithCaret(std::string_view text, int64_t offset) {
  const size_t position = std::min(static_cast<size_t>(std::max<int64_t>(offset, 0)), text.size());
  const size_t begin = LineBegin(text, position);
  const size_t end = std::min(text.find('\n', position), text.size());
  std::string out(text.substr(begin, end - begin));
  out += '\n';
  for (const char c : text.substr(begin, position - begin)) {
    // Tabs stay tabs, so that the caret stands right whatever their width.
    if (!IsContinuationByte(c)) out += c == '\t' ? '\t' : ' ';
  }
  out += '^';
  return out;
}

}  // namespace capi::expr
