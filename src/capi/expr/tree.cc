#include "capi/expr/tree.h"

namespace capi::expr {

data::FieldType ToFieldType(ValueType type) {
  switch (type) {
    case ValueType::kInt:
    case ValueType::kMonth:
      return data::FieldType::kInt;
    case ValueType::kFloat:
      return data::FieldType::kFloat;
    case ValueType::kString:
      return data::FieldType::kString;
    case ValueType::kBool:
      return data::FieldType::kBool;
    case ValueType::kDecimal:
      return data::FieldType::kDecimal2;
    case ValueType::kDatetime:
    case ValueType::kLocation:
      return data::FieldType::kDatetime;
  }
  return data::FieldType::kInt;
}

ValueType FromFieldType(data::FieldType type) {
  switch (type) {
    case data::FieldType::kInt:
      return ValueType::kInt;
    case data::FieldType::kFloat:
      return ValueType::kFloat;
    case data::FieldType::kString:
      return ValueType::kString;
    case data::FieldType::kBool:
      return ValueType::kBool;
    case data::FieldType::kDecimal2:
      return ValueType::kDecimal;
    case data::FieldType::kDatetime:
      return ValueType::kDatetime;
  }
  return ValueType::kInt;
}

std::string_view ValueTypeName(ValueType type) {
  switch (type) {
    case ValueType::kMonth:
      return "month";
    case ValueType::kLocation:
      return "location";
    default:
      return data::FieldTypeName(ToFieldType(type));
  }
}

bool IsConstant(const Node& node) { return node.op == Op::kConstant; }

}  // namespace capi::expr
