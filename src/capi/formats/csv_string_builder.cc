#include <array>
#include <cstring>

#include "arrow/array/array_dict.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/type.h"
#include "capi/data/types.h"
#include "capi/formats/csv_string_builder_internal.h"
#include "capi/formats/value_buffer_internal.h"

namespace capi::formats::internal {

namespace {

/// A batch starts as a dictionary when at most 1 in kRepetition of its first kSampleRows is new.
constexpr int64_t kSampleRows = 256;
constexpr int64_t kRepetition = 8;
/// A dictionary that would grow beyond this becomes plain text.
constexpr int64_t kMaxDictionary = 2048;
/// Longer values are not worth comparing.
constexpr int64_t kMaxDictionaryValue = 255;

uint64_t Mix(uint64_t value) {
  value *= 0x9E3779B97F4A7C15ULL;
  return value ^ (value >> 32);
}

/// Good enough for a table of few values; equal text gives equal results.
uint32_t HashText(const char* text, size_t length) {
  uint64_t first = 0;
  uint64_t last = 0;
  if (length >= 8) {
    std::memcpy(&first, text, 8);
    std::memcpy(&last, text + length - 8, 8);
    if (length > 16) {
      uint64_t middle = 0;
      std::memcpy(&middle, text + length / 2 - 4, 8);
      first ^= Mix(middle);
    }
  } else if (length >= 4) {
    uint32_t low = 0;
    uint32_t high = 0;
    std::memcpy(&low, text, 4);
    std::memcpy(&high, text + length - 4, 4);
    first = low;
    last = high;
  } else if (length > 0) {
    first = static_cast<unsigned char>(text[0]);
    last = static_cast<uint64_t>(static_cast<unsigned char>(text[length / 2])) << 8 |
           static_cast<unsigned char>(text[length - 1]);
  }
  return static_cast<uint32_t>(Mix(Mix(first + length) + last) >> 8);
}

/// Distinct short texts in order of first appearance.
class TextTable {
 public:
  TextTable() { slots_.fill(-1); }

  /// Code of the text, or -1 when it would be one too many.
  int32_t FindOrAdd(std::string_view text) {
    uint32_t slot = HashText(text.data(), text.size()) % kNumSlots;
    while (slots_[slot] >= 0) {
      const auto code = static_cast<size_t>(slots_[slot]);
      const auto begin = static_cast<size_t>(offsets_[code]);
      const size_t length = static_cast<size_t>(offsets_[code + 1]) - begin;
      if (length == text.size() && std::memcmp(bytes_.data() + begin, text.data(), length) == 0) {
        return slots_[slot];
      }
      slot = (slot + 1) % kNumSlots;
    }
    if (size() == kMaxDictionary) {
      return -1;
    }
    slots_[slot] = static_cast<int32_t>(size());
    bytes_.append(text);
    offsets_.push_back(static_cast<int32_t>(bytes_.size()));
    return slots_[slot];
  }

  int64_t size() const { return static_cast<int64_t>(offsets_.size()) - 1; }
  const std::vector<int32_t>& offsets() const { return offsets_; }
  const std::string& bytes() const { return bytes_; }
  std::string_view operator[](int32_t code) const {
    const auto begin = static_cast<size_t>(offsets_[static_cast<size_t>(code)]);
    const auto end = static_cast<size_t>(offsets_[static_cast<size_t>(code) + 1]);
    return std::string_view(bytes_).substr(begin, end - begin);
  }
  void Clear() {
    slots_.fill(-1);
    offsets_.assign(1, 0);
    bytes_.clear();
  }

 private:
  static constexpr uint32_t kNumSlots = 4 * kMaxDictionary;
  std::array<int32_t, kNumSlots> slots_;
  std::vector<int32_t> offsets_ = {0};
  std::string bytes_;
};

template <typename T>
Result<std::shared_ptr<arrow::Buffer>> CopyToBuffer(const T* values, size_t n) {
  ValueBuffer<T> buffer;
  CAPI_RETURN_NOT_OK(buffer.Reserve(static_cast<int64_t>(std::max<size_t>(n, 1))));
  std::copy(values, values + n, buffer.data());
  return buffer.Finish(static_cast<int64_t>(n));
}

class StringBuilder final : public CsvColumnBuilder {
 public:
  explicit StringBuilder(const CsvConversion* conversion)
      : conversion_(*conversion),
        // Cells are taken as they are; otherwise each goes by the rules.
        as_is_(conversion_.column().format.empty() && !conversion_.has_null_values() &&
               conversion_.column().default_text.empty()) {}

  Status Begin(int64_t expected_rows) override {
    mode_ = Mode::kUndecided;
    table_.Clear();
    expected_rows_ = expected_rows;
    bytes_.Clear();
    offsets_.Clear();
    codes_.Clear();
    return Status::OK();
  }

  int64_t Append(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) override {
    *error = Status::OK();
    if (mode_ == Mode::kUndecided) {
      *error = Decide(chunk, cells, n);
    }
    int64_t row = 0;
    if (error->ok() && mode_ == Mode::kDictionary) {
      row = AppendCodes(chunk, cells, n, error);
    }
    // Also the rest of a chunk whose dictionary has grown too large.
    if (error->ok() && mode_ == Mode::kPlain && row < n) {
      row += as_is_ ? AppendAsIs(chunk, cells + row, n - row, error)
                    : AppendByRules(chunk, cells + row, n - row, error);
    }
    return row;
  }

  Result<std::shared_ptr<arrow::Array>> Finish(int64_t num_rows) override {
    if (mode_ == Mode::kDictionary) {
      return FinishDictionary(num_rows);
    }
    CAPI_RETURN_NOT_OK(StartPlain(0));
    const int64_t num_bytes = offsets_.data()[num_rows];
    CAPI_ASSIGN_OR_RETURN(auto offsets, offsets_.Finish(num_rows + 1));
    CAPI_ASSIGN_OR_RETURN(auto bytes, bytes_.Finish(num_bytes));
    return arrow::MakeArray(arrow::ArrayData::Make(data::ArrowTypeOf(data::FieldType::kString),
                                                   num_rows, {nullptr, offsets, bytes}, 0));
  }

  int64_t text_bytes() const override { return bytes_.size(); }

 private:
  enum class Mode : uint8_t { kUndecided, kPlain, kDictionary };

  /// Looks at the first rows of the batch.
  Status Decide(const CellChunk& chunk, const CellRef* cells, int64_t n) {
    mode_ = Mode::kPlain;
    if (n >= kSampleRows) {
      int64_t row = 0;
      while (row < kSampleRows && table_.size() <= kSampleRows / kRepetition &&
             cells[row].length() <= kMaxDictionaryValue) {
        table_.FindOrAdd(chunk.text(cells[row]));
        ++row;
      }
      if (row == kSampleRows && table_.size() <= kSampleRows / kRepetition) {
        mode_ = Mode::kDictionary;
      }
      table_.Clear();
    }
    return mode_ == Mode::kDictionary ? codes_.Reserve(expected_rows_) : StartPlain(expected_rows_);
  }

  Status StartPlain(int64_t expected_rows) {
    if (offsets_.size() > 0) {
      return Status::OK();
    }
    CAPI_RETURN_NOT_OK(offsets_.Reserve(expected_rows + 1));
    offsets_.data()[0] = 0;
    offsets_.Advance(1);
    return Status::OK();
  }

  /// Stops at a cell that does not go into a dictionary; the batch is plain then.
  int64_t AppendCodes(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) {
    *error = codes_.Reserve(n);
    if (!error->ok()) {
      return 0;
    }
    int32_t* const out = codes_.end();
    int64_t row = 0;
    bool fits = true;
    for (; row < n; ++row) {
      std::string_view value = chunk.text(cells[row]);
      if (!as_is_) {
        Result<std::string_view> converted = conversion_.ToString(value);
        if (!converted.ok()) {
          *error = converted.status();
          break;
        }
        value = *converted;
      }
      out[row] = value.size() <= kMaxDictionaryValue ? table_.FindOrAdd(value) : -1;
      if (out[row] < 0) {
        fits = false;
        break;
      }
    }
    codes_.Advance(row);
    if (!fits) {
      *error = CodesToPlain();
    }
    return row;
  }

  Status CodesToPlain() {
    mode_ = Mode::kPlain;
    CAPI_RETURN_NOT_OK(StartPlain(std::max(expected_rows_, codes_.size())));
    for (int64_t row = 0; row < codes_.size(); ++row) {
      const std::string_view value = table_[codes_.data()[row]];
      CAPI_RETURN_NOT_OK(bytes_.Reserve(static_cast<int64_t>(value.size())));
      CAPI_RETURN_NOT_OK(AppendValue(value));
    }
    codes_.Clear();
    return Status::OK();
  }

  /// Requires room in bytes_.
  Status AppendValue(std::string_view value) {
    std::memcpy(bytes_.end(), value.data(), value.size());
    bytes_.Advance(static_cast<int64_t>(value.size()));
    CAPI_RETURN_NOT_OK(offsets_.Reserve(1));
    *offsets_.end() = static_cast<int32_t>(bytes_.size());
    offsets_.Advance(1);
    return Status::OK();
  }

  int64_t AppendByRules(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) {
    for (int64_t row = 0; row < n; ++row) {
      Result<std::string_view> value = conversion_.ToString(chunk.text(cells[row]));
      if (!value.ok()) {
        *error = value.status();
        return row;
      }
      *error = bytes_.Reserve(static_cast<int64_t>(value->size()) + 1);
      if (error->ok()) {
        *error = AppendValue(*value);
      }
      if (!error->ok()) {
        return row;
      }
    }
    return n;
  }

  int64_t AppendAsIs(const CellChunk& chunk, const CellRef* cells, int64_t n, Status* error) {
    int64_t total = 0;
    for (int64_t row = 0; row < n; ++row) {
      total += cells[row].length();
    }
    *error = ReserveBytes(total, n);
    if (error->ok()) {
      *error = offsets_.Reserve(n);
    }
    if (!error->ok()) {
      return 0;
    }
    char* to = bytes_.end();
    auto offset = static_cast<int32_t>(bytes_.size());
    int32_t* const offsets = offsets_.end();
    // Short cells are copied as whole words beyond their ends; the next cell overwrites the rest.
    for (int64_t row = 0; row < n; ++row) {
      const CellRef cell = cells[row];
      const auto length = static_cast<int32_t>(cell.length());
      const char* const from = chunk.data(cell);
      if (length <= kWideCopy && (cell.decoded() || chunk.readable_end - from >= kWideCopy))
          [[likely]] {
        std::memcpy(to, from, kWideCopy);
      } else {
        std::memcpy(to, from, static_cast<size_t>(length));
      }
      to += length;
      offset += length;
      offsets[row] = offset;
    }
    bytes_.Advance(total);
    offsets_.Advance(n);
    return n;
  }

  /// Room for `total` bytes and one wide copy. The first time, room for the whole batch is taken.
  Status ReserveBytes(int64_t total, int64_t n) {
    if (bytes_.size() == 0) {
      const int64_t whole_batch = total * expected_rows_ / n;
      CAPI_RETURN_NOT_OK(bytes_.Reserve(
          std::max(total, std::min(whole_batch + whole_batch / 16, int64_t{16} << 20)) +
          kWideCopy));
    }
    return bytes_.Reserve(total + kWideCopy);
  }

  Result<std::shared_ptr<arrow::Array>> FinishDictionary(int64_t num_rows) {
    CAPI_ASSIGN_OR_RETURN(auto codes, codes_.Finish(num_rows));
    CAPI_ASSIGN_OR_RETURN(auto offsets,
                          CopyToBuffer(table_.offsets().data(), table_.offsets().size()));
    CAPI_ASSIGN_OR_RETURN(auto bytes, CopyToBuffer(table_.bytes().data(), table_.bytes().size()));
    auto values = arrow::ArrayData::Make(data::ArrowTypeOf(data::FieldType::kString), table_.size(),
                                         {nullptr, std::move(offsets), std::move(bytes)}, 0);
    auto coded = arrow::ArrayData::Make(data::DictionaryArrowType(), num_rows,
                                        {nullptr, std::move(codes)}, 0);
    coded->dictionary = std::move(values);
    return arrow::MakeArray(coded);
  }

  static constexpr int64_t kWideCopy = 32;

  const CsvConversion& conversion_;
  const bool as_is_;
  int64_t expected_rows_ = 0;
  Mode mode_ = Mode::kUndecided;
  TextTable table_;
  ValueBuffer<int32_t> codes_;
  ValueBuffer<char> bytes_;
  ValueBuffer<int32_t> offsets_;
};

}  // namespace

std::unique_ptr<CsvColumnBuilder> MakeStringBuilder(const CsvConversion* conversion) {
  return std::make_unique<StringBuilder>(conversion);
}

}  // namespace capi::formats::internal
