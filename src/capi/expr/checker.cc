#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "capi/base/near_name.h"
#include "capi/expr/checker_internal.h"
#include "capi/expr/function_table_internal.h"

namespace capi::expr {

namespace {

using NodePointer = std::unique_ptr<Node>;

NodePointer NewNode(Op op, ValueType type, int64_t offset) {
  auto node = std::make_unique<Node>();
  node->op = op;
  node->type = type;
  node->offset = offset;
  return node;
}

NodePointer NewConstant(ValueType type, data::Value value, int64_t offset) {
  NodePointer node = NewNode(Op::kConstant, type, offset);
  node->value = std::move(value);
  return node;
}

NodePointer ConvertTo(ValueType type, NodePointer node) {
  if (node->type == type) return node;
  NodePointer convert = NewNode(Op::kConvert, type, node->offset);
  convert->children.push_back(std::move(node));
  return convert;
}

bool IsNumber(const Node& node) { return Contains(kNumberTypes, node.type); }

bool AreBoth(const Node& left, const Node& right, ValueType type) {
  return left.type == type && right.type == type;
}

/// The type two numbers are brought to.
ValueType CommonNumberType(ValueType left, ValueType right) {
  for (const ValueType type : {ValueType::kFloat, ValueType::kDecimal}) {
    if (left == type || right == type) return type;
  }
  return ValueType::kInt;
}

ValueType TypeOfValue(const data::Value& value) {
  struct Visitor {
    ValueType operator()(int64_t) const { return ValueType::kInt; }
    ValueType operator()(data::NativeInt) const { return ValueType::kInt; }
    ValueType operator()(double) const { return ValueType::kFloat; }
    ValueType operator()(const std::string&) const { return ValueType::kString; }
    ValueType operator()(bool) const { return ValueType::kBool; }
    ValueType operator()(const data::BigDecimal&) const { return ValueType::kDecimal; }
    ValueType operator()(const data::Instant&) const { return ValueType::kDatetime; }
  };
  return std::visit(Visitor{}, value);
}

std::string DescribeCount(size_t count) {
  return std::to_string(count) + (count == 1 ? " argument" : " arguments");
}

struct BinaryOperator {
  std::string_view text;
  Op op;
};
constexpr BinaryOperator kLogic[] = {{"&&", Op::kAnd}, {"||", Op::kOr}};
constexpr BinaryOperator kArithmetic[] = {{"+", Op::kAdd},
                                          {"-", Op::kSubtract},
                                          {"*", Op::kMultiply},
                                          {"/", Op::kDivide},
                                          {"%", Op::kModulo}};
constexpr BinaryOperator kComparisons[] = {{"==", Op::kEqual},     {"!=", Op::kNotEqual},
                                           {"<", Op::kLess},       {">", Op::kGreater},
                                           {"<=", Op::kLessEqual}, {">=", Op::kGreaterEqual}};

std::optional<Op> FindOperator(std::span<const BinaryOperator> operators, std::string_view text) {
  for (const BinaryOperator& candidate : operators) {
    if (candidate.text == text) return candidate.op;
  }
  return std::nullopt;
}

/// "f" or "a.f" of a call target, nullopt for anything else.
std::optional<std::string> CalledName(const Syntax& target) {
  if (target.kind == SyntaxKind::kIdentifier) return target.text;
  if (target.kind == SyntaxKind::kSelector && target.children[0]->kind == SyntaxKind::kIdentifier) {
    return target.children[0]->text + "." + target.text;
  }
  return std::nullopt;
}

std::string_view DescribeUnsupported(SyntaxKind kind) {
  switch (kind) {
    case SyntaxKind::kImaginary:
      return "imaginary numbers";
    case SyntaxKind::kRune:
      return "characters in single quotes (write text in double quotes)";
    case SyntaxKind::kDereference:
      return "unary *";
    case SyntaxKind::kIndex:
      return "x[i]";
    case SyntaxKind::kSlice:
      return "x[i:j]";
    case SyntaxKind::kTypeAssertion:
      return "x.(type)";
    case SyntaxKind::kCompositeLiteral:
      return "composite values T{...}";
    case SyntaxKind::kFunctionLiteral:
      return "functions func(...) {...}";
    default:
      return "Go types";
  }
}

}  // namespace

bool IsPlainSelector(const Syntax& syntax) {
  const Syntax& inside = WithoutParentheses(syntax);
  return inside.kind == SyntaxKind::kSelector &&
         inside.children[0]->kind == SyntaxKind::kIdentifier;
}

NodePointer Checker::Report(std::string error_class, int64_t offset, std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = std::move(error_class);
  info.expression_offset = offset;
  errors_.push_back(MakeError(std::move(info), std::move(message)));
  return nullptr;
}

NodePointer Checker::ReportMismatch(const Syntax& syntax, const Node& left, const Node& right) {
  return Report("type_mismatch", syntax.offset,
                "operator cannot combine these types: " + std::string(ValueTypeName(left.type)) +
                    " " + syntax.text + " " + std::string(ValueTypeName(right.type)));
}

NodePointer Checker::Check(const Syntax& root) {
  NodePointer node;
  const std::optional<std::string> name =
      root.kind == SyntaxKind::kCall ? CalledName(*root.children[0]) : std::nullopt;
  if (context_ == ContextKind::kGroup && name.has_value() && FindAggregate(*name) != nullptr) {
    node = CheckAggregate(root, *name);
  } else {
    node = CheckNode(root);
  }
  if (node != nullptr && !Contains(kFieldTypes, node->type)) {
    return Report("wrong_result_type", root.begin,
                  "no field can hold the result: " + std::string(ValueTypeName(node->type)));
  }
  return errors_.empty() ? std::move(node) : nullptr;
}

NodePointer Checker::CheckNode(const Syntax& syntax) {
  switch (syntax.kind) {
    case SyntaxKind::kIdentifier:
      return CheckIdentifier(syntax);
    case SyntaxKind::kInteger:
      return CheckInteger(syntax);
    case SyntaxKind::kFloat:
      return CheckFloat(syntax);
    case SyntaxKind::kString:
      return NewConstant(ValueType::kString, syntax.text, syntax.offset);
    case SyntaxKind::kSelector:
      return CheckSelector(syntax);
    case SyntaxKind::kCall:
      return CheckCall(syntax);
    case SyntaxKind::kParenthesized:
      return CheckNode(*syntax.children[0]);
    case SyntaxKind::kUnary:
      return CheckUnary(syntax);
    case SyntaxKind::kBinary:
      return CheckBinary(syntax);
    default:
      return Report(
          "unsupported_syntax", syntax.begin,
          "expressions have no such element: " + std::string(DescribeUnsupported(syntax.kind)));
  }
}

NodePointer Checker::CheckIdentifier(const Syntax& syntax) {
  if (syntax.text == "true" || syntax.text == "false") {
    return NewConstant(ValueType::kBool, syntax.text == "true", syntax.offset);
  }
  std::string hint;
  std::string lower = syntax.text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (lower == "true" || lower == "false") {
    hint = DidYouMean(lower);
  } else if (lower == "nil" || lower == "null" || lower == "none") {
    hint = "; there are no null values";
  } else {
    // A field written without its alias.
    const auto found = std::find_if(
        scope_.candidates.begin(), scope_.candidates.end(),
        [&syntax](const std::string& candidate) {
          return candidate.size() > syntax.text.size() && candidate.ends_with(syntax.text) &&
                 candidate[candidate.size() - syntax.text.size() - 1] == '.';
        });
    if (found != scope_.candidates.end()) hint = DidYouMean(*found);
  }
  return Report("bare_identifier", syntax.offset,
                "fields are written alias.name, found only: " + syntax.text + hint);
}

NodePointer Checker::CheckInteger(const Syntax& syntax) {
  int64_t value = 0;
  bool fits = true;
  for (const char c : syntax.text) {
    if (c < '0' || c > '9') {
      return Report("bad_number_text", syntax.offset,
                    "an int is written with decimal digits only: " + syntax.text);
    }
    fits = fits && !__builtin_mul_overflow(value, int64_t{10}, &value) &&
           !__builtin_add_overflow(value, int64_t{c - '0'}, &value);
  }
  if (fits) return NewConstant(ValueType::kInt, value, syntax.offset);
  Result<data::BigDecimal> decimal = data::BigDecimal::Parse(syntax.text);
  if (!decimal.ok()) {
    return Report(InfoOf(decimal.status()).error_class, syntax.offset, decimal.status().message());
  }
  return NewConstant(ValueType::kDecimal, *std::move(decimal), syntax.offset);
}

NodePointer Checker::CheckFloat(const Syntax& syntax) {
  std::string digits = syntax.text;
  std::erase(digits, '_');
  const Result<double> value = data::ParseGoFloat(digits);
  if (value.ok()) return NewConstant(ValueType::kFloat, *value, syntax.offset);
  if (InfoOf(value.status()).error_class == "number_out_of_range") {
    return NewConstant(ValueType::kFloat, std::numeric_limits<double>::infinity(), syntax.offset);
  }
  return Report("bad_number_text", syntax.offset, value.status().message());
}

NodePointer Checker::CheckSelector(const Syntax& syntax) {
  if (syntax.children[0]->kind != SyntaxKind::kIdentifier) {
    return Report("bad_selector", syntax.offset,
                  "a field is one alias, a dot and one name; too much before: ." + syntax.text);
  }
  const Variable variable{syntax.children[0]->text, syntax.text};
  if (NodePointer constant = FindConstant(variable)) {
    constant->offset = syntax.begin;
    return constant;
  }
  if (scope_.constants) {
    if (std::optional<data::Value> value = scope_.constants(variable)) {
      if (const data::NativeInt* native = std::get_if<data::NativeInt>(&*value)) {
        value = native->value;
      }
      const ValueType type = TypeOfValue(*value);
      return NewConstant(type, *std::move(value), syntax.begin);
    }
  }
  const std::vector<std::string>& prohibited = scope_.prohibited_aliases;
  if (std::find(prohibited.begin(), prohibited.end(), variable.alias) != prohibited.end()) {
    return Report(
        "prohibited_variable", syntax.begin,
        "fields of this alias cannot be used here: " + variable.alias + "." + variable.name);
  }
  const std::optional<data::FieldType> type =
      scope_.lookup ? scope_.lookup(variable) : std::nullopt;
  if (!type.has_value()) return UnknownVariable(syntax, variable);
  NodePointer node = NewNode(Op::kVariable, FromFieldType(*type), syntax.begin);
  node->variable = variable;
  return node;
}

NodePointer Checker::UnknownVariable(const Syntax& syntax, const Variable& variable) {
  const std::string name = variable.alias + "." + variable.name;
  return Report("unknown_variable", syntax.begin,
                "no such field: " + name + DidYouMean(NearestName(name, scope_.candidates)));
}

NodePointer Checker::CheckUnary(const Syntax& syntax) {
  const bool is_not = syntax.text == "!";
  if (!is_not && syntax.text != "-") {
    return Report("unsupported_operator", syntax.offset,
                  "expressions have no such operator: unary " + syntax.text);
  }
  NodePointer operand = CheckNode(*syntax.children[0]);
  if (operand == nullptr) return nullptr;
  if (is_not ? operand->type != ValueType::kBool : !IsNumber(*operand)) {
    return Report("type_mismatch", syntax.offset,
                  "wrong operand type: unary " + syntax.text + " needs " +
                      (is_not ? "bool" : DescribeTypes(kNumberTypes)) + ", found " +
                      std::string(ValueTypeName(operand->type)));
  }
  NodePointer node = NewNode(is_not ? Op::kNot : Op::kNegate, operand->type, syntax.offset);
  node->children.push_back(std::move(operand));
  return node;
}

NodePointer Checker::CheckBinary(const Syntax& syntax) {
  const bool known = FindOperator(kLogic, syntax.text) || FindOperator(kArithmetic, syntax.text) ||
                     FindOperator(kComparisons, syntax.text);
  NodePointer left = CheckNode(*syntax.children[0]);
  NodePointer right = CheckNode(*syntax.children[1]);
  if (!known) {
    return Report("unsupported_operator", syntax.offset,
                  "expressions have no such operator: " + syntax.text);
  }
  if (left == nullptr || right == nullptr) return nullptr;
  if (FindOperator(kLogic, syntax.text)) {
    return CheckLogic(syntax, std::move(left), std::move(right));
  }
  if (FindOperator(kArithmetic, syntax.text)) {
    return CheckArithmetic(syntax, std::move(left), std::move(right));
  }
  return CheckComparison(syntax, std::move(left), std::move(right));
}

NodePointer Checker::CheckLogic(const Syntax& syntax, NodePointer left, NodePointer right) {
  if (!AreBoth(*left, *right, ValueType::kBool)) return ReportMismatch(syntax, *left, *right);
  NodePointer node = NewNode(*FindOperator(kLogic, syntax.text), ValueType::kBool, syntax.offset);
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(right));
  return node;
}

NodePointer Checker::CheckArithmetic(const Syntax& syntax, NodePointer left, NodePointer right) {
  const Op op = *FindOperator(kArithmetic, syntax.text);
  ValueType type = ValueType::kString;
  if (IsNumber(*left) && IsNumber(*right)) {
    type = CommonNumberType(left->type, right->type);
  } else if (!AreBoth(*left, *right, ValueType::kString)) {
    return ReportMismatch(syntax, *left, *right);
  }
  if (type == ValueType::kString ? op != Op::kAdd : op == Op::kModulo && type != ValueType::kInt) {
    return Report("unsupported_operator", syntax.offset,
                  "no such operator for this type: " + syntax.text + " of " +
                      std::string(ValueTypeName(type)));
  }
  NodePointer node = NewNode(op, type, syntax.offset);
  node->round_to_two = type == ValueType::kDecimal && RoundsDecimals();
  node->children.push_back(ConvertTo(type, std::move(left)));
  node->children.push_back(ConvertTo(type, std::move(right)));
  return node;
}

NodePointer Checker::CheckComparison(const Syntax& syntax, NodePointer left, NodePointer right) {
  const Op op = *FindOperator(kComparisons, syntax.text);
  if (AreBoth(*left, *right, ValueType::kBool) && op != Op::kEqual && op != Op::kNotEqual) {
    return Report("unsupported_operator", syntax.offset,
                  "no such operator for this type: " + syntax.text + " of bool");
  }
  if (IsNumber(*left) && IsNumber(*right)) {
    const ValueType type = CommonNumberType(left->type, right->type);
    left = ConvertTo(type, std::move(left));
    right = ConvertTo(type, std::move(right));
  } else if (!AreBoth(*left, *right, left->type) || !Contains(kFieldTypes, left->type)) {
    return ReportMismatch(syntax, *left, *right);
  }
  NodePointer node = NewNode(op, ValueType::kBool, syntax.offset);
  node->children.push_back(std::move(left));
  node->children.push_back(std::move(right));
  return node;
}

bool Checker::CheckArgumentCount(const Syntax& call, const std::string& name, size_t least,
                                 size_t most) {
  const size_t found = call.children.size() - 1;
  if (found >= least && found <= most) return true;
  Report("wrong_argument_count", call.offset,
         "wrong number of arguments: " + name + " takes " + (most > least ? "at least " : "") +
             DescribeCount(least) + ", found " + std::to_string(found));
  return false;
}

std::vector<NodePointer> Checker::CheckArguments(const Syntax& call) {
  std::vector<NodePointer> arguments;
  bool failed = false;
  for (size_t i = 1; i < call.children.size(); ++i) {
    arguments.push_back(CheckNode(*call.children[i]));
    failed = failed || arguments.back() == nullptr;
  }
  if (failed) arguments.clear();
  return arguments;
}

NodePointer Checker::CheckCall(const Syntax& syntax) {
  const std::optional<std::string> name = CalledName(*syntax.children[0]);
  if (!name.has_value()) {
    return Report("bad_call_target", syntax.offset,
                  "only a function name can be called, such as len(...) or math.Sqrt(...)");
  }
  if (FindAggregate(*name) != nullptr) {
    if (inside_aggregate_) {
      return Report("multiple_aggregates", syntax.offset,
                    "an aggregate cannot stand inside another one: " + *name);
    }
    return Report("aggregate_not_allowed_here", syntax.offset,
                  context_ == ContextKind::kGroup
                      ? "an aggregate must be the whole expression, without parentheses: " + *name
                      : "aggregates are for fields of grouped lookups only: " + *name);
  }
  if (const std::optional<ValueType> type = FindIif(*name)) return CheckIif(syntax, *name, *type);
  const Signature* signature = FindFunction(*name);
  if (signature == nullptr) {
    return Report("unknown_function", syntax.offset,
                  "no such function: " + *name + DidYouMean(NearestName(*name, FunctionNames())));
  }
  const size_t least = signature->num_parameters;
  const size_t most =
      signature->repeats_last ? std::numeric_limits<size_t>::max() : signature->num_parameters;
  if (!CheckArgumentCount(syntax, *name, least, most)) return nullptr;
  std::vector<NodePointer> arguments = CheckArguments(syntax);
  if (arguments.size() + 1 != syntax.children.size()) return nullptr;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const TypeSet allowed = signature->parameters[std::min(i, signature->num_parameters - 1)];
    if (!Contains(allowed, arguments[i]->type)) {
      return Report("type_mismatch", syntax.children[i + 1]->begin,
                    "wrong argument type: argument " + std::to_string(i + 1) + " of " + *name +
                        " must be " + DescribeTypes(allowed) + ", found " +
                        std::string(ValueTypeName(arguments[i]->type)));
    }
    if (signature->takes_float)
      arguments[i] = ConvertTo(ValueType::kFloat, std::move(arguments[i]));
  }
  NodePointer node = NewNode(Op::kCall, signature->result, syntax.offset);
  node->function = signature->function;
  node->children = std::move(arguments);
  return CheckConversion(syntax, std::move(node));
}

/// int(x) of an int is x; float(x) and decimal2(x) that mean an implicit conversion become one.
NodePointer Checker::CheckConversion(const Syntax& syntax, NodePointer call) {
  const bool is_conversion =
      call->function == Function::kInt || call->function == Function::kFloat ||
      call->function == Function::kDecimal2 || call->function == Function::kString;
  if (!is_conversion) return call;
  const ValueType from = call->children[0]->type;
  if (from == call->type) return std::move(call->children[0]);
  const bool is_implicit = (call->type == ValueType::kFloat && Contains(kNumberTypes, from)) ||
                           (call->type == ValueType::kDecimal && from == ValueType::kInt);
  if (!is_implicit) return call;
  NodePointer convert = ConvertTo(call->type, std::move(call->children[0]));
  convert->offset = syntax.offset;
  return convert;
}

NodePointer Checker::CheckIif(const Syntax& syntax, const std::string& name, ValueType type) {
  constexpr size_t kNumArguments = 3;
  if (!CheckArgumentCount(syntax, name, kNumArguments, kNumArguments)) return nullptr;
  std::vector<NodePointer> arguments = CheckArguments(syntax);
  if (arguments.empty()) return nullptr;
  for (size_t i = 0; i < kNumArguments; ++i) {
    const ValueType needed = i == 0 ? ValueType::kBool : type;
    if (arguments[i]->type != needed) {
      return Report("type_mismatch", syntax.children[i + 1]->begin,
                    "wrong argument type: argument " + std::to_string(i + 1) + " of " + name +
                        " must be " + std::string(ValueTypeName(needed)) + ", found " +
                        std::string(ValueTypeName(arguments[i]->type)));
    }
  }
  NodePointer node = NewNode(Op::kIif, type, syntax.offset);
  node->children = std::move(arguments);
  return node;
}

NodePointer Checker::CheckAggregate(const Syntax& syntax, const std::string& name) {
  const AggregateSignature& signature = *FindAggregate(name);
  const bool has_argument = signature.kind != AggregateKind::kCount;
  const bool has_separator = signature.kind == AggregateKind::kStringAgg;
  const size_t count = size_t{has_argument} + size_t{has_separator} + size_t{signature.conditional};
  if (!CheckArgumentCount(syntax, name, count, count)) return nullptr;
  NodePointer node = NewNode(Op::kAggregate, ValueType::kInt, syntax.offset);
  node->aggregate = signature.kind;
  node->conditional = signature.conditional;
  if (has_separator) {
    const Syntax& separator = *syntax.children[2];
    if (separator.kind != SyntaxKind::kString) {
      return Report(
          "aggregate_bad_separator", separator.begin,
          "the separator must be a text written in place, such as \",\": argument 2 of " + name);
    }
    node->separator = separator.text;
  }
  inside_aggregate_ = true;
  NodePointer argument = has_argument ? CheckNode(*syntax.children[1]) : nullptr;
  NodePointer condition = signature.conditional ? CheckNode(*syntax.children.back()) : nullptr;
  inside_aggregate_ = false;
  if ((has_argument && argument == nullptr) || (signature.conditional && condition == nullptr)) {
    return nullptr;
  }
  if (has_argument && !Contains(signature.argument, argument->type)) {
    return Report("type_mismatch", syntax.children[1]->begin,
                  "wrong argument type: argument 1 of " + name + " must be " +
                      DescribeTypes(signature.argument) + ", found " +
                      std::string(ValueTypeName(argument->type)));
  }
  if (signature.conditional && condition->type != ValueType::kBool) {
    return Report("type_mismatch", syntax.children.back()->begin,
                  "wrong argument type: the condition of " + name + " must be bool, found " +
                      std::string(ValueTypeName(condition->type)));
  }
  if (has_argument) {
    node->type = argument->type;
    node->children.push_back(std::move(argument));
  }
  if (signature.conditional) node->children.push_back(std::move(condition));
  return node;
}

}  // namespace capi::expr
