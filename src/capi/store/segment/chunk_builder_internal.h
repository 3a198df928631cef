#pragma once

// Encodes the columns of a chunk into blocks.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/types.h"
#include "capi/store/segment/format_internal.h"

namespace capi::store {

/// A growing buffer aligned like the blocks in it. Gaps and tails are zero.
class BlockBytes {
 public:
  uint8_t* data() { return data_.get(); }
  const uint8_t* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(data_.get()), static_cast<size_t>(size_)};
  }
  void Reserve(int64_t capacity);
  /// Pads with zeros to a multiple of kAlignment.
  void Align();
  /// Adds `bytes` bytes whose content the caller writes. Invalidates earlier pointers.
  uint8_t* Extend(int64_t bytes);

 private:
  struct Free {
    void operator()(uint8_t* pointer) const { std::free(pointer); }
  };
  std::unique_ptr<uint8_t, Free> data_;
  int64_t size_ = 0;
  int64_t capacity_ = 0;
};

/// A chunk ready to be written: offsets of the blocks count from the beginning of `bytes`, whose
/// size is a multiple of kAlignment.
struct EncodedChunk {
  int64_t rows = 0;
  BlockBytes bytes;
  std::vector<BlockDescriptor> blocks;
};

/// Encodes `columns` (null where a field is in a reference group), then the groups' row ids, in
/// slot order. Thread-safe.
Result<EncodedChunk> EncodeChunk(const std::vector<data::FieldType>& types, int64_t rows,
                                 const std::vector<std::shared_ptr<arrow::Array>>& columns,
                                 const std::vector<std::vector<data::RowId>>& reference_rows);

/// Adds a block for a string column in either layout (text_encoder.cc).
Status EncodeText(const arrow::Array& column, BlockBytes* bytes, BlockDescriptor* block);

/// Bytes of the smallest of the widths 0, 1, 2, 4, 8 that holds `largest`.
constexpr uint8_t WidthFor(uint64_t largest) {
  if (largest == 0) return 0;
  if (largest <= UINT8_MAX) return 1;
  if (largest <= UINT16_MAX) return 2;
  return largest <= UINT32_MAX ? 4 : 8;
}

/// Writes n numbers value(i) with `width` bytes each.
template <typename Value>
void WriteNarrow(uint8_t width, int64_t n, const Value& value, uint8_t* out) {
  switch (width) {
    case 1:
      for (int64_t i = 0; i < n; ++i) out[i] = static_cast<uint8_t>(value(i));
      break;
    case 2: {
      auto* to = reinterpret_cast<uint16_t*>(out);
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<uint16_t>(value(i));
      break;
    }
    case 4: {
      auto* to = reinterpret_cast<uint32_t*>(out);
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<uint32_t>(value(i));
      break;
    }
    case 8: {
      auto* to = reinterpret_cast<uint64_t*>(out);
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<uint64_t>(value(i));
      break;
    }
    default:
      break;
  }
}

}  // namespace capi::store
