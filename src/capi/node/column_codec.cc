#include "capi/node/column_codec.h"

#include <cstring>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "capi/data/column.h"

namespace capi::node {

namespace {

constexpr size_t kAlignment = 8;

enum class Layout : int64_t {
  kInt,
  kFloat,
  kBool,
  kString,
  kDecimal,
  kWideDecimal,
  kDatetime,
  kWideDatetime
};

struct Header {
  Layout layout;
  int64_t num_rows;
  int64_t first_bytes;   // fixed values, bits or string offsets
  int64_t second_bytes;  // string bytes
};

Result<Layout> LayoutOf(const arrow::Array& column) {
  switch (column.type_id()) {
    case arrow::Type::INT64:
      return Layout::kInt;
    case arrow::Type::DOUBLE:
      return Layout::kFloat;
    case arrow::Type::BOOL:
      return Layout::kBool;
    case arrow::Type::STRING:
      return Layout::kString;
    case arrow::Type::DECIMAL64:
      return Layout::kDecimal;
    case arrow::Type::DECIMAL128:
      return Layout::kWideDecimal;
    case arrow::Type::TIMESTAMP:
      return Layout::kDatetime;
    case arrow::Type::FIXED_SIZE_BINARY:
      return Layout::kWideDatetime;
    default:
      return BugError("column layout that cannot be spilled: " + column.type()->ToString());
  }
}

std::shared_ptr<arrow::DataType> TypeOf(Layout layout) {
  switch (layout) {
    case Layout::kInt:
      return data::ArrowTypeOf(data::FieldType::kInt);
    case Layout::kFloat:
      return data::ArrowTypeOf(data::FieldType::kFloat);
    case Layout::kBool:
      return data::ArrowTypeOf(data::FieldType::kBool);
    case Layout::kString:
      return data::ArrowTypeOf(data::FieldType::kString);
    case Layout::kDecimal:
      return data::ArrowTypeOf(data::FieldType::kDecimal2);
    case Layout::kWideDecimal:
      return data::WideDecimalArrowType();
    case Layout::kDatetime:
      return data::ArrowTypeOf(data::FieldType::kDatetime);
    case Layout::kWideDatetime:
      return data::WideDatetimeArrowType();
  }
  return nullptr;
}

size_t Padded(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

void AppendPadded(const void* from, size_t size, std::string* bytes) {
  if (size > 0) bytes->append(static_cast<const char*>(from), size);
  bytes->append(Padded(size) - size, '\0');
}

template <typename T>
void AppendOne(const T& value, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

}  // namespace

Status AppendColumns(const Columns& columns, int64_t n, std::string* bytes) {
  for (std::shared_ptr<arrow::Array> column : columns) {
    if (column->type_id() == arrow::Type::DICTIONARY) {
      CAPI_ASSIGN_OR_RETURN(column, data::ToPlainString(column));
    }
    CAPI_ASSIGN_OR_RETURN(const Layout layout, LayoutOf(*column));
    const arrow::ArrayData& data = *column->data();
    const auto* values = data.buffers[1]->data();
    Header header{layout, n, 0, 0};
    if (layout == Layout::kString) {
      const auto* offsets = reinterpret_cast<const int32_t*>(values) + data.offset;
      header.first_bytes = (n + 1) * static_cast<int64_t>(sizeof(int32_t));
      header.second_bytes = offsets[n] - offsets[0];
      AppendOne(header, bytes);
      std::vector<int32_t> rebased(static_cast<size_t>(n) + 1);
      for (int64_t i = 0; i <= n; ++i) rebased[static_cast<size_t>(i)] = offsets[i] - offsets[0];
      AppendPadded(rebased.data(), static_cast<size_t>(header.first_bytes), bytes);
      const auto* text = header.second_bytes == 0 ? nullptr : data.buffers[2]->data() + offsets[0];
      AppendPadded(text, static_cast<size_t>(header.second_bytes), bytes);
    } else if (layout == Layout::kBool) {
      std::string bits(static_cast<size_t>(arrow::bit_util::BytesForBits(n)), '\0');
      for (int64_t i = 0; i < n; ++i) {
        if (arrow::bit_util::GetBit(values, data.offset + i)) {
          arrow::bit_util::SetBit(reinterpret_cast<uint8_t*>(bits.data()), i);
        }
      }
      header.first_bytes = static_cast<int64_t>(bits.size());
      AppendOne(header, bytes);
      AppendPadded(bits.data(), bits.size(), bytes);
    } else {
      const int64_t width =
          layout == Layout::kWideDecimal || layout == Layout::kWideDatetime ? 16 : 8;
      header.first_bytes = n * width;
      AppendOne(header, bytes);
      AppendPadded(values + data.offset * width, static_cast<size_t>(header.first_bytes), bytes);
    }
  }
  return Status::OK();
}

Result<Columns> ReadColumns(size_t num_columns, std::string_view* bytes) {
  const auto take = [&](int64_t size) {
    auto buffer =
        std::make_shared<arrow::Buffer>(reinterpret_cast<const uint8_t*>(bytes->data()), size);
    bytes->remove_prefix(Padded(static_cast<size_t>(size)));
    return buffer;
  };
  Columns columns;
  for (size_t i = 0; i < num_columns; ++i) {
    if (bytes->size() < sizeof(Header)) return BugError("spilled columns end early");
    Header header;
    std::memcpy(&header, bytes->data(), sizeof(header));
    bytes->remove_prefix(sizeof(header));
    if (bytes->size() < Padded(static_cast<size_t>(header.first_bytes)) +
                            Padded(static_cast<size_t>(header.second_bytes))) {
      return BugError("spilled columns end early");
    }
    std::vector<std::shared_ptr<arrow::Buffer>> buffers = {nullptr, take(header.first_bytes)};
    if (header.layout == Layout::kString) buffers.push_back(take(header.second_bytes));
    columns.push_back(arrow::MakeArray(
        arrow::ArrayData::Make(TypeOf(header.layout), header.num_rows, std::move(buffers), 0)));
  }
  return columns;
}

}  // namespace capi::node
