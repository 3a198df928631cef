#include "capi/data/types.h"

#include <array>

#include "arrow/type.h"

namespace capi::data {

namespace {

constexpr std::array<std::string_view, 6> kNames = {"int",  "float",    "string",
                                                    "bool", "decimal2", "datetime"};
constexpr int kWideDecimalPrecision = 38;
constexpr int kNarrowDecimalPrecision = 18;
constexpr int kDecimalScale = 2;

}  // namespace

std::string_view FieldTypeName(FieldType type) { return kNames[static_cast<size_t>(type)]; }

std::optional<FieldType> ParseFieldType(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<FieldType>(i);
  }
  return std::nullopt;
}

const std::shared_ptr<arrow::DataType>& ArrowTypeOf(FieldType type) {
  static const std::array<std::shared_ptr<arrow::DataType>, 6> kTypes = {
      arrow::int64(),
      arrow::float64(),
      arrow::utf8(),
      arrow::boolean(),
      arrow::decimal64(kNarrowDecimalPrecision, kDecimalScale),
      arrow::timestamp(arrow::TimeUnit::MILLI, "UTC")};
  return kTypes[static_cast<size_t>(type)];
}

const std::shared_ptr<arrow::DataType>& WideDecimalArrowType() {
  static const std::shared_ptr<arrow::DataType> kType =
      arrow::decimal128(kWideDecimalPrecision, kDecimalScale);
  return kType;
}

const std::shared_ptr<arrow::DataType>& WideDatetimeArrowType() {
  static const std::shared_ptr<arrow::DataType> kType =
      arrow::fixed_size_binary(sizeof(WideDatetime));
  return kType;
}

const std::shared_ptr<arrow::DataType>& DictionaryArrowType() {
  static const std::shared_ptr<arrow::DataType> kType =
      arrow::dictionary(arrow::int32(), arrow::utf8());
  return kType;
}

Result<FieldType> FieldTypeOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::INT64:
      return FieldType::kInt;
    case arrow::Type::DOUBLE:
      return FieldType::kFloat;
    case arrow::Type::STRING:
    case arrow::Type::DICTIONARY:
      return FieldType::kString;
    case arrow::Type::BOOL:
      return FieldType::kBool;
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
      return FieldType::kDecimal2;
    case arrow::Type::TIMESTAMP:
    case arrow::Type::FIXED_SIZE_BINARY:
      return FieldType::kDatetime;
    default:
      return BugError("not a column layout: " + type.ToString());
  }
}

}  // namespace capi::data
