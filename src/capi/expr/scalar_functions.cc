#include "capi/expr/scalar_functions.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "capi/base/time_units.h"
#include "capi/expr/function_table_internal.h"
#include "re2/re2.h"
#include "utf8proc.h"

namespace capi::expr {

namespace {

using data::BigDecimal;
using data::Instant;
using data::Value;

constexpr int kRoundedDecimals = 2;
constexpr int64_t kMinYear = -9999;
constexpr int64_t kMaxYear = 9999;
constexpr int64_t kSecondsPerDay = 86400;

int64_t AsInt(const Value& value) { return std::get<int64_t>(value); }
double AsFloat(const Value& value) { return std::get<double>(value); }
const std::string& AsString(const Value& value) { return std::get<std::string>(value); }
bool AsBool(const Value& value) { return std::get<bool>(value); }
const BigDecimal& AsDecimal(const Value& value) { return std::get<BigDecimal>(value); }
const Instant& AsInstant(const Value& value) { return std::get<Instant>(value); }

/// The result of a comparison operator for an order of -1, 0, 1.
bool Holds(Op op, int order) {
  switch (op) {
    case Op::kEqual:
      return order == 0;
    case Op::kNotEqual:
      return order != 0;
    case Op::kLess:
      return order < 0;
    case Op::kLessEqual:
      return order <= 0;
    case Op::kGreater:
      return order > 0;
    default:
      return order >= 0;
  }
}

/// Floats apart: a NaN compares as IEEE says.
bool HoldsForFloats(Op op, double left, double right) {
  switch (op) {
    case Op::kEqual:
      return left == right;
    case Op::kNotEqual:
      return left != right;
    case Op::kLess:
      return left < right;
    case Op::kLessEqual:
      return left <= right;
    case Op::kGreater:
      return left > right;
    default:
      return left >= right;
  }
}

bool IsComparison(Op op) { return op >= Op::kEqual && op <= Op::kGreaterEqual; }

Result<Value> IntArithmetic(Op op, int64_t left, int64_t right) {
  switch (op) {
    case Op::kAdd:
      return WrapAdd(left, right);
    case Op::kSubtract:
      return WrapSubtract(left, right);
    case Op::kMultiply:
      return WrapMultiply(left, right);
    case Op::kDivide:
      if (right == 0) return DivisionByZeroError();
      return DivideInt(left, right);
    case Op::kModulo:
      if (right == 0) return DivisionByZeroError();
      return ModuloInt(left, right);
    default:
      return BugError("not an operator of int");
  }
}

Result<Value> FloatArithmetic(Op op, double left, double right) {
  switch (op) {
    case Op::kAdd:
      return left + right;
    case Op::kSubtract:
      return left - right;
    case Op::kMultiply:
      return left * right;
    case Op::kDivide:
      return left / right;
    default:
      return BugError("not an operator of float");
  }
}

Result<BigDecimal> ExactDecimalArithmetic(Op op, const BigDecimal& left, const BigDecimal& right) {
  switch (op) {
    case Op::kAdd:
      return left.Add(right);
    case Op::kSubtract:
      return left.Subtract(right);
    case Op::kMultiply:
      return left.Multiply(right);
    case Op::kDivide:
      if (right.is_zero()) return DivisionByZeroError();
      return left.Divide(right);
    default:
      return BugError("not an operator of decimal2");
  }
}

Result<Value> Arithmetic(Op op, ValueType type, const Value& left, const Value& right,
                         bool round_to_two) {
  switch (type) {
    case ValueType::kInt:
      return IntArithmetic(op, AsInt(left), AsInt(right));
    case ValueType::kFloat:
      return FloatArithmetic(op, AsFloat(left), AsFloat(right));
    case ValueType::kDecimal: {
      CAPI_ASSIGN_OR_RETURN(BigDecimal result,
                            ExactDecimalArithmetic(op, AsDecimal(left), AsDecimal(right)));
      return round_to_two ? Value(result.Round(kRoundedDecimals)) : Value(std::move(result));
    }
    case ValueType::kString:
      if (op == Op::kAdd) return AsString(left) + AsString(right);
      break;
    default:
      break;
  }
  return BugError("no such operator for this type");
}

Result<Value> ToInt(ValueType from, const Value& value) {
  switch (from) {
    case ValueType::kInt:
      return value;
    case ValueType::kFloat:
      return FloatToInt(AsFloat(value));
    case ValueType::kDecimal:
      return AsDecimal(value).ToInt();
    case ValueType::kBool:
      return int64_t{AsBool(value)};
    case ValueType::kString:
      return data::ParseGoInt(AsString(value));
    default:
      return BugError("no conversion to int from this type");
  }
}

Result<Value> ToFloat(ValueType from, const Value& value) {
  switch (from) {
    case ValueType::kFloat:
      return value;
    case ValueType::kInt:
    case ValueType::kDecimal:
      return ConvertScalar(ValueType::kFloat, value);
    case ValueType::kBool:
      return AsBool(value) ? 1.0 : 0.0;
    case ValueType::kString:
      return data::ParseGoFloat(AsString(value));
    default:
      return BugError("no conversion to float from this type");
  }
}

Result<Value> ToDecimal(ValueType from, const Value& value) {
  switch (from) {
    case ValueType::kDecimal:
      return value;
    case ValueType::kInt:
      return ConvertScalar(ValueType::kDecimal, value);
    case ValueType::kFloat:
      return BigDecimal::FromDouble(AsFloat(value));
    case ValueType::kBool:
      return BigDecimal::FromInt(AsBool(value) ? 1 : 0);
    case ValueType::kString:
      return BigDecimal::Parse(AsString(value));
    default:
      return BugError("no conversion to decimal2 from this type");
  }
}

std::string ToText(ValueType from, const Value& value) {
  switch (from) {
    case ValueType::kMonth:
      return std::string(MonthName(AsInt(value)));
    case ValueType::kLocation:
      return AsInstant(value).has_zone ? AsInstant(value).zone_name : "UTC";
    default:
      return data::ValueToText(value);
  }
}

/// Bytes of the first character of a non-empty text; a byte that starts no valid sequence is one.
size_t CharacterLength(std::string_view text) {
  utf8proc_int32_t code_point = 0;
  const utf8proc_ssize_t length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  return length > 0 ? static_cast<size_t>(length) : 1;
}

Result<Value> EvaluateChildrenAndCall(const Node& node, const VariableReader& variables,
                                      const Instant& now) {
  std::vector<Value> arguments;
  arguments.reserve(node.children.size());
  for (const std::unique_ptr<Node>& child : node.children) {
    CAPI_ASSIGN_OR_RETURN(Value argument, EvaluateScalar(*child, variables, now));
    arguments.push_back(std::move(argument));
  }
  Result<Value> result = CallScalar(node, arguments, now);
  if (!result.ok()) return AtOffset(result.status(), node.offset);
  return result;
}

}  // namespace

Status AtOffset(const Status& status, int64_t offset) {
  ErrorInfo info = InfoOf(status);
  if (info.expression_offset >= 0) return status;
  info.expression_offset = offset;
  return MakeError(std::move(info), status.message());
}

Status DivisionByZeroError() { return UserError("division_by_zero", "division by zero"); }

Result<int64_t> FloatToInt(double value) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (value >= -kLimit && value < kLimit) return static_cast<int64_t>(value);
  std::string text;
  data::AppendFloatText(value, &text);
  return UserError("number_out_of_range", "float does not fit int: " + text);
}

void AppendReplaced(std::string_view text, std::string_view from, std::string_view to,
                    std::string* out) {
  if (from.empty()) {
    while (!text.empty()) {
      const size_t length = CharacterLength(text);
      out->append(to);
      out->append(text.substr(0, length));
      text.remove_prefix(length);
    }
    out->append(to);
    return;
  }
  size_t found = text.find(from);
  while (found != std::string_view::npos) {
    out->append(text.substr(0, found));
    out->append(to);
    text.remove_prefix(found + from.size());
    found = text.find(from);
  }
  out->append(text);
}

Result<std::shared_ptr<const re2::RE2>> CompilePattern(std::string_view pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto compiled =
      std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
  if (!compiled->ok()) {
    return UserError("bad_regexp", "bad regular expression: " + compiled->error() + ": `" +
                                       std::string(pattern) + "`");
  }
  return compiled;
}

Result<Instant> MakeDate(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t minute,
                         int64_t second, int64_t nanosecond, const Instant& location) {
  // Every other part may be any int64: the sum is exact in 128 bits.
  const auto out_of_range = [] {
    return UserError("number_out_of_range", "time.Date is outside the years -9999 to 9999");
  };
  if (year < 10 * kMinYear || year > 10 * kMaxYear) return out_of_range();
  __int128 seconds = static_cast<__int128>(data::DaysFromCivil(year, month, 1)) + day - 1;
  seconds = seconds * kSecondsPerDay + static_cast<__int128>(hour) * 3600 +
            static_cast<__int128>(minute) * 60 + second - location.offset;
  int64_t nanos = nanosecond % kNanosPerSecond;
  seconds += nanosecond / kNanosPerSecond;
  if (nanos < 0) {
    nanos += kNanosPerSecond;
    seconds -= 1;
  }
  const int64_t first = data::DaysFromCivil(kMinYear, 1, 1) * kSecondsPerDay;
  const int64_t end = data::DaysFromCivil(kMaxYear + 1, 1, 1) * kSecondsPerDay;
  const __int128 local = seconds + location.offset;
  if (local < first || local >= end) return out_of_range();
  Instant instant = location;
  instant.seconds = static_cast<int64_t>(seconds);
  instant.nanos = static_cast<int32_t>(nanos);
  return instant;
}

Result<Instant> MakeZone(std::string_view name, int64_t offset_seconds) {
  if (offset_seconds <= -kSecondsPerDay || offset_seconds >= kSecondsPerDay) {
    return UserError("number_out_of_range",
                     "time.FixedZone takes less than a day (86400 seconds), found " +
                         std::to_string(offset_seconds));
  }
  Instant zone;
  zone.offset = static_cast<int32_t>(offset_seconds);
  zone.has_zone = true;
  zone.zone_name = std::string(name);
  return zone;
}

int64_t DiffMillis(const Instant& left, const Instant& right) {
  const __int128 nanos = (static_cast<__int128>(left.seconds) - right.seconds) * kNanosPerSecond +
                         (left.nanos - right.nanos);
  const __int128 limited =
      std::clamp(nanos, static_cast<__int128>(std::numeric_limits<int64_t>::min()),
                 static_cast<__int128>(std::numeric_limits<int64_t>::max()));
  return static_cast<int64_t>(limited) / kNanosPerMilli;
}

Result<Value> ConvertScalar(ValueType to, const Value& value) {
  if (const int64_t* number = std::get_if<int64_t>(&value)) {
    if (to == ValueType::kFloat) return static_cast<double>(*number);
    if (to == ValueType::kDecimal) return BigDecimal::FromInt(*number);
  }
  if (const BigDecimal* decimal = std::get_if<BigDecimal>(&value)) {
    if (to == ValueType::kFloat) return decimal->ToDouble();
  }
  return BugError("no such implicit conversion");
}

Result<Value> UnaryScalar(Op op, const Value& operand) {
  if (op == Op::kNot) return !AsBool(operand);
  if (const int64_t* number = std::get_if<int64_t>(&operand)) return WrapNegate(*number);
  if (const double* number = std::get_if<double>(&operand)) return -*number;
  if (const BigDecimal* number = std::get_if<BigDecimal>(&operand)) return number->Negate();
  return BugError("no minus for this type");
}

Result<Value> BinaryScalar(Op op, ValueType type, const Value& left, const Value& right,
                           bool round_to_two) {
  if (!IsComparison(op)) return Arithmetic(op, type, left, right, round_to_two);
  switch (type) {
    case ValueType::kInt: {
      const int64_t l = AsInt(left);
      const int64_t r = AsInt(right);
      return Holds(op, (l > r) - (l < r));
    }
    case ValueType::kFloat:
      return HoldsForFloats(op, AsFloat(left), AsFloat(right));
    case ValueType::kDecimal:
      return Holds(op, AsDecimal(left).Compare(AsDecimal(right)));
    case ValueType::kString:
      return Holds(op, CompareStrings(AsString(left), AsString(right)));
    case ValueType::kBool:
      return Holds(op, int{AsBool(left)} - int{AsBool(right)});
    case ValueType::kDatetime:
      return Holds(op, AsInstant(left).Compare(AsInstant(right)));
    default:
      return BugError("no comparison for this type");
  }
}

Result<Value> CallScalar(const Node& call, const std::vector<Value>& arguments,
                         const Instant& now) {
  switch (call.function) {
    case Function::kInt:
      return ToInt(call.children[0]->type, arguments[0]);
    case Function::kFloat:
      return ToFloat(call.children[0]->type, arguments[0]);
    case Function::kDecimal2:
      return ToDecimal(call.children[0]->type, arguments[0]);
    case Function::kString:
      return ToText(call.children[0]->type, arguments[0]);
    case Function::kLen:
      return static_cast<int64_t>(AsString(arguments[0]).size());
    case Function::kSqrt:
      return std::sqrt(AsFloat(arguments[0]));
    case Function::kRound:
      return std::round(AsFloat(arguments[0]));
    case Function::kReplaceAll: {
      std::string out;
      AppendReplaced(AsString(arguments[0]), AsString(arguments[1]), AsString(arguments[2]), &out);
      return out;
    }
    case Function::kMatchString: {
      CAPI_ASSIGN_OR_RETURN(std::shared_ptr<const re2::RE2> pattern,
                            CompilePattern(AsString(arguments[0])));
      const std::string& text = AsString(arguments[1]);
      return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern);
    }
    case Function::kSprintf: {
      std::string out;
      data::PrintFormat::Compile(AsString(arguments[0]))
          .Print(std::vector<Value>(arguments.begin() + 1, arguments.end()), &out);
      return out;
    }
    case Function::kTimeParse:
      return data::TimeLayout::Compile(AsString(arguments[0])).Parse(AsString(arguments[1]));
    case Function::kTimeFormat: {
      std::string out;
      data::TimeLayout::Compile(AsString(arguments[1])).Format(AsInstant(arguments[0]), &out);
      return out;
    }
    case Function::kTimeDate:
      return MakeDate(AsInt(arguments[0]), AsInt(arguments[1]), AsInt(arguments[2]),
                      AsInt(arguments[3]), AsInt(arguments[4]), AsInt(arguments[5]),
                      AsInt(arguments[6]), AsInstant(arguments[7]));
    case Function::kFixedZone:
      return MakeZone(AsString(arguments[0]), AsInt(arguments[1]));
    case Function::kTimeNow:
      return now;
    case Function::kTimeUnix:
      return AsInstant(arguments[0]).seconds;
    case Function::kTimeUnixMilli:
      return AsInstant(arguments[0]).ToMillisFloor();
    case Function::kDiffMilli:
      return DiffMillis(AsInstant(arguments[0]), AsInstant(arguments[1]));
    case Function::kTimeBefore:
      return AsInstant(arguments[0]).Compare(AsInstant(arguments[1])) < 0;
    case Function::kTimeAfter:
      return AsInstant(arguments[0]).Compare(AsInstant(arguments[1])) > 0;
  }
  return BugError("unknown function");
}

Result<Value> EvaluateScalar(const Node& node, const VariableReader& variables,
                             const Instant& now) {
  switch (node.op) {
    case Op::kConstant:
      return node.value;
    case Op::kVariable:
      return variables(node.variable);
    case Op::kConvert: {
      CAPI_ASSIGN_OR_RETURN(Value value, EvaluateScalar(*node.children[0], variables, now));
      return ConvertScalar(node.type, value);
    }
    case Op::kNegate:
    case Op::kNot: {
      CAPI_ASSIGN_OR_RETURN(Value value, EvaluateScalar(*node.children[0], variables, now));
      return UnaryScalar(node.op, value);
    }
    case Op::kAnd:
    case Op::kOr: {
      CAPI_ASSIGN_OR_RETURN(Value left, EvaluateScalar(*node.children[0], variables, now));
      if (AsBool(left) == (node.op == Op::kOr)) return left;
      return EvaluateScalar(*node.children[1], variables, now);
    }
    case Op::kIif: {
      CAPI_ASSIGN_OR_RETURN(Value condition, EvaluateScalar(*node.children[0], variables, now));
      return EvaluateScalar(*node.children[AsBool(condition) ? 1 : 2], variables, now);
    }
    case Op::kCall:
      return EvaluateChildrenAndCall(node, variables, now);
    case Op::kAggregate:
      return BugError("an aggregate has no value of one row");
    default:
      break;
  }
  CAPI_ASSIGN_OR_RETURN(Value left, EvaluateScalar(*node.children[0], variables, now));
  CAPI_ASSIGN_OR_RETURN(Value right, EvaluateScalar(*node.children[1], variables, now));
  Result<Value> result =
      BinaryScalar(node.op, node.children[0]->type, left, right, node.round_to_two);
  if (!result.ok()) return AtOffset(result.status(), node.offset);
  return result;
}

}  // namespace capi::expr
