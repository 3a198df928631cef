#include "capi/data/letter_case.h"

#include <utf8proc.h>

namespace capi::data {

namespace {
constexpr utf8proc_int32_t kSharpS = 0xDF;
}  // namespace

void ToUpperSimple(std::string_view text, std::string* out) {
  out->clear();
  out->reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  utf8proc_ssize_t at = 0;
  while (at < size) {
    const unsigned char c = bytes[at];
    if (c < 0x80) {
      out->push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
      ++at;
      continue;
    }
    utf8proc_int32_t code_point = -1;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, size - at, &code_point);
    if (length <= 0) {
      out->push_back(static_cast<char>(c));
      ++at;
      continue;
    }
    // The simple mapping of Unicode has no upper case for "ß"; the library's own answer is "ẞ".
    const utf8proc_int32_t upper =
        code_point == kSharpS ? code_point : utf8proc_toupper(code_point);
    utf8proc_uint8_t encoded[4];
    const utf8proc_ssize_t written = utf8proc_encode_char(upper, encoded);
    out->append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(written));
    at += length;
  }
}

}  // namespace capi::data
