#include "capi/data/column.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"

namespace capi::data {

namespace {

using arrow::ArrayData;
using arrow::Buffer;
using arrow::MakeArray;

std::shared_ptr<arrow::Array> FromBuffers(const std::shared_ptr<arrow::DataType>& type, int64_t n,
                                          std::vector<std::shared_ptr<Buffer>> buffers) {
  return MakeArray(ArrayData::Make(type, n, std::move(buffers), 0));
}

Result<std::shared_ptr<Buffer>> Allocate(int64_t bytes) {
  CAPI_ASSIGN_OR_RETURN(auto buffer, arrow::AllocateBuffer(bytes));
  return std::shared_ptr<Buffer>(std::move(buffer));
}

/// Width of fixed-width layouts in bytes, 0 for bool, -1 for strings and dictionaries.
int FixedWidth(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::INT64:
    case arrow::Type::DOUBLE:
    case arrow::Type::DECIMAL64:
    case arrow::Type::TIMESTAMP:
      return 8;
    case arrow::Type::DECIMAL128:
    case arrow::Type::FIXED_SIZE_BINARY:
      return 16;
    case arrow::Type::BOOL:
      return 0;
    default:
      return -1;
  }
}

const uint8_t* FixedValues(const arrow::Array& column, int width) {
  return column.data()->buffers[1]->data() + column.offset() * width;
}

template <typename T>
void TakeFixed(const uint8_t* from, const int32_t* rows, int64_t n, uint8_t* to) {
  const T* source = reinterpret_cast<const T*>(from);
  T* target = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) target[i] = source[rows[i]];
}

struct Sixteen {
  uint64_t low;
  uint64_t high;
};

Status TooManyStringBytes() { return BugError("a batch of strings is larger than 2 GiB"); }

/// Builds a utf8 array of n strings given by view(i).
template <typename View>
Result<std::shared_ptr<arrow::Array>> BuildStrings(int64_t n, const View& view) {
  CAPI_ASSIGN_OR_RETURN(auto offsets, Allocate((n + 1) * static_cast<int64_t>(sizeof(int32_t))));
  auto* ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t total = 0;
  ends[0] = 0;
  for (int64_t i = 0; i < n; ++i) {
    total += static_cast<int64_t>(view(i).size());
    if (total > std::numeric_limits<int32_t>::max()) return TooManyStringBytes();
    ends[i + 1] = static_cast<int32_t>(total);
  }
  CAPI_ASSIGN_OR_RETURN(auto bytes, Allocate(total));
  char* out = reinterpret_cast<char*>(bytes->mutable_data());
  for (int64_t i = 0; i < n; ++i) {
    const std::string_view text = view(i);
    if (!text.empty()) std::memcpy(out + ends[i], text.data(), text.size());
  }
  return FromBuffers(arrow::utf8(), n, {nullptr, offsets, bytes});
}

Result<std::shared_ptr<arrow::Array>> Repeat(const std::shared_ptr<arrow::DataType>& type,
                                             const void* value, int width, int64_t n) {
  CAPI_ASSIGN_OR_RETURN(auto buffer, Allocate(n * width));
  uint8_t* out = buffer->mutable_data();
  for (int64_t i = 0; i < n; ++i) std::memcpy(out + i * width, value, width);
  return FromBuffers(type, n, {nullptr, buffer});
}

int128 DecimalAt(const arrow::Array& column, int64_t row) {
  if (column.type_id() == arrow::Type::DECIMAL64) {
    int64_t value;
    std::memcpy(&value, FixedValues(column, 8) + row * 8, sizeof(value));
    return value;
  }
  int128 value;
  std::memcpy(&value, FixedValues(column, 16) + row * 16, sizeof(value));
  return value;
}

Result<std::shared_ptr<arrow::Array>> NarrowDecimals(const std::shared_ptr<arrow::Array>& column) {
  const int64_t n = column->length();
  const uint8_t* from = FixedValues(*column, 16);
  for (int64_t i = 0; i < n; ++i) {
    int128 value;
    std::memcpy(&value, from + i * 16, sizeof(value));
    if (value > kMaxNarrowDecimal || value < -kMaxNarrowDecimal) return column;
  }
  CAPI_ASSIGN_OR_RETURN(auto buffer, Allocate(n * 8));
  auto* out = reinterpret_cast<int64_t*>(buffer->mutable_data());
  for (int64_t i = 0; i < n; ++i) std::memcpy(&out[i], from + i * 16, sizeof(int64_t));
  return FromBuffers(ArrowTypeOf(FieldType::kDecimal2), n, {nullptr, buffer});
}

Result<std::shared_ptr<arrow::Array>> WidenDecimals(const std::shared_ptr<arrow::Array>& column) {
  if (column->type_id() == arrow::Type::DECIMAL128) return column;
  const int64_t n = column->length();
  CAPI_ASSIGN_OR_RETURN(auto buffer, Allocate(n * 16));
  for (int64_t i = 0; i < n; ++i) {
    const int128 value = DecimalAt(*column, i);
    std::memcpy(buffer->mutable_data() + i * 16, &value, sizeof(value));
  }
  return FromBuffers(WideDecimalArrowType(), n, {nullptr, buffer});
}

Result<std::shared_ptr<arrow::Array>> WidenDatetimes(const std::shared_ptr<arrow::Array>& column) {
  if (column->type_id() == arrow::Type::FIXED_SIZE_BINARY) return column;
  const int64_t n = column->length();
  const auto* millis = reinterpret_cast<const int64_t*>(FixedValues(*column, 8));
  CAPI_ASSIGN_OR_RETURN(auto buffer, Allocate(n * 16));
  for (int64_t i = 0; i < n; ++i) {
    const WideDatetime wide = Instant::FromMillis(millis[i]).ToWide();
    std::memcpy(buffer->mutable_data() + i * 16, &wide, sizeof(wide));
  }
  return FromBuffers(WideDatetimeArrowType(), n, {nullptr, buffer});
}

}  // namespace

Result<StringReader> StringReader::Make(const arrow::Array& column) {
  StringReader reader;
  const ArrayData* strings = column.data().get();
  int64_t offset = column.offset();
  if (column.type_id() == arrow::Type::DICTIONARY) {
    reader.codes_ = reinterpret_cast<const int32_t*>(strings->buffers[1]->data()) + offset;
    strings = strings->dictionary.get();
    offset = strings->offset;
  } else if (column.type_id() != arrow::Type::STRING) {
    return BugError("not a string column: " + column.type()->ToString());
  }
  reader.offsets_ = reinterpret_cast<const int32_t*>(strings->buffers[1]->data()) + offset;
  reader.data_ = strings->buffers[2] == nullptr
                     ? ""
                     : reinterpret_cast<const char*>(strings->buffers[2]->data());
  return reader;
}

Result<Value> CellValue(const arrow::Array& column, int64_t row) {
  switch (column.type_id()) {
    case arrow::Type::INT64:
      return Value(reinterpret_cast<const int64_t*>(FixedValues(column, 8))[row]);
    case arrow::Type::DOUBLE:
      return Value(reinterpret_cast<const double*>(FixedValues(column, 8))[row]);
    case arrow::Type::BOOL:
      return Value(
          arrow::bit_util::GetBit(column.data()->buffers[1]->data(), column.offset() + row));
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
      return Value(BigDecimal::FromInt128(DecimalAt(column, row), 2));
    case arrow::Type::TIMESTAMP:
      return Value(
          Instant::FromMillis(reinterpret_cast<const int64_t*>(FixedValues(column, 8))[row]));
    case arrow::Type::FIXED_SIZE_BINARY: {
      WideDatetime wide;
      std::memcpy(&wide, FixedValues(column, 16) + row * 16, sizeof(wide));
      return Value(Instant::FromWide(wide));
    }
    default: {
      CAPI_ASSIGN_OR_RETURN(StringReader strings, StringReader::Make(column));
      return Value(std::string(strings[row]));
    }
  }
}

Result<std::shared_ptr<arrow::Array>> ConstantColumn(FieldType type, const Value& value,
                                                     int64_t n) {
  switch (type) {
    case FieldType::kInt:
      if (const auto* v = std::get_if<int64_t>(&value)) return Repeat(arrow::int64(), v, 8, n);
      break;
    case FieldType::kFloat:
      if (const auto* v = std::get_if<double>(&value)) return Repeat(arrow::float64(), v, 8, n);
      break;
    case FieldType::kBool:
      if (const auto* v = std::get_if<bool>(&value)) {
        CAPI_ASSIGN_OR_RETURN(auto bits, Allocate(arrow::bit_util::BytesForBits(n)));
        std::memset(bits->mutable_data(), *v ? 0xFF : 0, bits->size());
        return FromBuffers(arrow::boolean(), n, {nullptr, bits});
      }
      break;
    case FieldType::kString:
      if (const auto* v = std::get_if<std::string>(&value)) {
        CAPI_ASSIGN_OR_RETURN(auto dictionary,
                              BuildStrings(1, [&](int64_t) { return std::string_view(*v); }));
        CAPI_ASSIGN_OR_RETURN(auto codes, Allocate(n * 4));
        std::memset(codes->mutable_data(), 0, codes->size());
        auto data = ArrayData::Make(DictionaryArrowType(), n, {nullptr, codes}, 0);
        data->dictionary = dictionary->data();
        return MakeArray(data);
      }
      break;
    case FieldType::kDecimal2:
      if (const auto* v = std::get_if<BigDecimal>(&value)) {
        int128 hundredths = 0;
        if (!v->ToInt128(2, &hundredths) || !FitsStoredDecimal(hundredths)) {
          return UserError("number_out_of_range",
                           "decimal2 value has more than 38 digits: " + v->ToString());
        }
        if (hundredths <= kMaxNarrowDecimal && hundredths >= -kMaxNarrowDecimal) {
          const auto narrow = static_cast<int64_t>(hundredths);
          return Repeat(ArrowTypeOf(type), &narrow, 8, n);
        }
        return Repeat(WideDecimalArrowType(), &hundredths, 16, n);
      }
      break;
    case FieldType::kDatetime:
      if (const auto* v = std::get_if<Instant>(&value)) {
        if (!v->has_zone && v->nanos % 1000000 == 0) {
          const int64_t millis = v->ToMillisFloor();
          return Repeat(ArrowTypeOf(type), &millis, 8, n);
        }
        const WideDatetime wide = v->ToWide();
        return Repeat(WideDatetimeArrowType(), &wide, 16, n);
      }
      break;
  }
  return BugError("constant of another type than " + std::string(FieldTypeName(type)));
}

Result<std::shared_ptr<arrow::Array>> Take(const std::shared_ptr<arrow::Array>& column,
                                           const int32_t* rows, int64_t n) {
  const int width = FixedWidth(*column->type());
  if (width > 0) {
    CAPI_ASSIGN_OR_RETURN(auto buffer, Allocate(n * width));
    const uint8_t* from = FixedValues(*column, width);
    if (width == 8) {
      TakeFixed<uint64_t>(from, rows, n, buffer->mutable_data());
    } else {
      TakeFixed<Sixteen>(from, rows, n, buffer->mutable_data());
    }
    return FromBuffers(column->type(), n, {nullptr, buffer});
  }
  if (width == 0) {
    CAPI_ASSIGN_OR_RETURN(auto bits, Allocate(arrow::bit_util::BytesForBits(n)));
    const uint8_t* from = column->data()->buffers[1]->data();
    const int64_t offset = column->offset();
    std::memset(bits->mutable_data(), 0, bits->size());
    for (int64_t i = 0; i < n; ++i) {
      if (arrow::bit_util::GetBit(from, offset + rows[i])) {
        arrow::bit_util::SetBit(bits->mutable_data(), i);
      }
    }
    return FromBuffers(column->type(), n, {nullptr, bits});
  }
  if (column->type_id() == arrow::Type::DICTIONARY) {
    CAPI_ASSIGN_OR_RETURN(auto codes, Allocate(n * 4));
    TakeFixed<int32_t>(FixedValues(*column, 4), rows, n, codes->mutable_data());
    auto data = ArrayData::Make(column->type(), n, {nullptr, codes}, 0);
    data->dictionary = column->data()->dictionary;
    return MakeArray(data);
  }
  CAPI_ASSIGN_OR_RETURN(StringReader strings, StringReader::Make(*column));
  return BuildStrings(n, [&](int64_t i) { return strings[rows[i]]; });
}

Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(
    const std::shared_ptr<arrow::RecordBatch>& batch, const int32_t* rows, int64_t n) {
  std::vector<std::shared_ptr<arrow::Array>> columns;
  columns.reserve(batch->num_columns());
  for (int i = 0; i < batch->num_columns(); ++i) {
    CAPI_ASSIGN_OR_RETURN(auto column, Take(batch->column(i), rows, n));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(batch->schema(), n, std::move(columns));
}

Result<std::shared_ptr<arrow::Array>> ToPlainString(const std::shared_ptr<arrow::Array>& column) {
  if (column->type_id() == arrow::Type::STRING) return column;
  CAPI_ASSIGN_OR_RETURN(StringReader strings, StringReader::Make(*column));
  return BuildStrings(column->length(), [&](int64_t i) { return strings[i]; });
}

Result<std::shared_ptr<arrow::Array>> Concatenate(
    const std::vector<std::shared_ptr<arrow::Array>>& pieces) {
  if (pieces.empty()) return BugError("nothing to concatenate");
  if (pieces.size() == 1) return pieces[0];
  std::vector<std::shared_ptr<arrow::Array>> unified = pieces;
  const bool same = std::all_of(pieces.begin(), pieces.end(), [&](const auto& piece) {
    return piece->type_id() == pieces[0]->type_id() &&
           (piece->type_id() != arrow::Type::DICTIONARY ||
            piece->data()->dictionary == pieces[0]->data()->dictionary);
  });
  if (!same) {
    CAPI_ASSIGN_OR_RETURN(const FieldType type, FieldTypeOf(*pieces[0]->type()));
    for (auto& piece : unified) {
      if (type == FieldType::kString) {
        CAPI_ASSIGN_OR_RETURN(piece, ToPlainString(piece));
      } else if (type == FieldType::kDecimal2) {
        CAPI_ASSIGN_OR_RETURN(piece, WidenDecimals(piece));
      } else if (type == FieldType::kDatetime) {
        CAPI_ASSIGN_OR_RETURN(piece, WidenDatetimes(piece));
      }
    }
  }
  int64_t n = 0;
  for (const auto& piece : unified) n += piece->length();
  const auto& type = unified[0]->type();
  const int width = type->id() == arrow::Type::DICTIONARY ? 4 : FixedWidth(*type);
  if (width > 0) {
    CAPI_ASSIGN_OR_RETURN(auto buffer, Allocate(n * width));
    uint8_t* out = buffer->mutable_data();
    for (const auto& piece : unified) {
      const int64_t bytes = piece->length() * width;
      if (bytes > 0) std::memcpy(out, FixedValues(*piece, width), bytes);
      out += bytes;
    }
    auto data = ArrayData::Make(type, n, {nullptr, buffer}, 0);
    if (type->id() == arrow::Type::DICTIONARY) data->dictionary = unified[0]->data()->dictionary;
    return MakeArray(data);
  }
  if (width == 0) {
    CAPI_ASSIGN_OR_RETURN(auto bits, Allocate(arrow::bit_util::BytesForBits(n)));
    std::memset(bits->mutable_data(), 0, bits->size());
    int64_t at = 0;
    for (const auto& piece : unified) {
      const uint8_t* from = piece->data()->buffers[1]->data();
      for (int64_t i = 0; i < piece->length(); ++i, ++at) {
        if (arrow::bit_util::GetBit(from, piece->offset() + i)) {
          arrow::bit_util::SetBit(bits->mutable_data(), at);
        }
      }
    }
    return FromBuffers(type, n, {nullptr, bits});
  }
  CAPI_ASSIGN_OR_RETURN(auto offsets, Allocate((n + 1) * 4));
  auto* ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t total = 0;
  int64_t row = 0;
  ends[0] = 0;
  for (const auto& piece : unified) {
    const auto* from =
        reinterpret_cast<const int32_t*>(piece->data()->buffers[1]->data()) + piece->offset();
    for (int64_t i = 0; i < piece->length(); ++i) {
      total += from[i + 1] - from[i];
      if (total > std::numeric_limits<int32_t>::max()) return TooManyStringBytes();
      ends[++row] = static_cast<int32_t>(total);
    }
  }
  CAPI_ASSIGN_OR_RETURN(auto bytes, Allocate(total));
  uint8_t* out = bytes->mutable_data();
  for (const auto& piece : unified) {
    const auto* from =
        reinterpret_cast<const int32_t*>(piece->data()->buffers[1]->data()) + piece->offset();
    const int64_t length = from[piece->length()] - from[0];
    if (length > 0) std::memcpy(out, piece->data()->buffers[2]->data() + from[0], length);
    out += length;
  }
  return FromBuffers(arrow::utf8(), n, {nullptr, offsets, bytes});
}

Result<std::shared_ptr<arrow::Array>> ToStored(const std::shared_ptr<arrow::Array>& column) {
  if (column->type_id() == arrow::Type::DECIMAL128) return NarrowDecimals(column);
  if (column->type_id() != arrow::Type::FIXED_SIZE_BINARY) return column;
  const int64_t n = column->length();
  const uint8_t* from = FixedValues(*column, 16);
  CAPI_ASSIGN_OR_RETURN(auto buffer, Allocate(n * 8));
  auto* out = reinterpret_cast<int64_t*>(buffer->mutable_data());
  for (int64_t i = 0; i < n; ++i) {
    WideDatetime wide;
    std::memcpy(&wide, from + i * 16, sizeof(wide));
    out[i] = Instant::FromWide(wide).ToMillisFloor();
  }
  return FromBuffers(ArrowTypeOf(FieldType::kDatetime), n, {nullptr, buffer});
}

std::shared_ptr<arrow::RecordBatch> MakeBatch(const std::vector<Field>& fields,
                                              std::vector<std::shared_ptr<arrow::Array>> columns,
                                              int64_t num_rows) {
  arrow::FieldVector arrow_fields;
  arrow_fields.reserve(fields.size());
  for (size_t i = 0; i < fields.size(); ++i) {
    arrow_fields.push_back(arrow::field(fields[i].name, columns[i]->type(), /*nullable=*/false));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(arrow_fields)), num_rows,
                                  std::move(columns));
}

}  // namespace capi::data
