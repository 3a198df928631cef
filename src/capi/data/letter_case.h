#pragma once

#include <string>
#include <string_view>

namespace capi::data {

/// Upper case with the simple Unicode mapping (one character to one character, "ß" stays), for
/// ignore_case keys. Bytes that are not valid UTF-8 are copied. Replaces *out.
void ToUpperSimple(std::string_view text, std::string* out);

}  // namespace capi::data
