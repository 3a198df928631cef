#pragma once

// The meaning of every operator and function over single values, written once: constant folding and
// the evaluator's row-at-a-time path use it, column kernels are tested against it.

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/datetime.h"
#include "capi/data/go_format.h"
#include "capi/expr/tree.h"

namespace re2 {
class RE2;
}

namespace capi::expr {

// ---- Nodes of the typed tree. Values hold the alternative that belongs to the ValueType: int and
// month
// ---- int64_t, decimal BigDecimal, datetime and location Instant; never NativeInt.

/// kConvert: int -> float, int -> decimal, decimal -> float.
Result<data::Value> ConvertScalar(ValueType to, const data::Value& value);
/// kNegate, kNot.
Result<data::Value> UnaryScalar(Op op, const data::Value& operand);
/// Arithmetic and comparisons; `type` is that of both operands. (kAnd and kOr are short-circuit and
/// therefore in EvaluateScalar.) Classes: division_by_zero, number_out_of_range (decimals beyond
/// the cap).
Result<data::Value> BinaryScalar(Op op, ValueType type, const data::Value& left,
                                 const data::Value& right, bool round_to_two);
/// kCall: `call` gives the function and the types of its children; its children are not evaluated
/// here. Errors carry no expression_offset.
Result<data::Value> CallScalar(const Node& call, const std::vector<data::Value>& arguments,
                               const data::Instant& now);

using VariableReader = std::function<Result<data::Value>(const Variable&)>;
/// The value of a whole tree without aggregates, lazily where the language is lazy. Errors carry
/// the offset of the failing node.
Result<data::Value> EvaluateScalar(const Node& node, const VariableReader& variables,
                                   const data::Instant& now);

/// Same status with expression_offset set where it is still unknown.
Status AtOffset(const Status& status, int64_t offset);

// ---- Parts of the above, for column kernels.

inline int64_t WrapAdd(int64_t left, int64_t right) {
  return static_cast<int64_t>(static_cast<uint64_t>(left) + static_cast<uint64_t>(right));
}
inline int64_t WrapSubtract(int64_t left, int64_t right) {
  return static_cast<int64_t>(static_cast<uint64_t>(left) - static_cast<uint64_t>(right));
}
inline int64_t WrapMultiply(int64_t left, int64_t right) {
  return static_cast<int64_t>(static_cast<uint64_t>(left) * static_cast<uint64_t>(right));
}
inline int64_t WrapNegate(int64_t value) { return WrapSubtract(0, value); }
/// Toward zero; the divisor must not be 0. MIN / -1 = MIN.
inline int64_t DivideInt(int64_t left, int64_t right) {
  return right == -1 ? WrapNegate(left) : left / right;
}
/// Sign of the left side; the divisor must not be 0. MIN % -1 = 0.
inline int64_t ModuloInt(int64_t left, int64_t right) { return right == -1 ? 0 : left % right; }

Status DivisionByZeroError();

/// Cut toward zero; NaN, infinities and values outside 64 bits: class number_out_of_range.
Result<int64_t> FloatToInt(double value);

/// `text` without all leading and trailing double quotes.
inline std::string_view TrimOuterQuotes(std::string_view text) {
  const size_t first = text.find_first_not_of('"');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of('"') - first + 1);
}
/// Bytewise, outer double quotes of both sides ignored: -1, 0, 1.
inline int CompareStrings(std::string_view left, std::string_view right) {
  const int order = TrimOuterQuotes(left).compare(TrimOuterQuotes(right));
  return (order > 0) - (order < 0);
}

/// strings.ReplaceAll: appends the result to *out. An empty `from` matches before each character
/// (UTF-8 sequence; a stray byte is one character) and at the end.
void AppendReplaced(std::string_view text, std::string_view from, std::string_view to,
                    std::string* out);

/// A compiled pattern of re.MatchString (use re2::RE2::PartialMatch). Class bad_regexp.
Result<std::shared_ptr<const re2::RE2>> CompilePattern(std::string_view pattern);

/// time.Date; parts outside their range roll over. `location` is the value of a kLocation node.
/// Class number_out_of_range outside the years -9999 to 9999.
Result<data::Instant> MakeDate(int64_t year, int64_t month, int64_t day, int64_t hour,
                               int64_t minute, int64_t second, int64_t nanosecond,
                               const data::Instant& location);
/// time.FixedZone. Class number_out_of_range for an offset of a day or more.
Result<data::Instant> MakeZone(std::string_view name, int64_t offset_seconds);
/// time.DiffMilli: left - right in milliseconds, cut toward zero, limited to +-9223372036854.
int64_t DiffMillis(const data::Instant& left, const data::Instant& right);

}  // namespace capi::expr
