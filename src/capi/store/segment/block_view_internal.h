#pragma once

// Reading encoded blocks in place.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "arrow/type_fwd.h"
#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"
#include "capi/store/segment/format_internal.h"

namespace capi::store {

/// The eight bytes at any address; behind every block there is at least a directory, so that
/// reading beyond a narrow last value is harmless.
inline uint64_t LoadWord(const uint8_t* from) {
  uint64_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

/// A block seen through pointers. Does not own them.
struct BlockView {
  Encoding encoding = Encoding::kNumber;
  uint8_t width = 0;
  uint8_t width2 = 0;
  bool has_missing = false;
  uint32_t entries = 0;           ///< of the dictionary
  int32_t text_length = 0;        ///< of every string, when there are no offsets
  const uint8_t* data = nullptr;  ///< numbers, codes, bits or ordinals; always readable
  const uint8_t* batches = nullptr;
  const int32_t* offsets = nullptr;
  const char* bytes = nullptr;
  uint64_t mask = 0;  ///< of the lowest `width` bytes
  uint64_t mask2 = 0;
  int64_t base = 0;
  int64_t base2 = 0;

  int64_t Number(int64_t row) const {
    return static_cast<int64_t>(Raw(row) + static_cast<uint64_t>(base));
  }
  uint64_t Raw(int64_t row) const { return LoadWord(data + row * width) & mask; }
  bool Bit(int64_t row) const {
    return width == 0 ? base != 0 : ((data[row >> 3] >> (row & 7)) & 1) != 0;
  }
  std::string_view Text(int64_t row) const {
    return Entry(encoding == Encoding::kDictionary ? static_cast<int64_t>(Raw(row)) : row);
  }
  /// The i-th string of a text, or of a dictionary.
  std::string_view Entry(int64_t i) const {
    if (offsets == nullptr) {
      return {bytes + i * text_length, static_cast<size_t>(text_length)};
    }
    return {bytes + offsets[i], static_cast<size_t>(offsets[i + 1] - offsets[i])};
  }
  /// What Text(row) will read first.
  void PrefetchText(int64_t row) const {
    if (encoding == Encoding::kDictionary) {
      __builtin_prefetch(data + row * width);
    } else if (offsets != nullptr) {
      __builtin_prefetch(offsets + row);
    } else {
      __builtin_prefetch(bytes + row * text_length);
    }
  }
  data::RowId Row(int64_t row) const {
    const auto code = static_cast<int64_t>(Raw(row));
    if (has_missing && code == 0) return data::kNoRow;
    const auto batch = static_cast<int64_t>(LoadWord(batches + row * width2) & mask2);
    return data::MakeRowId(batch + base2, code + base - (has_missing ? 1 : 0));
  }
};

/// Builds the view of a block of `rows` rows of a field of type `type` (row ids: is_reference)
/// whose bytes are `bytes`. False: the descriptor does not fit its bytes or the type. Touches no
/// bytes.
bool MakeBlockView(const BlockDescriptor& block, data::FieldType type, bool is_reference,
                   int64_t rows, const uint8_t* bytes, BlockView* view);

/// The view of a constant column of `value`; strings are kept in *text.
Result<BlockView> ConstantView(data::FieldType type, const data::Value& value, std::string* text);

/// Rows [begin, end) as a column; plain blocks are not copied and keep `file` alive.
Result<std::shared_ptr<arrow::Array>> DecodeRange(const BlockView& view, data::FieldType type,
                                                  int64_t begin, int64_t end,
                                                  const std::shared_ptr<MappedFile>& file);

}  // namespace capi::store
