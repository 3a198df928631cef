#pragma once

// Names and argument types of all functions and constants of the language (spec/expressions.md 6,
// 7, 8).

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "capi/expr/tree.h"

namespace capi::expr {

/// A set of value types, one bit each.
using TypeSet = uint8_t;
constexpr TypeSet SetOf(ValueType type) {
  return static_cast<TypeSet>(1u << static_cast<unsigned>(type));
}
constexpr TypeSet kNumberTypes =
    SetOf(ValueType::kInt) | SetOf(ValueType::kFloat) | SetOf(ValueType::kDecimal);
constexpr TypeSet kFieldTypes = kNumberTypes | SetOf(ValueType::kString) | SetOf(ValueType::kBool) |
                                SetOf(ValueType::kDatetime);
constexpr TypeSet kAllTypes = kFieldTypes | SetOf(ValueType::kMonth) | SetOf(ValueType::kLocation);
constexpr bool Contains(TypeSet set, ValueType type) { return (set & SetOf(type)) != 0; }
/// "int, float or decimal2".
std::string DescribeTypes(TypeSet set);

constexpr size_t kMaxParameters = 8;

struct Signature {
  std::string_view name;
  Function function = Function::kInt;
  ValueType result = ValueType::kInt;
  size_t num_parameters = 0;
  std::array<TypeSet, kMaxParameters> parameters = {};
  bool repeats_last = false;  ///< any number of further arguments like the last
  bool takes_float = false;   ///< numbers are converted to float first
};

struct AggregateSignature {
  std::string_view name;
  AggregateKind kind = AggregateKind::kCount;
  bool conditional = false;
  TypeSet argument = 0;  ///< empty: none (count)
};

const Signature* FindFunction(std::string_view name);
const AggregateSignature* FindAggregate(std::string_view name);
/// Type of `int.iif` and its like.
std::optional<ValueType> FindIif(std::string_view name);
/// time.January ... time.December and time.UTC as constant nodes; null for other names.
std::unique_ptr<Node> FindConstant(const Variable& variable);
/// English name of a month, 1 to 12.
std::string_view MonthName(int64_t month);
/// Every callable name, for suggestions.
std::span<const std::string> FunctionNames();

}  // namespace capi::expr
