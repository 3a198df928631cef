#pragma once

// Columns and expressions for tests and benchmarks of the evaluator.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "capi/data/types.h"
#include "capi/expr/evaluator.h"

namespace capi::expr::test {

using Column = std::shared_ptr<arrow::Array>;

template <typename T>
std::shared_ptr<arrow::Buffer> BufferOf(const std::vector<T>& values) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  std::shared_ptr<arrow::Buffer> buffer = arrow::AllocateBuffer(bytes).ValueOrDie();
  if (bytes > 0) std::memcpy(buffer->mutable_data(), values.data(), static_cast<size_t>(bytes));
  return buffer;
}

template <typename T>
Column FixedColumn(const std::shared_ptr<arrow::DataType>& type, const std::vector<T>& values) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, static_cast<int64_t>(values.size()),
                                                 {nullptr, BufferOf(values)}, 0));
}
inline Column Ints(const std::vector<int64_t>& values) {
  return FixedColumn(arrow::int64(), values);
}
inline Column Floats(const std::vector<double>& values) {
  return FixedColumn(arrow::float64(), values);
}
/// Hundredths.
inline Column Decimals(const std::vector<int64_t>& values) {
  return FixedColumn(data::ArrowTypeOf(data::FieldType::kDecimal2), values);
}
inline Column WideDecimals(const std::vector<__int128>& values) {
  return FixedColumn(data::WideDecimalArrowType(), values);
}
inline Column Millis(const std::vector<int64_t>& values) {
  return FixedColumn(data::ArrowTypeOf(data::FieldType::kDatetime), values);
}
inline Column WideDatetimes(const std::vector<data::WideDatetime>& values) {
  return FixedColumn(data::WideDatetimeArrowType(), values);
}
inline Column Bools(const std::vector<bool>& values) {
  std::vector<uint8_t> bits((values.size() + 7) / 8, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i]) arrow::bit_util::SetBit(bits.data(), static_cast<int64_t>(i));
  }
  return arrow::MakeArray(arrow::ArrayData::Make(
      arrow::boolean(), static_cast<int64_t>(values.size()), {nullptr, BufferOf(bits)}, 0));
}
inline Column Strings(const std::vector<std::string>& values) {
  std::vector<int32_t> offsets = {0};
  std::vector<char> bytes;
  for (const std::string& value : values) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    offsets.push_back(static_cast<int32_t>(bytes.size()));
  }
  return arrow::MakeArray(arrow::ArrayData::Make(arrow::utf8(), static_cast<int64_t>(values.size()),
                                                 {nullptr, BufferOf(offsets), BufferOf(bytes)}, 0));
}
inline Column Dictionary(const std::vector<std::string>& values,
                         const std::vector<int32_t>& codes) {
  auto column =
      arrow::ArrayData::Make(data::DictionaryArrowType(), static_cast<int64_t>(codes.size()),
                             {nullptr, BufferOf(codes)}, 0);
  column->dictionary = Strings(values)->data();
  return arrow::MakeArray(column);
}

struct NamedColumn {
  std::string name;  ///< of alias r
  Column column;
};

inline Result<std::shared_ptr<const Expression>> CompileOver(
    const std::string& text, const std::vector<NamedColumn>& columns,
    ContextKind context = ContextKind::kField) {
  Scope scope;
  scope.lookup = [&columns](const Variable& variable) -> std::optional<data::FieldType> {
    for (const NamedColumn& column : columns) {
      if (variable.alias == "r" && variable.name == column.name) {
        return data::FieldTypeOf(*column.column->type()).ValueOrDie();
      }
    }
    return std::nullopt;
  };
  return Compile(text, context, scope, std::nullopt);
}
inline std::vector<Variable> VariablesOf(const std::vector<NamedColumn>& columns) {
  std::vector<Variable> variables;
  for (const NamedColumn& column : columns) variables.push_back({"r", column.name});
  return variables;
}
inline std::vector<Column> ArraysOf(const std::vector<NamedColumn>& columns) {
  std::vector<Column> arrays;
  for (const NamedColumn& column : columns) arrays.push_back(column.column);
  return arrays;
}

}  // namespace capi::expr::test
