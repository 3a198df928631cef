#include <algorithm>
#include <cstring>
#include <string>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bitmap_ops.h"
#include "capi/store/segment/chunk_builder_internal.h"

namespace capi::store {

namespace {

const uint8_t* FixedValues(const arrow::Array& column, int width) {
  return column.data()->buffers[1]->data() + column.offset() * width;
}

void EncodeNumbers(const int64_t* values, int64_t n, BlockBytes* bytes, BlockDescriptor* block) {
  int64_t least = values[0];
  int64_t greatest = values[0];
  for (int64_t i = 1; i < n; ++i) {
    least = std::min(least, values[i]);
    greatest = std::max(greatest, values[i]);
  }
  const uint64_t base = static_cast<uint64_t>(least);
  block->encoding = Encoding::kNumber;
  block->width = WidthFor(static_cast<uint64_t>(greatest) - base);
  uint8_t* out = bytes->Extend(n * block->width);
  if (block->width == 8) {
    std::memcpy(out, values, static_cast<size_t>(n) * 8);
    return;
  }
  block->base = least;
  WriteNarrow(
      block->width, n, [&](int64_t i) { return static_cast<uint64_t>(values[i]) - base; }, out);
}

void EncodeFloats(const int64_t* bits, int64_t n, BlockBytes* bytes, BlockDescriptor* block) {
  block->encoding = Encoding::kNumber;
  if (std::all_of(bits, bits + n, [&](int64_t value) { return value == bits[0]; })) {
    block->base = bits[0];
    return;
  }
  block->width = 8;
  std::memcpy(bytes->Extend(n * 8), bits, static_cast<size_t>(n) * 8);
}

void EncodeWide(const uint8_t* values, int64_t n, BlockBytes* bytes, BlockDescriptor* block) {
  constexpr int kWidth = 16;
  block->encoding = Encoding::kWide;
  int64_t first[2];
  std::memcpy(first, values, sizeof(first));
  bool constant = true;
  for (int64_t i = 1; i < n && constant; ++i) {
    constant = std::memcmp(values, values + i * kWidth, kWidth) == 0;
  }
  if (constant) {
    block->base = first[0];
    block->base2 = first[1];
    return;
  }
  block->width = kWidth;
  std::memcpy(bytes->Extend(n * kWidth), values, static_cast<size_t>(n * kWidth));
}

void EncodeBits(const arrow::Array& column, BlockBytes* bytes, BlockDescriptor* block) {
  const int64_t n = column.length();
  const uint8_t* bits = column.data()->buffers[1]->data();
  block->encoding = Encoding::kBits;
  const int64_t set = arrow::internal::CountSetBits(bits, column.offset(), n);
  if (set == 0 || set == n) {
    block->base = set == n ? 1 : 0;
    return;
  }
  block->width = 1;
  const int64_t size = (n + 7) / 8;
  uint8_t* out = bytes->Extend(size);
  std::memset(out, 0, static_cast<size_t>(size));
  arrow::internal::CopyBitmap(bits, column.offset(), n, out, 0);
}

void EncodeRowIds(const std::vector<data::RowId>& rows, BlockBytes* bytes, BlockDescriptor* block) {
  const auto n = static_cast<int64_t>(rows.size());
  int64_t least_batch = INT64_MAX;
  int64_t greatest_batch = 0;
  int64_t least_ordinal = INT64_MAX;
  int64_t greatest_ordinal = 0;
  bool missing = false;
  for (const data::RowId row : rows) {
    if (row < 0) {
      missing = true;
      continue;
    }
    least_batch = std::min(least_batch, data::BatchOf(row));
    greatest_batch = std::max(greatest_batch, data::BatchOf(row));
    least_ordinal = std::min(least_ordinal, data::OrdinalOf(row));
    greatest_ordinal = std::max(greatest_ordinal, data::OrdinalOf(row));
  }
  block->encoding = Encoding::kRowIds;
  if (least_batch == INT64_MAX) {
    // No row at all: code 0 everywhere.
    block->flags = kHasMissing;
    return;
  }
  const int64_t first_code = missing ? 1 : 0;
  block->flags = missing ? kHasMissing : 0;
  block->base = least_ordinal;
  block->base2 = least_batch;
  block->width = WidthFor(static_cast<uint64_t>(greatest_ordinal - least_ordinal + first_code));
  block->width2 = WidthFor(static_cast<uint64_t>(greatest_batch - least_batch));
  WriteNarrow(
      block->width, n,
      [&](int64_t i) {
        const data::RowId row = rows[static_cast<size_t>(i)];
        return row < 0 ? 0
                       : static_cast<uint64_t>(data::OrdinalOf(row) - least_ordinal + first_code);
      },
      bytes->Extend(n * block->width));
  if (block->width2 == 0) return;
  bytes->Align();
  WriteNarrow(
      block->width2, n,
      [&](int64_t i) {
        const data::RowId row = rows[static_cast<size_t>(i)];
        return row < 0 ? 0 : static_cast<uint64_t>(data::BatchOf(row) - least_batch);
      },
      bytes->Extend(n * block->width2));
}

Status EncodeColumn(data::FieldType type, const arrow::Array& column, BlockBytes* bytes,
                    BlockDescriptor* block) {
  CAPI_ASSIGN_OR_RETURN(const data::FieldType given, data::FieldTypeOf(*column.type()));
  const arrow::Type::type layout = column.type_id();
  if (given != type || layout == arrow::Type::FIXED_SIZE_BINARY) {
    return BugError("column of type " + column.type()->ToString() + " put into a field of type " +
                    std::string(data::FieldTypeName(type)));
  }
  const int64_t n = column.length();
  switch (type) {
    case data::FieldType::kInt:
    case data::FieldType::kDatetime:
      EncodeNumbers(reinterpret_cast<const int64_t*>(FixedValues(column, 8)), n, bytes, block);
      return Status::OK();
    case data::FieldType::kDecimal2:
      if (layout == arrow::Type::DECIMAL128) {
        EncodeWide(FixedValues(column, 16), n, bytes, block);
      } else {
        EncodeNumbers(reinterpret_cast<const int64_t*>(FixedValues(column, 8)), n, bytes, block);
      }
      return Status::OK();
    case data::FieldType::kFloat:
      EncodeFloats(reinterpret_cast<const int64_t*>(FixedValues(column, 8)), n, bytes, block);
      return Status::OK();
    case data::FieldType::kBool:
      EncodeBits(column, bytes, block);
      return Status::OK();
    case data::FieldType::kString:
      return EncodeText(column, bytes, block);
  }
  return BugError("unknown field type");
}

/// Upper bound of the space of a column, so that the buffer is not moved while it grows.
int64_t PlainBytes(const arrow::Array& column) {
  const int64_t n = column.length();
  int64_t bytes = n * 8;
  if (column.type_id() == arrow::Type::DECIMAL128) bytes = n * 16;
  if (column.type_id() == arrow::Type::STRING && n > 0) {
    const auto* offsets =
        reinterpret_cast<const int32_t*>(column.data()->buffers[1]->data()) + column.offset();
    bytes = offsets[n] - offsets[0] + (n + 1) * static_cast<int64_t>(sizeof(int32_t));
  }
  return bytes + 4 * kAlignment;
}

}  // namespace

void BlockBytes::Reserve(int64_t capacity) {
  if (capacity <= capacity_) return;
  capacity_ = AlignUp(std::max(capacity, 2 * capacity_));
  auto* moved = static_cast<uint8_t*>(
      std::aligned_alloc(static_cast<size_t>(kAlignment), static_cast<size_t>(capacity_)));
  if (moved == nullptr) std::abort();  // as operator new would end the process
  if (size_ > 0) std::memcpy(moved, data_.get(), static_cast<size_t>(size_));
  data_.reset(moved);
}

uint8_t* BlockBytes::Extend(int64_t bytes) {
  if (size_ + bytes > capacity_) Reserve(std::max(size_ + bytes, kAlignment));
  uint8_t* begin = data_.get() + size_;
  size_ += bytes;
  return begin;
}

void BlockBytes::Align() {
  const int64_t gap = AlignUp(size_) - size_;
  if (gap > 0) std::memset(Extend(gap), 0, static_cast<size_t>(gap));
}

Result<EncodedChunk> EncodeChunk(const std::vector<data::FieldType>& types, int64_t rows,
                                 const std::vector<std::shared_ptr<arrow::Array>>& columns,
                                 const std::vector<std::vector<data::RowId>>& reference_rows) {
  EncodedChunk chunk;
  chunk.rows = rows;
  int64_t bound = 0;
  for (const auto& column : columns) {
    if (column != nullptr) bound += PlainBytes(*column);
  }
  bound += static_cast<int64_t>(reference_rows.size()) * (rows * 12 + 4 * kAlignment);
  chunk.bytes.Reserve(bound);

  const auto finish = [&](BlockDescriptor block) {
    block.length = chunk.bytes.size() - block.offset;
    block.checksum = Checksum(chunk.bytes.view().substr(static_cast<size_t>(block.offset)));
    chunk.bytes.Align();
    chunk.blocks.push_back(block);
  };
  for (size_t f = 0; f < columns.size(); ++f) {
    if (columns[f] == nullptr) continue;
    BlockDescriptor block;
    block.offset = chunk.bytes.size();
    CAPI_RETURN_NOT_OK(EncodeColumn(types[f], *columns[f], &chunk.bytes, &block));
    finish(block);
  }
  for (const std::vector<data::RowId>& group : reference_rows) {
    BlockDescriptor block;
    block.offset = chunk.bytes.size();
    EncodeRowIds(group, &chunk.bytes, &block);
    finish(block);
  }
  return chunk;
}

}  // namespace capi::store
