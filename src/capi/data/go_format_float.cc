// Text of floats.

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "capi/data/go_format_internal.h"

namespace capi::data {

using format_internal::AppendInt;

namespace {

using uint128 = unsigned __int128;

constexpr int kMantissaBits = 52;
constexpr int kExponentBias = 1075;  // of the mantissa read as an integer
constexpr int kExponentMask = 0x7FF;
constexpr int kMaxExactPower = 15;
/// Enough for every float in plain form with kMaxStackPrecision decimals.
constexpr int kStackBuffer = 512;
constexpr int kMaxStackPrecision = 150;
constexpr int kFloatDigits = 330;  // integer digits, point, sign, exponent of any float

constexpr std::array<uint64_t, kMaxExactPower + 1> kPowers = {1,
                                                              10,
                                                              100,
                                                              1000,
                                                              10000,
                                                              100000,
                                                              1000000,
                                                              10000000,
                                                              100000000,
                                                              1000000000,
                                                              10000000000,
                                                              100000000000,
                                                              1000000000000,
                                                              10000000000000,
                                                              100000000000000,
                                                              1000000000000000};

/// Writes `value` with exactly `width` digits.
void WriteFixedDigits(uint64_t value, int width, char* out) {
  for (int i = width; i-- > 0;) {
    out[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

/// |value| * 10^decimals rounded half to even on the exact binary value. False when it does not
/// fit.
bool ScaleExactly(double value, int decimals, uint64_t* scaled) {
  if (decimals > kMaxExactPower) {
    return false;
  }
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const int biased = static_cast<int>(bits >> kMantissaBits) & kExponentMask;
  uint64_t mantissa = bits & ((uint64_t{1} << kMantissaBits) - 1);
  if (biased == 0 || biased == kExponentMask) {
    // Zero is common; subnormals and non-finite values are left to the slow path.
    *scaled = 0;
    return biased == 0 && mantissa == 0;
  }
  mantissa |= uint64_t{1} << kMantissaBits;
  const int exponent = biased - kExponentBias;
  const uint128 product = static_cast<uint128>(mantissa) * kPowers[decimals];
  if (exponent >= 0) {
    constexpr int kMaxShift = 10;
    if (exponent > kMaxShift || (product >> (64 - exponent)) != 0) {
      return false;
    }
    *scaled = static_cast<uint64_t>(product) << exponent;
    return true;
  }
  constexpr int kProductBits = 104;  // mantissa and largest power together
  const int shift = -exponent;
  if (shift > kProductBits) {
    *scaled = 0;
    return true;
  }
  const uint128 quotient = product >> shift;
  if ((quotient >> 63) != 0) {
    return false;
  }
  const uint128 rest = product - (quotient << shift);
  const uint128 half = static_cast<uint128>(1) << (shift - 1);
  *scaled = static_cast<uint64_t>(quotient);
  if (rest > half || (rest == half && (*scaled & 1) != 0)) {
    ++*scaled;
  }
  return true;
}

void AppendUnsigned(uint64_t value, std::string* out) {
  AppendInt(static_cast<int64_t>(value), out);  // callers stay below 2^63
}

void AppendWithToChars(double value, std::chars_format format, int precision, std::string* out) {
  if (precision <= kMaxStackPrecision) {
    char buffer[kStackBuffer];
    const auto end = std::to_chars(buffer, buffer + kStackBuffer, value, format, precision);
    out->append(buffer, static_cast<size_t>(end.ptr - buffer));
    return;
  }
  const size_t begin = out->size();
  out->resize(begin + static_cast<size_t>(precision) + kFloatDigits);
  const auto end =
      std::to_chars(out->data() + begin, out->data() + out->size(), value, format, precision);
  out->resize(static_cast<size_t>(end.ptr - out->data()));
}

void AppendPlain(double value, int precision, std::string* out) {
  uint64_t scaled = 0;
  if (!ScaleExactly(value, precision, &scaled) || static_cast<int64_t>(scaled) < 0) {
    AppendWithToChars(value, std::chars_format::fixed, precision, out);
    return;
  }
  if (std::signbit(value)) {
    out->push_back('-');
  }
  AppendUnsigned(scaled / kPowers[precision], out);
  if (precision > 0) {
    char buffer[kMaxExactPower + 1];
    buffer[0] = '.';
    WriteFixedDigits(scaled % kPowers[precision], precision, buffer + 1);
    out->append(buffer, static_cast<size_t>(precision) + 1);
  }
}

/// Appends digits d1 d2 ... with value d1.d2... * 10^exponent by the rule of %v.
void AppendShortestForm(const char* digits, int count, int exponent, std::string* out) {
  constexpr int kLowestPlain = -4;
  constexpr int kLowestExponentForm = 6;
  if (exponent < kLowestPlain || exponent >= kLowestExponentForm) {
    out->push_back(digits[0]);
    if (count > 1) {
      out->push_back('.');
      out->append(digits + 1, static_cast<size_t>(count - 1));
    }
    out->append(exponent < 0 ? "e-" : "e+");
    const int magnitude = exponent < 0 ? -exponent : exponent;
    if (magnitude < 10) {
      out->push_back('0');
    }
    AppendInt(magnitude, out);
    return;
  }
  if (exponent < 0) {
    out->append("0.");
    out->append(static_cast<size_t>(-exponent - 1), '0');
    out->append(digits, static_cast<size_t>(count));
    return;
  }
  const int integer_digits = exponent + 1;
  if (count <= integer_digits) {
    out->append(digits, static_cast<size_t>(count));
    out->append(static_cast<size_t>(integer_digits - count), '0');
    return;
  }
  out->append(digits, static_cast<size_t>(integer_digits));
  out->push_back('.');
  out->append(digits + integer_digits, static_cast<size_t>(count - integer_digits));
}

/// Appends a value with at most two decimals in plain form; `hundredths` below 10^8.
void AppendHundredths(uint64_t hundredths, std::string* out) {
  const uint64_t decimals = hundredths % 100;
  AppendUnsigned(hundredths / 100, out);
  if (decimals == 0) {
    return;
  }
  const char digits[] = {'.', static_cast<char>('0' + decimals / 10),
                         static_cast<char>('0' + decimals % 10)};
  out->append(digits, decimals % 10 == 0 ? 2 : 3);
}

/// Values with few decimals, which are most values of real data. A decimal of at most 15 digits
/// that reads back as the value is its shortest text, because no two of them share a float.
bool AppendShortestFast(double value, std::string* out) {
  constexpr double kLowest = 1e-4;
  constexpr double kMiddle = 1e6;
  constexpr double kHighest = 1e11;
  const double magnitude = std::fabs(value);
  if (!(magnitude >= kLowest && magnitude < kHighest)) {
    return false;
  }
  if (magnitude < kMiddle) {
    const auto hundredths = static_cast<uint64_t>(magnitude * 100.0 + 0.5);
    if (static_cast<double>(hundredths) / 100.0 == magnitude) {
      if (std::signbit(value)) {
        out->push_back('-');
      }
      AppendHundredths(hundredths, out);
      return true;
    }
  }
  const int decimals = magnitude < kMiddle ? 7 : 4;
  const double power = magnitude < kMiddle ? 1e7 : 1e4;
  uint64_t scaled = static_cast<uint64_t>(magnitude * power + 0.5);
  if (static_cast<double>(scaled) / power != magnitude) {
    return false;
  }
  if (std::signbit(value)) {
    out->push_back('-');
  }
  char buffer[24];
  char* const end = buffer + sizeof(buffer);
  char* begin = end;
  do {
    *--begin = static_cast<char>('0' + scaled % 10);
    scaled /= 10;
  } while (scaled != 0);
  const int exponent = static_cast<int>(end - begin) - 1 - decimals;
  const char* last = end;
  while (last[-1] == '0') {
    --last;
  }
  AppendShortestForm(begin, static_cast<int>(last - begin), exponent, out);
  return true;
}

void AppendNotFinite(double value, std::string* out) {
  out->append(std::isnan(value) ? "NaN" : value < 0 ? "-Inf" : "+Inf");
}

}  // namespace

void AppendFloatText(double value, std::string* out) {
  if (AppendShortestFast(value, out)) {
    return;
  }
  if (!std::isfinite(value)) {
    AppendNotFinite(value, out);
    return;
  }
  if (value == 0) {
    out->append(std::signbit(value) ? "-0" : "0");
    return;
  }
  char buffer[32];
  const char* const end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  // "-d.ddde-XX" cut into digits and exponent.
  char digits[24];
  int count = 0;
  const char* p = buffer;
  if (*p == '-') {
    out->push_back('-');
    ++p;
  }
  for (; *p != 'e'; ++p) {
    if (*p != '.') {
      digits[count++] = *p;
    }
  }
  ++p;
  const bool negative = *p == '-';
  int exponent = 0;
  for (++p; p != end; ++p) {
    exponent = exponent * 10 + (*p - '0');
  }
  AppendShortestForm(digits, count, negative ? -exponent : exponent, out);
}

namespace format_internal {
namespace {

constexpr int kShortest = -1;
constexpr int kDefaultPrecision = 6;

struct BinaryFloat {
  uint64_t mantissa = 0;  ///< value = mantissa * 2^exponent
  int exponent = 0;
};

BinaryFloat Decompose(double value) {
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  BinaryFloat result;
  result.mantissa = bits & ((uint64_t{1} << kMantissaBits) - 1);
  const int biased = static_cast<int>(bits >> kMantissaBits) & kExponentMask;
  if (biased == 0) {
    result.exponent = 1 - kExponentBias;
  } else {
    result.mantissa |= uint64_t{1} << kMantissaBits;
    result.exponent = biased - kExponentBias;
  }
  return result;
}

/// "p+05": sign and at least `min_digits` digits.
void AppendBinaryExponent(int exponent, int min_digits, std::string* out) {
  out->append(exponent < 0 ? "p-" : "p+");
  const int magnitude = exponent < 0 ? -exponent : exponent;
  if (magnitude < 10 && min_digits > 1) {
    out->push_back('0');
  }
  AppendInt(magnitude, out);
}

/// "0x1.8p+00" without the sign of the value.
void AppendHexFloat(double value, int precision, std::string* out) {
  BinaryFloat binary = Decompose(value);
  if (binary.mantissa == 0) {
    binary.exponent = 0;
  } else {
    // One digit before the point: the mantissa as 1.(60 bits), a multiple of whole hex digits.
    constexpr int kLeadBit = 60;
    const int lead = 63 - std::countl_zero(binary.mantissa);
    binary.mantissa <<= kLeadBit - lead;
    binary.exponent += lead;
    constexpr int kMaxHexDigits = 15;
    if (precision >= 0 && precision < kMaxHexDigits) {
      const int cut = 4 * (kMaxHexDigits - precision);
      const uint64_t unit = uint64_t{1} << cut;
      const uint64_t rest = binary.mantissa & (unit - 1);
      binary.mantissa -= rest;
      if (rest > unit / 2 || (rest == unit / 2 && (binary.mantissa & unit) != 0)) {
        binary.mantissa += unit;
      }
      if ((binary.mantissa >> (kLeadBit + 1)) != 0) {
        binary.mantissa >>= 1;
        ++binary.exponent;
      }
    }
  }
  out->append("0x");
  constexpr int kLeadShift = 60;
  out->push_back(static_cast<char>('0' + (binary.mantissa >> kLeadShift)));
  uint64_t fraction = binary.mantissa << 4;
  if (precision > 0 || (precision == kShortest && fraction != 0)) {
    out->push_back('.');
    for (int i = 0; precision == kShortest ? fraction != 0 : i < precision; ++i) {
      out->push_back("0123456789abcdef"[fraction >> kLeadShift]);
      fraction <<= 4;
    }
  }
  AppendBinaryExponent(binary.exponent, 2, out);
}

/// Appends |value| for a verb b e f g x; precision kShortest where the verb allows it.
void AppendMagnitude(double magnitude, char verb, int precision, std::string* out) {
  switch (verb) {
    case 'b': {
      const BinaryFloat binary = Decompose(magnitude);
      AppendInt(static_cast<int64_t>(binary.mantissa), out);
      AppendBinaryExponent(binary.exponent, 1, out);
      return;
    }
    case 'e':
      AppendWithToChars(magnitude, std::chars_format::scientific, precision, out);
      return;
    case 'f':
      AppendPlain(magnitude, precision, out);
      return;
    case 'x':
      AppendHexFloat(magnitude, precision, out);
      return;
    default:
      if (precision == kShortest) {
        AppendFloatText(magnitude, out);
      } else {
        AppendWithToChars(magnitude, std::chars_format::general, precision == 0 ? 1 : precision,
                          out);
      }
      return;
  }
}

/// '#': always a point; %g, %G and %x (but not %X) keep trailing zeros up to their precision.
void ForcePoint(char verb, bool upper, int precision, std::string* number) {
  std::string tail;
  const size_t exponent = number->find_first_of(verb == 'x' ? "p" : "ep");
  if (exponent != std::string::npos) {
    tail = number->substr(exponent);
    number->resize(exponent);
  }
  int missing = 0;
  if (verb == 'g' || (verb == 'x' && !upper)) {
    missing = precision == kShortest ? kDefaultPrecision : precision;
  }
  bool has_point = false;
  bool significant = false;
  for (const char c : *number) {
    if (c == '.') {
      has_point = true;
      continue;
    }
    significant = significant || c != '0';
    missing -= significant ? 1 : 0;
  }
  if (!has_point) {
    if (*number == "0") {
      --missing;
    }
    number->push_back('.');
  }
  if (missing > 0) {
    number->append(static_cast<size_t>(missing), '0');
  }
  *number += tail;
}

void ToUpper(std::string* text) {
  for (char& c : *text) {
    if (c >= 'a' && c <= 'z') {
      c = static_cast<char>(c - 'a' + 'A');
    }
  }
}

}  // namespace

void PrintFloatVerb(double value, char verb, const Flags& flags, std::string* out) {
  const bool upper = verb == 'E' || verb == 'G' || verb == 'X';
  if (verb == 'v') {
    verb = 'g';
  } else if (verb <= 'Z') {
    verb = static_cast<char>(verb - 'A' + 'a');
  }
  int precision = verb == 'e' || verb == 'f' ? kDefaultPrecision : kShortest;
  if (flags.has_precision) {
    precision = flags.precision;
  }
  const bool finite = std::isfinite(value);
  const bool unadorned = !upper && !flags.plus && !flags.space && !flags.sharp && !flags.has_width;
  if (unadorned && finite) {
    if (std::signbit(value)) {
      out->push_back('-');
    }
    AppendMagnitude(std::fabs(value), verb, precision, out);
    return;
  }
  // The sign is kept apart, so that zero padding can go between it and the digits.
  char sign = std::signbit(value) && !std::isnan(value) ? '-' : '+';
  if (flags.space && sign == '+' && !flags.plus) {
    sign = ' ';
  }
  std::string number;
  if (!finite) {
    Flags blanks = flags;
    blanks.zero = false;
    const bool is_nan = std::isnan(value);
    if (!is_nan || flags.space || flags.plus) {
      number.push_back(sign);
    }
    number += is_nan ? "NaN" : "Inf";
    AppendPadded(number, blanks, out);
    return;
  }
  AppendMagnitude(std::fabs(value), verb, precision, &number);
  if (flags.sharp && verb != 'b') {
    ForcePoint(verb, upper, precision, &number);
  }
  if (upper) {
    ToUpper(&number);
  }
  if (!flags.plus && sign == '+') {
    AppendPadded(number, flags, out);
    return;
  }
  if (flags.zero && !flags.minus && flags.has_width) {
    out->push_back(sign);
    AppendPadding(flags.width - 1 - static_cast<int64_t>(number.size()), flags, out);
    out->append(number);
    return;
  }
  number.insert(number.begin(), sign);
  AppendPadded(number, flags, out);
}

}  // namespace format_internal
}  // namespace capi::data
