#pragma once

// The typed tree of a checked expression: made by the checker (checker.cc), read by the evaluator.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/data/go_format.h"
#include "capi/expr/expression.h"

namespace capi::expr {

/// Types inside expressions. Month and location exist only as arguments of time.Date and string().
enum class ValueType : uint8_t {
  kInt,
  kFloat,
  kString,
  kBool,
  kDecimal,
  kDatetime,
  kMonth,
  kLocation
};

enum class Op : uint8_t {
  kConstant,  ///< value
  kVariable,  ///< variable
  kConvert,   ///< implicit: int -> float, int -> decimal, decimal -> float; one child, result in
              ///< type
  kNegate,
  kNot,
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,  ///< both children have the node's type (strings: kAdd only)
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,  ///< children of one type, result bool
  kAnd,
  kOr,         ///< the right child is evaluated only for rows that need it
  kIif,        ///< children: condition, then, else; lazily evaluated
  kCall,       ///< function
  kAggregate,  ///< root only: aggregate; children: argument (not for count), then condition if
               ///< conditional
};

enum class Function : uint8_t {
  kInt,
  kFloat,
  kDecimal2,
  kString,  ///< one child of any type allowed by spec/expressions.md 6
  kLen,
  kSqrt,
  kRound,
  kReplaceAll,
  kMatchString,
  kSprintf,
  kTimeParse,
  kTimeFormat,
  kTimeDate,
  kFixedZone,
  kTimeNow,
  kTimeUnix,
  kTimeUnixMilli,
  kDiffMilli,
  kTimeBefore,
  kTimeAfter,
};

/// A constant or row value of any ValueType. Month: int64 1..12 in value; location:
/// zone_name/offset of an Instant in value.
struct Node {
  Op op = Op::kConstant;
  ValueType type = ValueType::kInt;
  /// Decimal + - * /: round the result half away from zero to 2 decimals.
  bool round_to_two = false;
  int64_t offset = 0;                  ///< byte offset in the text, for errors of this operation
  data::Value value;                   ///< kConstant
  Variable variable;                   ///< kVariable
  Function function = Function::kInt;  ///< kCall
  AggregateKind aggregate = AggregateKind::kCount;  ///< kAggregate
  bool conditional = false;                         ///< kAggregate: an _if form
  std::string separator;                            ///< kAggregate: string_agg
  std::vector<std::unique_ptr<Node>> children;
};

/// Field type of a value type; months and locations have none (never at the root).
data::FieldType ToFieldType(ValueType type);
ValueType FromFieldType(data::FieldType type);
/// "int", "float", "string", "bool", "decimal2", "datetime", "month", "location".
std::string_view ValueTypeName(ValueType type);
/// True for a node without inputs. Compile folds every constant subtree (except time.Now) to one
/// such node, so a tree needs no further folding. int(x), float(x) ... of a value that already has
/// the type are left out; int -> float and the like always appear as kConvert.
bool IsConstant(const Node& node);

}  // namespace capi::expr
