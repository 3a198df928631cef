#include <array>
#include <cstring>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "capi/store/cassandra/row_values_internal.h"

namespace capi::store {

namespace {

constexpr int32_t kDecimalScale = 2;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool IsContinuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

/// Bytes of the character at the beginning of a text that is not empty, 0 if there is none
/// (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
size_t CharacterBytes(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  size_t bytes = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    bytes = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    bytes = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    bytes = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  }
  if (bytes == 0 || text.size() < bytes || at(1) < low || at(1) > high) return 0;
  for (size_t i = 2; i < bytes; ++i) {
    if (!IsContinuation(at(i))) return 0;
  }
  return bytes;
}

/// Bytes of whole characters at the beginning.
size_t ValidBytes(std::string_view text) {
  size_t valid = 0;
  while (valid < text.size()) {
    uint64_t word = 0;
    if (text.size() - valid >= sizeof(word)) {
      std::memcpy(&word, text.data() + valid, sizeof(word));
      if ((word & 0x8080808080808080) == 0) {
        valid += sizeof(word);
        continue;
      }
    }
    const size_t bytes = CharacterBytes(text.substr(valid));
    if (bytes == 0) break;
    valid += bytes;
  }
  return valid;
}

template <typename T>
T CellAt(const uint8_t* cells, int64_t row) {
  T value;
  std::memcpy(&value, cells + row * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

}  // namespace

std::string_view ValidText(std::string_view text, std::string* changed) {
  size_t valid = ValidBytes(text);
  if (valid == text.size()) return text;
  changed->clear();
  while (true) {
    changed->append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) return *changed;
    changed->append(kReplacement);
    text.remove_prefix(1);
    valid = ValidBytes(text);
  }
}

void AppendDecimal(data::int128 hundredths, cql::Values* values) {
  std::array<char, 16> bytes{};
  auto rest = static_cast<unsigned __int128>(hundredths);
  for (size_t i = bytes.size(); i-- > 0;) {
    bytes[i] = static_cast<char>(rest & 0xFF);
    rest >>= 8;
  }
  // A leading byte that only repeats the sign of the next one says nothing.
  const char sign = hundredths < 0 ? '\xFF' : '\0';
  size_t begin = 0;
  while (begin + 1 < bytes.size() && bytes[begin] == sign &&
         ((bytes[begin + 1] ^ sign) & 0x80) == 0) {
    ++begin;
  }
  values->Decimal({bytes.data() + begin, bytes.size() - begin}, kDecimalScale);
}

Result<CellAppender> CellAppender::Make(const arrow::Array& column) {
  CellAppender appender;
  int64_t width = sizeof(int64_t);
  switch (column.type_id()) {
    case arrow::Type::INT64:
    case arrow::Type::TIMESTAMP:
      appender.layout_ = Layout::kWord;
      break;
    case arrow::Type::DOUBLE:
      appender.layout_ = Layout::kDouble;
      break;
    case arrow::Type::BOOL:
      appender.layout_ = Layout::kBool;
      appender.offset_ = column.offset();
      width = 0;
      break;
    case arrow::Type::DECIMAL64:
      appender.layout_ = Layout::kNarrowDecimal;
      break;
    case arrow::Type::DECIMAL128:
      appender.layout_ = Layout::kWideDecimal;
      width = sizeof(data::int128);
      break;
    case arrow::Type::STRING:
    case arrow::Type::DICTIONARY: {
      appender.layout_ = Layout::kText;
      CAPI_ASSIGN_OR_RETURN(appender.strings_, data::StringReader::Make(column));
      return appender;
    }
    default:
      return BugError("a table has a column of type " + column.type()->ToString());
  }
  const std::shared_ptr<arrow::Buffer>& buffer = column.data()->buffers[1];
  if (buffer != nullptr) appender.cells_ = buffer->data() + column.offset() * width;
  return appender;
}

void CellAppender::Append(int64_t row, cql::Values* values) const {
  switch (layout_) {
    case Layout::kWord:
      values->BigInt(CellAt<int64_t>(cells_, row));
      return;
    case Layout::kDouble:
      values->Double(CellAt<double>(cells_, row));
      return;
    case Layout::kBool:
      values->Boolean(arrow::bit_util::GetBit(cells_, offset_ + row));
      return;
    case Layout::kNarrowDecimal:
      AppendDecimal(CellAt<int64_t>(cells_, row), values);
      return;
    case Layout::kWideDecimal:
      AppendDecimal(CellAt<data::int128>(cells_, row), values);
      return;
    case Layout::kText: {
      std::string changed;
      values->Text(ValidText((*strings_)[row], &changed));
      return;
    }
  }
}

}  // namespace capi::store
