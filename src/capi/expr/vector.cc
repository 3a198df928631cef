#include <algorithm>
#include <array>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "capi/expr/kernels_internal.h"
#include "capi/expr/vector_internal.h"

namespace capi::expr {

namespace {

/// Points a utf8 array's offsets and bytes out. `offset` is that of the array.
Vector StringsOf(const arrow::ArrayData& strings, int64_t offset) {
  Vector vector;
  vector.type = ValueType::kString;
  vector.form = Form::kOffsets;
  static constexpr int32_t kNoOffsets[1] = {0};
  vector.values = strings.buffers[1] == nullptr || strings.buffers[1]->size() == 0
                      ? kNoOffsets
                      : reinterpret_cast<const int32_t*>(strings.buffers[1]->data()) + offset;
  vector.bytes = strings.buffers[2] == nullptr
                     ? ""
                     : reinterpret_cast<const char*>(strings.buffers[2]->data());
  return vector;
}

template <typename T>
const T* GatherValues(const T* from, const int32_t* positions, int64_t n, Scratch* scratch) {
  T* to = scratch->Allocate<T>(n);
  for (int64_t i = 0; i < n; ++i) to[i] = from[positions[i]];
  return to;
}

template <typename T>
const T* GatherObjects(const T* from, const int32_t* positions, int64_t n, std::vector<T>* to) {
  for (int64_t i = 0; i < n; ++i) (*to)[i] = from[positions[i]];
  return to->data();
}

std::string_view ViewInOffsets(const Vector& vector, int64_t i) {
  const int32_t* offsets = vector.as<int32_t>();
  return {vector.bytes + offsets[i], static_cast<size_t>(offsets[i + 1] - offsets[i])};
}

}  // namespace

std::string& Scratch::NewText() {
  if (num_texts_ == texts_.size()) texts_.emplace_back();
  std::string& text = texts_[num_texts_++];
  text.clear();
  return text;
}

void Scratch::AddChunk(size_t bytes) {
  Chunk chunk;
  chunk.bytes = bytes;
  chunk.memory.reset(new char[bytes + kAlignment]);
  const auto address = reinterpret_cast<uintptr_t>(chunk.memory.get());
  next_ = chunk.memory.get() + (kAlignment - address % kAlignment) % kAlignment;
  left_ = bytes;
  chunks_.push_back(std::move(chunk));
}

void* Scratch::AllocateBytes(size_t bytes) {
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (bytes > left_ || next_ == nullptr) {
    AddChunk(std::max({bytes, first_chunk_bytes_, chunks_.empty() ? 0 : chunks_.back().bytes}));
  }
  char* memory = next_;
  next_ += bytes;
  left_ -= bytes;
  used_ += bytes;
  return memory;
}

void Scratch::Reset() {
  if (chunks_.size() > 1) {
    // One chunk of the size that was needed: later blocks find everything side by side.
    chunks_.clear();
    AddChunk(used_);
  } else if (!chunks_.empty()) {
    const auto address = reinterpret_cast<uintptr_t>(chunks_[0].memory.get());
    next_ = chunks_[0].memory.get() + (kAlignment - address % kAlignment) % kAlignment;
    left_ = chunks_[0].bytes;
  }
  used_ = 0;
  num_texts_ = 0;
  decimals_.clear();
  instants_.clear();
}

Status Inputs::SetColumn(size_t position, const arrow::Array& column) {
  const arrow::ArrayData& array = *column.data();
  const int64_t offset = array.offset;
  Column& target = columns_[position];
  Vector vector;
  const auto fixed = [&](ValueType type, Form form, int64_t width) {
    vector.type = type;
    vector.form = form;
    vector.values =
        array.buffers[1] == nullptr ? nullptr : array.buffers[1]->data() + offset * width;
  };
  switch (column.type_id()) {
    case arrow::Type::INT64:
      fixed(ValueType::kInt, Form::kInt64, sizeof(int64_t));
      break;
    case arrow::Type::DOUBLE:
      fixed(ValueType::kFloat, Form::kDouble, sizeof(double));
      break;
    case arrow::Type::BOOL:
      fixed(ValueType::kBool, Form::kBits, 0);
      vector.bit_offset = offset;
      break;
    case arrow::Type::DECIMAL64:
      fixed(ValueType::kDecimal, Form::kInt64, sizeof(int64_t));
      vector.scale = kernels::kStoredScale;
      break;
    case arrow::Type::DECIMAL128:
      fixed(ValueType::kDecimal, Form::kInt128, sizeof(int128));
      vector.scale = kernels::kStoredScale;
      break;
    case arrow::Type::TIMESTAMP:
      fixed(ValueType::kDatetime, Form::kInt64, sizeof(int64_t));
      break;
    case arrow::Type::FIXED_SIZE_BINARY:
      fixed(ValueType::kDatetime, Form::kWide, sizeof(data::WideDatetime));
      break;
    case arrow::Type::STRING:
      vector = StringsOf(array, offset);
      break;
    case arrow::Type::DICTIONARY: {
      const arrow::ArrayData& dictionary = *array.dictionary;
      fixed(ValueType::kString, Form::kCodes, sizeof(int32_t));
      dictionaries_[position] = StringsOf(dictionary, dictionary.offset);
      vector.dictionary = &dictionaries_[position];
      vector.dictionary_size = dictionary.length;
      target.dictionary_data = array.dictionary;
      if (dictionary.length == 1) {
        vector = dictionaries_[position];
        vector.constant = true;
      }
      break;
    }
    default:
      return BugError("not a column layout: " + column.type()->ToString());
  }
  target.vector = vector;
  return Status::OK();
}

Vector SelectRows(const Vector& column, const Rows& rows, Scratch* scratch) {
  if (column.constant) return column;
  if (column.form == Form::kBits) {
    uint8_t* mask = scratch->Allocate<uint8_t>(rows.n);
    const auto* bits = column.as<uint8_t>();
    if (rows.list == nullptr) {
      kernels::UnpackBits(bits, column.bit_offset + rows.begin, rows.n, mask);
    } else {
      for (int64_t i = 0; i < rows.n; ++i) {
        mask[i] = arrow::bit_util::GetBit(bits, column.bit_offset + rows.list[i]) ? 1 : 0;
      }
    }
    return MakeVector(ValueType::kBool, Form::kMask, mask);
  }
  if (rows.list != nullptr) return Gather(column, rows.list, rows.n, scratch);
  Vector slice = column;
  const auto advance = [&](size_t width) {
    slice.values = column.as<char>() + rows.begin * static_cast<int64_t>(width);
  };
  switch (column.form) {
    case Form::kInt64:
    case Form::kDouble:
      advance(sizeof(int64_t));
      break;
    case Form::kMask:
      advance(1);
      break;
    case Form::kInt128:
    case Form::kWide:
      advance(sizeof(int128));
      if (reinterpret_cast<uintptr_t>(slice.values) % alignof(int128) != 0) {
        // Columns in files are aligned to 8 bytes only.
        auto* copy = scratch->Allocate<int128>(rows.n);
        std::memcpy(copy, slice.values, static_cast<size_t>(rows.n) * sizeof(int128));
        slice.values = copy;
      }
      break;
    case Form::kBigDecimal:
      advance(sizeof(data::BigDecimal));
      break;
    case Form::kInstant:
      advance(sizeof(data::Instant));
      break;
    case Form::kOffsets:
    case Form::kCodes:
      advance(sizeof(int32_t));
      break;
    case Form::kViews:
      advance(sizeof(std::string_view));
      break;
    case Form::kBits:
      break;
  }
  return slice;
}

Vector Gather(const Vector& vector, const int32_t* positions, int64_t n, Scratch* scratch) {
  if (vector.constant) return vector;
  Vector result = vector;
  switch (vector.form) {
    case Form::kInt64:
    case Form::kDouble:
      result.values = GatherValues(vector.as<int64_t>(), positions, n, scratch);
      break;
    case Form::kMask:
    case Form::kBits:
      result.values = GatherValues(vector.as<uint8_t>(), positions, n, scratch);
      break;
    case Form::kInt128:
    case Form::kWide: {
      auto* to = scratch->Allocate<int128>(n);
      const char* from = vector.as<char>();
      for (int64_t i = 0; i < n; ++i) {
        std::memcpy(&to[i], from + int64_t{positions[i]} * 16, sizeof(int128));
      }
      result.values = to;
      break;
    }
    case Form::kBigDecimal:
      result.values =
          GatherObjects(vector.as<data::BigDecimal>(), positions, n, &scratch->NewBigDecimals(n));
      break;
    case Form::kInstant:
      result.values =
          GatherObjects(vector.as<data::Instant>(), positions, n, &scratch->NewInstants(n));
      break;
    case Form::kOffsets: {
      auto* views = scratch->Allocate<std::string_view>(n);
      for (int64_t i = 0; i < n; ++i) views[i] = ViewInOffsets(vector, positions[i]);
      result.form = Form::kViews;
      result.values = views;
      break;
    }
    case Form::kViews:
      result.values = GatherValues(vector.as<std::string_view>(), positions, n, scratch);
      break;
    case Form::kCodes:
      result.values = GatherValues(vector.as<int32_t>(), positions, n, scratch);
      break;
  }
  return result;
}

std::string_view StringAt(const Vector& vector, int64_t row) {
  const int64_t i = vector.constant ? 0 : row;
  switch (vector.form) {
    case Form::kOffsets:
      return ViewInOffsets(vector, i);
    case Form::kCodes:
      return StringAt(*vector.dictionary, vector.as<int32_t>()[i]);
    default:
      return vector.as<std::string_view>()[i];
  }
}

data::BigDecimal DecimalAt(const Vector& vector, int64_t row) {
  const int64_t i = vector.constant ? 0 : row;
  switch (vector.form) {
    case Form::kInt64:
      return data::BigDecimal::FromInt128(vector.as<int64_t>()[i], vector.scale);
    case Form::kInt128: {
      int128 unscaled;
      std::memcpy(&unscaled, vector.as<char>() + i * static_cast<int64_t>(sizeof(int128)),
                  sizeof(unscaled));
      return data::BigDecimal::FromInt128(unscaled, vector.scale);
    }
    default:
      return vector.as<data::BigDecimal>()[i];
  }
}

data::Value ValueAt(const Vector& vector, int64_t row) {
  const int64_t i = vector.constant ? 0 : row;
  switch (vector.type) {
    case ValueType::kInt:
    case ValueType::kMonth:
      return vector.as<int64_t>()[i];
    case ValueType::kFloat:
      return vector.as<double>()[i];
    case ValueType::kBool:
      if (vector.form == Form::kBits) {
        return arrow::bit_util::GetBit(vector.as<uint8_t>(), vector.bit_offset + i);
      }
      return vector.as<uint8_t>()[i] != 0;
    case ValueType::kString:
      return std::string(StringAt(vector, row));
    case ValueType::kDecimal:
      return DecimalAt(vector, row);
    case ValueType::kDatetime:
    case ValueType::kLocation:
      return InstantAt(vector, row);
  }
  return int64_t{0};
}

Vector FromValues(ValueType type, const std::vector<data::Value>& values, Scratch* scratch) {
  const auto n = static_cast<int64_t>(values.size());
  switch (type) {
    case ValueType::kInt:
    case ValueType::kMonth: {
      auto* out = scratch->Allocate<int64_t>(n);
      for (int64_t i = 0; i < n; ++i) out[i] = std::get<int64_t>(values[i]);
      return MakeVector(type, Form::kInt64, out);
    }
    case ValueType::kFloat: {
      auto* out = scratch->Allocate<double>(n);
      for (int64_t i = 0; i < n; ++i) out[i] = std::get<double>(values[i]);
      return MakeVector(type, Form::kDouble, out);
    }
    case ValueType::kBool: {
      auto* out = scratch->Allocate<uint8_t>(n);
      for (int64_t i = 0; i < n; ++i) out[i] = std::get<bool>(values[i]) ? 1 : 0;
      return MakeVector(type, Form::kMask, out);
    }
    case ValueType::kString: {
      std::string& text = scratch->NewText();
      for (const data::Value& value : values) text += std::get<std::string>(value);
      auto* out = scratch->Allocate<std::string_view>(n);
      size_t at = 0;
      for (int64_t i = 0; i < n; ++i) {
        const size_t size = std::get<std::string>(values[i]).size();
        out[i] = std::string_view(text).substr(at, size);
        at += size;
      }
      return MakeVector(type, Form::kViews, out);
    }
    case ValueType::kDecimal: {
      std::vector<data::BigDecimal>& out = scratch->NewBigDecimals(n);
      for (int64_t i = 0; i < n; ++i) out[i] = std::get<data::BigDecimal>(values[i]);
      return kernels::CompactBigDecimals(out, scratch);
    }
    case ValueType::kDatetime:
    case ValueType::kLocation: {
      std::vector<data::Instant>& out = scratch->NewInstants(n);
      bool millis = type == ValueType::kDatetime;
      for (int64_t i = 0; i < n; ++i) {
        out[i] = std::get<data::Instant>(values[i]);
        millis = millis && kernels::IsPlainMillis(out[i]);
      }
      if (!millis) return MakeVector(type, Form::kInstant, out.data());
      auto* narrow = scratch->Allocate<int64_t>(n);
      for (int64_t i = 0; i < n; ++i) narrow[i] = out[i].ToMillisFloor();
      return MakeVector(type, Form::kInt64, narrow);
    }
  }
  return {};
}

ConstantValue::ConstantValue(ValueType type, const data::Value& value) {
  vector = FromValues(type, {value}, &scratch_);
  vector.constant = true;
  if (type == ValueType::kDecimal && vector.form == Form::kInt64 &&
      vector.scale < kernels::kStoredScale) {
    // Columns have two decimals: no rescaling beside them.
    int64_t scaled = 0;
    if (!__builtin_mul_overflow(*vector.as<int64_t>(),
                                kernels::PowerOfTen(kernels::kStoredScale - vector.scale),
                                &scaled)) {
      auto* out = scratch_.Allocate<int64_t>(1);
      *out = scaled;
      vector.values = out;
      vector.scale = kernels::kStoredScale;
    }
  }
}

}  // namespace capi::expr
