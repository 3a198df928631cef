// Runes and Go quoting.

#include <utf8proc.h>

#include "capi/data/go_format_internal.h"

namespace capi::data::format_internal {
namespace {

constexpr char32_t kByteOrderMark = 0xFEFF;
constexpr char32_t kDelete = 0x7F;

void AppendHex(uint32_t value, int digits, std::string* out) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    out->push_back("0123456789abcdef"[(value >> shift) & 15]);
  }
}

bool IsSurrogate(char32_t rune) { return rune >= 0xD800 && rune <= 0xDFFF; }

void AppendEscaped(char32_t rune, char quote, bool ascii_only, std::string* out) {
  if (rune == static_cast<char32_t>(quote) || rune == '\\') {
    out->push_back('\\');
    out->push_back(static_cast<char>(rune));
    return;
  }
  if (IsPrintable(rune) && (!ascii_only || rune < 0x80)) {
    AppendRune(rune, out);
    return;
  }
  constexpr std::string_view kControls = "\a\b\t\n\v\f\r";
  constexpr std::string_view kLetters = "abtnvfr";
  const size_t control = rune < 0x80 ? kControls.find(static_cast<char>(rune)) : kControls.npos;
  if (control != kControls.npos) {
    out->push_back('\\');
    out->push_back(kLetters[control]);
  } else if (rune < ' ' || rune == kDelete) {
    out->append("\\x");
    AppendHex(rune, 2, out);
  } else if (rune < 0x10000) {
    out->append("\\u");
    AppendHex(IsSurrogate(rune) ? kReplacementRune : rune, 4, out);
  } else {
    out->append("\\U");
    AppendHex(rune, 8, out);
  }
}

}  // namespace

char32_t DecodeRune(std::string_view text, size_t position, int* size) {
  *size = 1;
  const auto byte_at = [&](size_t index) {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0u;
  };
  const char32_t first = byte_at(position);
  if (first < 0x80) {
    return first;
  }
  int length = 0;
  char32_t smallest = 0;
  char32_t rune = 0;
  if ((first & 0xE0) == 0xC0) {
    length = 2;
    smallest = 0x80;
    rune = first & 0x1F;
  } else if ((first & 0xF0) == 0xE0) {
    length = 3;
    smallest = 0x800;
    rune = first & 0x0F;
  } else if ((first & 0xF8) == 0xF0) {
    length = 4;
    smallest = 0x10000;
    rune = first & 0x07;
  } else {
    return kReplacementRune;
  }
  for (int i = 1; i < length; ++i) {
    const char32_t next = byte_at(position + static_cast<size_t>(i));
    if ((next & 0xC0) != 0x80) {
      return kReplacementRune;
    }
    rune = rune << 6 | (next & 0x3F);
  }
  if (rune < smallest || rune > kMaxRune || IsSurrogate(rune)) {
    return kReplacementRune;
  }
  *size = length;
  return rune;
}

void AppendRune(char32_t rune, std::string* out) {
  if (rune > kMaxRune || IsSurrogate(rune)) {
    rune = kReplacementRune;
  }
  const auto push = [out](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (rune < 0x80) {
    push(rune);
  } else if (rune < 0x800) {
    push(0xC0 | rune >> 6);
    push(0x80 | (rune & 0x3F));
  } else if (rune < 0x10000) {
    push(0xE0 | rune >> 12);
    push(0x80 | (rune >> 6 & 0x3F));
    push(0x80 | (rune & 0x3F));
  } else {
    push(0xF0 | rune >> 18);
    push(0x80 | (rune >> 12 & 0x3F));
    push(0x80 | (rune >> 6 & 0x3F));
    push(0x80 | (rune & 0x3F));
  }
}

int64_t CountRunes(std::string_view text) {
  int64_t count = 0;
  for (size_t position = 0; position < text.size(); ++count) {
    if (static_cast<unsigned char>(text[position]) < 0x80) {
      ++position;
      continue;
    }
    int size = 0;
    DecodeRune(text, position, &size);
    position += static_cast<size_t>(size);
  }
  return count;
}

bool IsPrintable(char32_t rune) {
  if (rune < 0x80) {
    return rune >= ' ' && rune != kDelete;
  }
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(rune))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return false;
    default:
      return true;
  }
}

bool CanBackquote(std::string_view text) {
  for (size_t position = 0; position < text.size();) {
    int size = 0;
    const char32_t rune = DecodeRune(text, position, &size);
    position += static_cast<size_t>(size);
    if ((rune == kReplacementRune && size == 1) || rune == kByteOrderMark || rune == '`' ||
        rune == kDelete || (rune < ' ' && rune != '\t')) {
      return false;
    }
  }
  return true;
}

void AppendQuoted(std::string_view text, bool ascii_only, std::string* out) {
  out->push_back('"');
  for (size_t position = 0; position < text.size();) {
    int size = 0;
    const char32_t rune = DecodeRune(text, position, &size);
    if (rune == kReplacementRune && size == 1) {
      out->append("\\x");
      AppendHex(static_cast<unsigned char>(text[position]), 2, out);
    } else {
      AppendEscaped(rune, '"', ascii_only, out);
    }
    position += static_cast<size_t>(size);
  }
  out->push_back('"');
}

void AppendQuotedRune(char32_t rune, bool ascii_only, std::string* out) {
  if (rune > kMaxRune || IsSurrogate(rune)) {
    rune = kReplacementRune;
  }
  out->push_back('\'');
  AppendEscaped(rune, '\'', ascii_only, out);
  out->push_back('\'');
}

}  // namespace capi::data::format_internal
