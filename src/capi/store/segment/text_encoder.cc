#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/store/segment/chunk_builder_internal.h"

namespace capi::store {

namespace {

/// Shorter columns are looked at only for being constant.
constexpr int64_t kMinDictionaryRows = 64;
/// A dictionary is given up when more than one row in this many brings a new value ...
constexpr int64_t kRowsPerEntry = 4;
/// ... or when so few of the first rows repeat a value that this is to be expected.
constexpr int64_t kEarlyRows = 1024;

/// Of k random draws among d values about k * k / (2 * d) repeat an earlier one. Half as many again
/// are granted before giving up, because a small sample says little.
constexpr int64_t FewestEarlyRepeats(int64_t limit) {
  return kEarlyRows * kEarlyRows / (3 * limit);
}

struct TextView {
  const int32_t* offsets = nullptr;
  const char* bytes = "";

  static TextView Of(const arrow::ArrayData& data) {
    TextView view;
    view.offsets = reinterpret_cast<const int32_t*>(data.buffers[1]->data()) + data.offset;
    if (data.buffers[2] != nullptr && data.buffers[2]->data() != nullptr) {
      view.bytes = reinterpret_cast<const char*>(data.buffers[2]->data());
    }
    return view;
  }
  const char* begin(int64_t row) const { return bytes + offsets[row]; }
  int64_t length(int64_t row) const { return offsets[row + 1] - offsets[row]; }
  bool Same(int64_t left, int64_t right) const {
    const int64_t bytes_left = length(left);
    return bytes_left == length(right) &&
           std::memcmp(begin(left), begin(right), static_cast<size_t>(bytes_left)) == 0;
  }
};

/// Gives each different value of a column a number in the order of first appearance.
class DictionaryBuilder {
 public:
  /// False: too many different values.
  bool Build(const TextView& text, int64_t n) {
    const int64_t limit = std::max<int64_t>(n / kRowsPerEntry, 1);
    size_t slots = 256;
    while (slots < static_cast<size_t>(limit) * 2) slots *= 2;
    table_.assign(slots, Slot{});
    codes_.resize(static_cast<size_t>(n));
    first_rows_.clear();
    const size_t mask = slots - 1;
    int32_t code = 0;
    for (int64_t row = 0; row < n; ++row) {
      if (row == 0 || !text.Same(row, row - 1)) {
        const uint64_t hash = XXH3_64bits(text.begin(row), static_cast<size_t>(text.length(row)));
        const auto tag = static_cast<uint32_t>(hash >> 32);
        size_t slot = hash & mask;
        while (true) {
          Slot& entry = table_[slot];
          if (entry.code < 0) {
            if (static_cast<int64_t>(first_rows_.size()) >= limit) return false;
            entry = {tag, static_cast<int32_t>(first_rows_.size())};
            code = entry.code;
            first_rows_.push_back(row);
            break;
          }
          if (entry.tag == tag && text.Same(row, first_rows_[static_cast<size_t>(entry.code)])) {
            code = entry.code;
            break;
          }
          slot = (slot + 1) & mask;
        }
      }
      codes_[static_cast<size_t>(row)] = code;
      if (row + 1 == kEarlyRows &&
          kEarlyRows - static_cast<int64_t>(first_rows_.size()) < FewestEarlyRepeats(limit)) {
        return false;
      }
    }
    return true;
  }

  const std::vector<int32_t>& codes() const { return codes_; }
  /// Row of the first appearance of each value.
  const std::vector<int64_t>& first_rows() const { return first_rows_; }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t code = -1;
  };
  std::vector<Slot> table_;
  std::vector<int32_t> codes_;
  std::vector<int64_t> first_rows_;
};

/// Writes the n strings at positions row(i): offsets, unless all have one length, and bytes.
template <typename Row>
Status WriteStrings(const TextView& text, int64_t n, const Row& row, BlockBytes* bytes,
                    BlockDescriptor* block) {
  const int64_t length = text.length(row(0));
  bool fixed = true;
  int64_t total = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t size = text.length(row(i));
    fixed &= size == length;
    total += size;
  }
  if (total > std::numeric_limits<int32_t>::max()) {
    return BugError("a batch of strings is larger than 2 GiB");
  }
  block->text_bytes = total;
  if (fixed) {
    block->flags |= kFixedLength;
    block->base = length;
  } else {
    auto* offsets =
        reinterpret_cast<int32_t*>(bytes->Extend((n + 1) * static_cast<int64_t>(sizeof(int32_t))));
    int32_t position = 0;
    for (int64_t i = 0; i < n; ++i) {
      offsets[i] = position;
      position += static_cast<int32_t>(text.length(row(i)));
    }
    offsets[n] = position;
    bytes->Align();
  }
  uint8_t* out = bytes->Extend(total);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = row(i);
    const auto size = static_cast<size_t>(text.length(at));
    if (size > 0) std::memcpy(out, text.begin(at), size);
    out += size;
  }
  return Status::OK();
}

Status WriteText(const TextView& text, int64_t n, BlockBytes* bytes, BlockDescriptor* block) {
  block->encoding = Encoding::kText;
  const int64_t total = text.offsets[n] - text.offsets[0];
  const int64_t length = text.length(0);
  bool fixed = true;
  for (int64_t i = 0; i < n; ++i) fixed &= text.length(i) == length;
  block->text_bytes = total;
  if (fixed) {
    block->flags |= kFixedLength;
    block->base = length;
  } else {
    auto* offsets =
        reinterpret_cast<int32_t*>(bytes->Extend((n + 1) * static_cast<int64_t>(sizeof(int32_t))));
    const int32_t first = text.offsets[0];
    for (int64_t i = 0; i <= n; ++i) offsets[i] = text.offsets[i] - first;
    bytes->Align();
  }
  uint8_t* out = bytes->Extend(total);
  if (total > 0) std::memcpy(out, text.begin(0), static_cast<size_t>(total));
  return Status::OK();
}

/// Entries are the values text[rows[i]].
Status WriteDictionary(const TextView& text, const std::vector<int64_t>& rows, const int32_t* codes,
                       int64_t n, BlockBytes* bytes, BlockDescriptor* block) {
  const auto size = static_cast<int64_t>(rows.size());
  block->encoding = Encoding::kDictionary;
  block->dictionary_size = static_cast<uint32_t>(size);
  block->width = WidthFor(static_cast<uint64_t>(size - 1));
  WriteNarrow(
      block->width, n, [&](int64_t i) { return static_cast<uint32_t>(codes[i]); },
      bytes->Extend(n * block->width));
  bytes->Align();
  return WriteStrings(
      text, size, [&](int64_t i) { return rows[static_cast<size_t>(i)]; }, bytes, block);
}

Status EncodePlain(const TextView& text, int64_t n, BlockBytes* bytes, BlockDescriptor* block) {
  // Kept between calls: allocating the table anew costs more than filling it.
  thread_local DictionaryBuilder builder;
  if (n < kMinDictionaryRows) {
    bool constant = true;
    for (int64_t i = 1; i < n && constant; ++i) constant = text.Same(0, i);
    if (!constant) return WriteText(text, n, bytes, block);
    return WriteDictionary(text, {0}, nullptr, n, bytes, block);
  }
  if (!builder.Build(text, n)) return WriteText(text, n, bytes, block);
  return WriteDictionary(text, builder.first_rows(), builder.codes().data(), n, bytes, block);
}

/// Keeps the entries in use, in the order of first appearance.
Status EncodeCoded(const arrow::ArrayData& data, int64_t n, BlockBytes* bytes,
                   BlockDescriptor* block) {
  const auto* given = reinterpret_cast<const int32_t*>(data.buffers[1]->data()) + data.offset;
  const TextView entries = TextView::Of(*data.dictionary);
  std::vector<int32_t> renumbered(static_cast<size_t>(data.dictionary->length), -1);
  std::vector<int64_t> used;
  std::vector<int32_t> codes(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    int32_t& code = renumbered[static_cast<size_t>(given[i])];
    if (code < 0) {
      code = static_cast<int32_t>(used.size());
      used.push_back(given[i]);
    }
    codes[static_cast<size_t>(i)] = code;
  }
  const auto size = static_cast<int64_t>(used.size());
  if (size == 1 || size * 2 <= n) {
    return WriteDictionary(entries, used, codes.data(), n, bytes, block);
  }
  // Hardly any value repeats: plain is smaller and faster to read.
  block->encoding = Encoding::kText;
  return WriteStrings(
      entries, n, [&](int64_t i) { return int64_t{given[i]}; }, bytes, block);
}

}  // namespace

Status EncodeText(const arrow::Array& column, BlockBytes* bytes, BlockDescriptor* block) {
  const int64_t n = column.length();
  if (column.type_id() == arrow::Type::DICTIONARY) {
    return EncodeCoded(*column.data(), n, bytes, block);
  }
  return EncodePlain(TextView::Of(*column.data()), n, bytes, block);
}

}  // namespace capi::store
