// Reading numbers and bools the way Go's strconv does.

#include <bit>
#include <cmath>
#include <limits>

#include "capi/base/ascii.h"
#include "capi/data/go_format_internal.h"
#include "fast_float/fast_float.h"

namespace capi::data {
namespace {

char Lower(char c) { return static_cast<char>(c | 0x20); }

Status BadNumber(std::string_view what, std::string_view text) {
  constexpr size_t kShownChars = 64;
  std::string shown(text.substr(0, kShownChars));
  if (text.size() > kShownChars) {
    shown += "...";
  }
  return UserError("bad_number_text", "text is not " + std::string(what) + ": \"" + shown + "\"");
}

Status OutOfRange(std::string_view what, std::string_view text) {
  constexpr size_t kShownChars = 64;
  return UserError("number_out_of_range", "number does not fit " + std::string(what) + ": \"" +
                                              std::string(text.substr(0, kShownChars)) + "\"");
}

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) {
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (Lower(text[i]) != lower[i]) {
      return false;
    }
  }
  return true;
}

/// inf, infinity (with sign) and nan (without).
bool ParseSpecial(std::string_view text, double* value) {
  if (EqualsIgnoringCase(text, "nan")) {
    *value = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  const bool has_sign = !text.empty() && (text[0] == '+' || text[0] == '-');
  const std::string_view name = text.substr(has_sign ? 1 : 0);
  if (!EqualsIgnoringCase(name, "inf") && !EqualsIgnoringCase(name, "infinity")) {
    return false;
  }
  *value = std::numeric_limits<double>::infinity();
  if (text[0] == '-') {
    *value = -*value;
  }
  return true;
}

/// Optional sign and digits of an exponent, whole text. Large ones are capped.
bool ParseExponent(std::string_view text, int64_t* exponent) {
  constexpr int64_t kCap = 100000000;
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) {
    return false;
  }
  *exponent = 0;
  for (const char c : text) {
    if (!IsDigit(c)) {
      return false;
    }
    if (*exponent < kCap) {
      *exponent = *exponent * 10 + (c - '0');
    }
  }
  if (negative) {
    *exponent = -*exponent;
  }
  return true;
}

int HexValue(char c) {
  if (IsDigit(c)) {
    return c - '0';
  }
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// mantissa * 2^exponent, `sticky` = something below the mantissa; rounded half to even.
double RoundBinary(uint64_t mantissa, bool sticky, int64_t exponent) {
  if (mantissa == 0) {
    return 0.0;
  }
  constexpr int kPrecision = 53;
  constexpr int64_t kLowestExponent = -1074;
  constexpr int64_t kTooLarge = 2000;
  const int bits = 64 - std::countl_zero(mantissa);
  if (exponent > kTooLarge) {
    return std::numeric_limits<double>::infinity();
  }
  // Bits to drop: what exceeds the precision, and for subnormals what lies below the lowest bit.
  int64_t drop = bits > kPrecision ? bits - kPrecision : 0;
  if (exponent + drop < kLowestExponent) {
    drop = kLowestExponent - exponent;
  }
  if (drop > 64) {
    return 0.0;
  }
  if (drop > 0) {
    const uint64_t half = uint64_t{1} << (drop - 1);
    const uint64_t rest = drop == 64 ? mantissa : mantissa & ((uint64_t{1} << drop) - 1);
    mantissa = drop == 64 ? 0 : mantissa >> drop;
    if (rest > half || (rest == half && (sticky || (mantissa & 1) != 0))) {
      ++mantissa;
    }
    exponent += drop;
  }
  return std::ldexp(static_cast<double>(mantissa), static_cast<int>(exponent));
}

/// Hexadecimal digits, point and exponent after "0x", without underscores.
bool ParseHex(std::string_view text, double* value) {
  const size_t exponent_mark = text.find_first_of("pP");
  int64_t exponent = 0;
  if (exponent_mark == std::string_view::npos ||
      !ParseExponent(text.substr(exponent_mark + 1), &exponent)) {
    return false;
  }
  uint64_t mantissa = 0;
  bool sticky = false;
  bool any_digit = false;
  bool after_point = false;
  for (const char c : text.substr(0, exponent_mark)) {
    if (c == '.' && !after_point) {
      after_point = true;
      continue;
    }
    const int digit = HexValue(c);
    if (digit < 0) {
      return false;
    }
    any_digit = true;
    if ((mantissa >> 60) == 0) {
      mantissa = mantissa << 4 | static_cast<uint64_t>(digit);
      exponent -= after_point ? 4 : 0;
    } else {
      sticky = sticky || digit != 0;
      exponent += after_point ? 0 : 4;
    }
  }
  *value = RoundBinary(mantissa, sticky, exponent);
  return any_digit;
}

/// Checks sign? digits point? digits exponent?; the conversion itself is the library's.
bool ParseDecimal(std::string_view text, double* value) {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto result = fast_float::from_chars(begin, end, *value);
  return result.ec == std::errc() && result.ptr == end;
}

bool StartsLikeDecimal(std::string_view text) {
  return !text.empty() && (IsDigit(text[0]) || (text[0] == '.' && text.size() > 1));
}

}  // namespace

namespace format_internal {

bool UnderscoresSeparateDigits(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    text.remove_prefix(1);
  }
  enum class Seen { kBegin, kDigit, kUnderscore, kOther };
  Seen seen = Seen::kBegin;
  bool hex = false;
  if (text.size() >= 2 && text[0] == '0') {
    const char mark = Lower(text[1]);
    if (mark == 'b' || mark == 'o' || mark == 'x') {
      hex = mark == 'x';
      seen = Seen::kDigit;  // an underscore may follow the prefix
      text.remove_prefix(2);
    }
  }
  for (const char c : text) {
    if (IsDigit(c) || (hex && HexValue(c) >= 0)) {
      seen = Seen::kDigit;
    } else if (c == '_') {
      if (seen != Seen::kDigit) {
        return false;
      }
      seen = Seen::kUnderscore;
    } else {
      if (seen == Seen::kUnderscore) {
        return false;
      }
      seen = Seen::kOther;
    }
  }
  return seen != Seen::kUnderscore;
}

Result<int64_t> ParseIntInBase(std::string_view text, int base) {
  const std::string_view whole = text;
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  const bool from_prefix = base == 0;
  if (from_prefix) {
    base = 10;
    if (text.size() >= 2 && text[0] == '0') {
      const char mark = Lower(text[1]);
      base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
      text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
    }
  }
  if (text.empty()) {
    return BadNumber("an integer", whole);
  }
  uint64_t magnitude = 0;
  bool overflow = false;
  bool underscores = false;
  for (const char c : text) {
    if (c == '_' && from_prefix) {
      underscores = true;
      continue;
    }
    const int digit = HexValue(c);
    if (digit < 0 || digit >= base) {
      return BadNumber("an integer", whole);
    }
    overflow = overflow ||
               __builtin_mul_overflow(magnitude, static_cast<uint64_t>(base), &magnitude) ||
               __builtin_add_overflow(magnitude, static_cast<uint64_t>(digit), &magnitude);
  }
  if (underscores && !UnderscoresSeparateDigits(whole)) {
    return BadNumber("an integer", whole);
  }
  const uint64_t limit = uint64_t{1} << 63;
  if (overflow || (negative ? magnitude > limit : magnitude >= limit)) {
    return OutOfRange("64 bits", whole);
  }
  return static_cast<int64_t>(negative ? ~magnitude + 1 : magnitude);
}

}  // namespace format_internal

Result<double> ParseGoFloat(std::string_view text) {
  double value = 0.0;
  const bool negative = !text.empty() && text[0] == '-';
  const bool has_sign = negative || (!text.empty() && text[0] == '+');
  std::string_view unsigned_text = text.substr(has_sign ? 1 : 0);
  std::string cleaned;
  bool parsed = StartsLikeDecimal(unsigned_text) && ParseDecimal(unsigned_text, &value);
  if (!parsed) {
    if (ParseSpecial(text, &value)) {
      return value;
    }
    if (unsigned_text.find('_') != std::string_view::npos) {
      if (!format_internal::UnderscoresSeparateDigits(unsigned_text)) {
        return BadNumber("a float", text);
      }
      for (const char c : unsigned_text) {
        if (c != '_') {
          cleaned.push_back(c);
        }
      }
      unsigned_text = cleaned;
    }
    if (unsigned_text.size() > 2 && unsigned_text[0] == '0' && Lower(unsigned_text[1]) == 'x') {
      parsed = ParseHex(unsigned_text.substr(2), &value);
    } else {
      parsed = StartsLikeDecimal(unsigned_text) && ParseDecimal(unsigned_text, &value);
    }
  }
  if (!parsed) {
    return BadNumber("a float", text);
  }
  if (std::isinf(value)) {
    return OutOfRange("a 64-bit float", text);
  }
  return negative ? -value : value;
}

Result<int64_t> ParseGoInt(std::string_view text) {
  constexpr size_t kSafeDigits = 18;  // cannot overflow
  if (!text.empty() && text.size() <= kSafeDigits) {
    const bool has_sign = text[0] == '-' || text[0] == '+';
    int64_t magnitude = 0;
    bool all_digits = text.size() > (has_sign ? 1u : 0u);
    for (size_t i = has_sign ? 1 : 0; i < text.size(); ++i) {
      all_digits = all_digits && IsDigit(text[i]);
      magnitude = magnitude * 10 + (text[i] - '0');
    }
    if (all_digits) {
      return text[0] == '-' ? -magnitude : magnitude;
    }
  }
  return format_internal::ParseIntInBase(text, 10);
}

Result<bool> ParseGoBool(std::string_view text) {
  if (text == "1" || text == "t" || text == "T" || text == "TRUE" || text == "true" ||
      text == "True") {
    return true;
  }
  if (text == "0" || text == "f" || text == "F" || text == "FALSE" || text == "false" ||
      text == "False") {
    return false;
  }
  return BadNumber("a bool", text);
}

}  // namespace capi::data
