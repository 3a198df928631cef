#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bitmap_ops.h"
#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/store/segment/block_view_internal.h"

namespace capi::store {

namespace {

/// What blocks of width 0 read.
alignas(kAlignment) constexpr std::array<uint8_t, kAlignment> kZeros{};

/// Bytes of a mapped file as an Arrow buffer.
class MappedBuffer : public arrow::Buffer {
 public:
  MappedBuffer(const uint8_t* data, int64_t size, std::shared_ptr<MappedFile> file)
      : arrow::Buffer(data, size), file_(std::move(file)) {}

 private:
  std::shared_ptr<MappedFile> file_;
};

using Buffers = std::vector<std::shared_ptr<arrow::Buffer>>;

std::shared_ptr<arrow::Array> FromBuffers(const std::shared_ptr<arrow::DataType>& type, int64_t n,
                                          Buffers buffers) {
  return arrow::MakeArray(arrow::ArrayData::Make(type, n, std::move(buffers), 0));
}

constexpr uint64_t MaskOf(int width) {
  return width >= 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * width)) - 1;
}

bool IsNumberWidth(int width) {
  return width == 0 || width == 1 || width == 2 || width == 4 || width == 8;
}

template <typename T>
void DecodeNumbers(const uint8_t* from, int64_t base, int64_t n, int64_t* out) {
  for (int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, from + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    out[i] = static_cast<int64_t>(static_cast<uint64_t>(base) + value);
  }
}

template <typename T>
void DecodeCodes(const uint8_t* from, int64_t n, int32_t* out) {
  for (int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, from + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    out[i] = static_cast<int32_t>(value);
  }
}

Result<std::shared_ptr<arrow::Array>> DecodeNumberRange(const BlockView& view, data::FieldType type,
                                                        int64_t begin, int64_t n,
                                                        const std::shared_ptr<MappedFile>& file) {
  constexpr int64_t kWidth = 8;
  const uint8_t* from = view.data + begin * view.width;
  if (view.width == kWidth) {
    auto buffer = std::make_shared<MappedBuffer>(from, n * kWidth, file);
    return FromBuffers(data::ArrowTypeOf(type), n, {nullptr, std::move(buffer)});
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(n * kWidth));
  auto* out = reinterpret_cast<int64_t*>(buffer->mutable_data());
  switch (view.width) {
    case 0:
      std::fill_n(out, n, view.base);
      break;
    case 1:
      DecodeNumbers<uint8_t>(from, view.base, n, out);
      break;
    case 2:
      DecodeNumbers<uint16_t>(from, view.base, n, out);
      break;
    default:
      DecodeNumbers<uint32_t>(from, view.base, n, out);
  }
  return FromBuffers(data::ArrowTypeOf(type), n, {nullptr, std::move(buffer)});
}

Result<std::shared_ptr<arrow::Array>> DecodeWideRange(const BlockView& view, int64_t begin,
                                                      int64_t n,
                                                      const std::shared_ptr<MappedFile>& file) {
  constexpr int64_t kWidth = 16;
  if (view.width != 0) {
    auto buffer = std::make_shared<MappedBuffer>(view.data + begin * kWidth, n * kWidth, file);
    return FromBuffers(data::WideDecimalArrowType(), n, {nullptr, std::move(buffer)});
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(n * kWidth));
  const int64_t value[2] = {view.base, view.base2};
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(buffer->mutable_data() + i * kWidth, value, sizeof(value));
  }
  return FromBuffers(data::WideDecimalArrowType(), n, {nullptr, std::move(buffer)});
}

Result<std::shared_ptr<arrow::Array>> DecodeBitRange(const BlockView& view, int64_t begin,
                                                     int64_t n,
                                                     const std::shared_ptr<MappedFile>& file) {
  const int64_t size = (n + 7) / 8;
  if (view.width != 0 && begin % 8 == 0) {
    auto buffer = std::make_shared<MappedBuffer>(view.data + begin / 8, size, file);
    return FromBuffers(arrow::boolean(), n, {nullptr, std::move(buffer)});
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(size));
  std::memset(buffer->mutable_data(), view.base != 0 ? 0xFF : 0, static_cast<size_t>(size));
  if (view.width != 0) {
    arrow::internal::CopyBitmap(view.data, begin, n, buffer->mutable_data(), 0);
  }
  return FromBuffers(arrow::boolean(), n, {nullptr, std::move(buffer)});
}

/// Strings [first, first + count) of a block, or of its dictionary.
Result<std::shared_ptr<arrow::ArrayData>> WrapStrings(const BlockView& view, int64_t first,
                                                      int64_t count,
                                                      const std::shared_ptr<MappedFile>& file) {
  const int64_t offsets_size = (count + 1) * static_cast<int64_t>(sizeof(int32_t));
  const auto* bytes = reinterpret_cast<const uint8_t*>(view.bytes);
  if (view.offsets != nullptr) {
    auto offsets = std::make_shared<MappedBuffer>(
        reinterpret_cast<const uint8_t*>(view.offsets + first), offsets_size, file);
    auto values = std::make_shared<MappedBuffer>(bytes, view.offsets[first + count], file);
    return arrow::ArrayData::Make(arrow::utf8(), count,
                                  Buffers{nullptr, std::move(offsets), std::move(values)}, 0);
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> offsets,
                        arrow::AllocateBuffer(offsets_size));
  auto* out = reinterpret_cast<int32_t*>(offsets->mutable_data());
  for (int64_t i = 0; i <= count; ++i) out[i] = static_cast<int32_t>(i) * view.text_length;
  auto values = std::make_shared<MappedBuffer>(bytes + first * view.text_length,
                                               count * view.text_length, file);
  return arrow::ArrayData::Make(arrow::utf8(), count,
                                Buffers{nullptr, std::move(offsets), std::move(values)}, 0);
}

Result<std::shared_ptr<arrow::Array>> DecodeTextRange(const BlockView& view, int64_t begin,
                                                      int64_t n,
                                                      const std::shared_ptr<MappedFile>& file) {
  if (view.encoding == Encoding::kText) {
    CAPI_ASSIGN_OR_RETURN(auto strings, WrapStrings(view, begin, n, file));
    return arrow::MakeArray(strings);
  }

  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<arrow::Buffer> codes,
                        arrow::AllocateBuffer(n * static_cast<int64_t>(sizeof(int32_t))));
  auto* out = reinterpret_cast<int32_t*>(codes->mutable_data());
  const uint8_t* from = view.data + begin * view.width;
  switch (view.width) {
    case 0:
      std::fill_n(out, n, 0);
      break;
    case 1:
      DecodeCodes<uint8_t>(from, n, out);
      break;
    case 2:
      DecodeCodes<uint16_t>(from, n, out);
      break;
    default:
      DecodeCodes<uint32_t>(from, n, out);
  }
  auto coded =
      arrow::ArrayData::Make(data::DictionaryArrowType(), n, Buffers{nullptr, std::move(codes)}, 0);
  CAPI_ASSIGN_OR_RETURN(coded->dictionary, WrapStrings(view, 0, view.entries, file));
  return arrow::MakeArray(coded);
}

}  // namespace

bool MakeBlockView(const BlockDescriptor& block, data::FieldType type, bool is_reference,
                   int64_t rows, const uint8_t* bytes, BlockView* view) {
  *view = BlockView{};
  view->encoding = block.encoding;
  view->width = block.width;
  view->width2 = block.width2;
  view->base = block.base;
  view->base2 = block.base2;
  view->data = block.width == 0 ? kZeros.data() : bytes;
  int64_t size = rows * block.width;
  switch (block.encoding) {
    case Encoding::kNumber:
      if (is_reference || type == data::FieldType::kString || type == data::FieldType::kBool ||
          !IsNumberWidth(block.width)) {
        return false;
      }
      break;
    case Encoding::kWide:
      if (is_reference || type != data::FieldType::kDecimal2) return false;
      if (block.width != 0 && block.width != 16) return false;
      break;
    case Encoding::kBits:
      if (is_reference || type != data::FieldType::kBool || block.width > 1) return false;
      size = block.width == 0 ? 0 : (rows + 7) / 8;
      break;
    case Encoding::kText:
    case Encoding::kDictionary: {
      if (is_reference || type != data::FieldType::kString || block.text_bytes < 0 ||
          block.text_bytes > INT32_MAX || block.width > 4 || !IsNumberWidth(block.width)) {
        return false;
      }
      const bool coded = block.encoding == Encoding::kDictionary;
      if (coded != (block.dictionary_size > 0)) return false;
      view->entries = block.dictionary_size;
      const int64_t count = coded ? block.dictionary_size : rows;
      const int64_t strings_at = coded ? AlignUp(size) : 0;
      int64_t bytes_at = strings_at;
      if ((block.flags & kFixedLength) != 0) {
        if (block.base < 0 || block.base > INT32_MAX || block.base * count != block.text_bytes) {
          return false;
        }
        view->text_length = static_cast<int32_t>(block.base);
      } else {
        view->offsets = reinterpret_cast<const int32_t*>(bytes + strings_at);
        bytes_at = AlignUp(strings_at + (count + 1) * static_cast<int64_t>(sizeof(int32_t)));
      }
      view->bytes = reinterpret_cast<const char*>(bytes + bytes_at);
      size = bytes_at + block.text_bytes;
      break;
    }
    case Encoding::kRowIds:
      if (!is_reference || !IsNumberWidth(block.width) || !IsNumberWidth(block.width2)) {
        return false;
      }
      view->has_missing = (block.flags & kHasMissing) != 0;
      view->batches = kZeros.data();
      if (block.width2 != 0) {
        view->batches = bytes + AlignUp(size);
        size = AlignUp(size) + rows * block.width2;
      }
      break;
    default:
      return false;
  }
  view->mask = MaskOf(block.width);
  view->mask2 = MaskOf(block.width2);
  return size == block.length;
}

Result<BlockView> ConstantView(data::FieldType type, const data::Value& value, std::string* text) {
  const auto wrong = [] { return BugError("missing value does not have the type of its field"); };
  BlockView view;
  view.data = kZeros.data();
  switch (type) {
    case data::FieldType::kInt: {
      const auto* number = std::get_if<int64_t>(&value);
      if (number == nullptr) return wrong();
      view.base = *number;
      return view;
    }
    case data::FieldType::kFloat: {
      const auto* number = std::get_if<double>(&value);
      if (number == nullptr) return wrong();
      view.base = std::bit_cast<int64_t>(*number);
      return view;
    }
    case data::FieldType::kDatetime: {
      const auto* instant = std::get_if<data::Instant>(&value);
      if (instant == nullptr) return wrong();
      view.base = instant->ToMillisFloor();
      return view;
    }
    case data::FieldType::kBool: {
      const auto* truth = std::get_if<bool>(&value);
      if (truth == nullptr) return wrong();
      view.encoding = Encoding::kBits;
      view.base = *truth ? 1 : 0;
      return view;
    }
    case data::FieldType::kDecimal2: {
      const auto* decimal = std::get_if<data::BigDecimal>(&value);
      data::int128 hundredths = 0;
      if (decimal == nullptr || !decimal->ToInt128(2, &hundredths)) return wrong();
      view.base = static_cast<int64_t>(hundredths);
      if (hundredths > data::kMaxNarrowDecimal || hundredths < -data::kMaxNarrowDecimal) {
        view.encoding = Encoding::kWide;
        view.base2 = static_cast<int64_t>(hundredths >> 64);
      }
      return view;
    }
    case data::FieldType::kString: {
      const auto* string = std::get_if<std::string>(&value);
      if (string == nullptr) return wrong();
      // With room for reading beyond its end.
      *text = *string;
      text->append(static_cast<size_t>(kAlignment), '\0');
      view.encoding = Encoding::kDictionary;
      view.entries = 1;
      view.text_length = static_cast<int32_t>(string->size());
      view.bytes = text->data();
      return view;
    }
  }
  return wrong();
}

Result<std::shared_ptr<arrow::Array>> DecodeRange(const BlockView& view, data::FieldType type,
                                                  int64_t begin, int64_t end,
                                                  const std::shared_ptr<MappedFile>& file) {
  const int64_t n = end - begin;
  switch (view.encoding) {
    case Encoding::kNumber:
      return DecodeNumberRange(view, type, begin, n, file);
    case Encoding::kWide:
      return DecodeWideRange(view, begin, n, file);
    case Encoding::kBits:
      return DecodeBitRange(view, begin, n, file);
    case Encoding::kText:
    case Encoding::kDictionary:
      return DecodeTextRange(view, begin, n, file);
    case Encoding::kRowIds:
      break;
  }
  return BugError("row ids read as values");
}

}  // namespace capi::store
