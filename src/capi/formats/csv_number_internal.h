#pragma once

// Numbers written in plain digits, the overwhelmingly usual case. "False" means: go by the rules of
// CsvConversion; it never means that the text is wrong.

#include <bit>
#include <cstdint>
#include <cstring>

namespace capi::formats::internal {

inline constexpr uint64_t kPowersOfTen[] = {1ULL,
                                            10ULL,
                                            100ULL,
                                            1000ULL,
                                            10000ULL,
                                            100000ULL,
                                            1000000ULL,
                                            10000000ULL,
                                            100000000ULL,
                                            1000000000ULL,
                                            10000000000ULL,
                                            100000000000ULL,
                                            1000000000000ULL,
                                            10000000000000ULL,
                                            100000000000000ULL,
                                            1000000000000000ULL,
                                            10000000000000000ULL,
                                            100000000000000000ULL,
                                            1000000000000000000ULL};

static_assert(std::endian::native == std::endian::little, "words of text are read little-endian");

/// The last `length` (1 to 8) bytes before `end` as a word with '0' put before them. Reads the 8
/// bytes before `end`.
inline uint64_t LoadDigitsBefore(const char* end, int64_t length) {
  uint64_t word = 0;
  std::memcpy(&word, end - 8, 8);
  const int unused_bits = static_cast<int>(8 - length) * 8;
  if (unused_bits == 0) {
    return word;
  }
  constexpr uint64_t kZeros = 0x3030303030303030ULL;
  return (word >> unused_bits << unused_bits) | (kZeros >> (64 - unused_bits));
}

/// True if all 8 bytes are '0' to '9'.
inline bool AllDigits(uint64_t word) {
  return ((word & 0xF0F0F0F0F0F0F0F0ULL) |
          (((word + 0x0606060606060606ULL) & 0xF0F0F0F0F0F0F0F0ULL) >> 4)) == 0x3333333333333333ULL;
}

/// Value of 8 digits, the first of them in the lowest byte.
inline uint32_t ParseEightDigits(uint64_t word) {
  word = (word & 0x0F0F0F0F0F0F0F0FULL) * 2561 >> 8;
  word = (word & 0x00FF00FF00FF00FFULL) * 6553601 >> 16;
  return static_cast<uint32_t>((word & 0x0000FFFF0000FFFFULL) * 42949672960001ULL >> 32);
}

/// Optional sign and up to 18 digits. before_readable: the 8 bytes before `end` may be read.
inline bool TryParsePlainInt(const char* begin, const char* end, bool before_readable,
                             int64_t* value) {
  bool negative = false;
  if (begin != end && (*begin == '-' || *begin == '+')) {
    negative = *begin == '-';
    ++begin;
  }
  const int64_t length = end - begin;
  if (length < 1 || length > 18) {
    return false;
  }
  int64_t magnitude = 0;
  if (length <= 8 && before_readable) {
    const uint64_t word = LoadDigitsBefore(end, length);
    if (!AllDigits(word)) {
      return false;
    }
    magnitude = ParseEightDigits(word);
  } else {
    for (; begin != end; ++begin) {
      const auto digit = static_cast<unsigned>(*begin - '0');
      if (digit > 9) {
        return false;
      }
      magnitude = magnitude * 10 + static_cast<int64_t>(digit);
    }
  }
  *value = negative ? -magnitude : magnitude;
  return true;
}

/// magnitude * 10^-decimals, with the sign apart.
struct PlainNumber {
  uint64_t magnitude = 0;
  int decimals = 0;
  bool negative = false;
};

/// Optional sign, digits with at most one point among, before or behind them; at most max_digits
/// (18 at most) digits in all.
inline bool TryParsePlainNumber(const char* begin, const char* end, int max_digits,
                                PlainNumber* number) {
  number->negative = false;
  if (begin != end && (*begin == '-' || *begin == '+')) {
    number->negative = *begin == '-';
    ++begin;
  }
  if (end - begin > max_digits + 1) {
    return false;
  }
  uint64_t magnitude = 0;
  int digits = 0;
  const char* point = nullptr;
  for (; begin != end; ++begin) {
    const auto digit = static_cast<unsigned>(*begin - '0');
    if (digit <= 9) {
      magnitude = magnitude * 10 + digit;
      ++digits;
    } else if (*begin == '.' && point == nullptr) {
      point = begin;
    } else {
      return false;
    }
  }
  if (digits == 0 || digits > max_digits) {
    return false;
  }
  number->magnitude = magnitude;
  number->decimals = point == nullptr ? 0 : static_cast<int>(end - point - 1);
  return true;
}

/// Numbers of at most 18 digits as hundredths, rounded half away from zero.
inline int64_t ToHundredthsHalfAway(const PlainNumber& number) {
  // 18 digits without decimals would overflow as hundredths: callers check the magnitude.
  uint64_t hundredths = number.magnitude;
  if (number.decimals <= 2) {
    hundredths *= kPowersOfTen[2 - number.decimals];
  } else {
    const uint64_t divisor = kPowersOfTen[number.decimals - 2];
    const uint64_t rest = hundredths % divisor;
    hundredths = hundredths / divisor + (rest >= divisor - rest ? 1 : 0);
  }
  return number.negative ? -static_cast<int64_t>(hundredths) : static_cast<int64_t>(hundredths);
}

/// Numbers as TryParsePlainNumber, straight to hundredths. Money ("1234.56") takes a few cycles.
inline bool TryParsePlainHundredths(const char* begin, const char* end, bool before_readable,
                                    int max_digits, int64_t* hundredths) {
  const bool negative = begin != end && *begin == '-';
  const int64_t length = end - begin - (negative ? 1 : 0);
  if (length >= 4 && length <= 8 && before_readable && end[-3] == '.') {
    const uint64_t word = LoadDigitsBefore(end, length);
    // Closes the gap of the point, which stands in byte 5.
    const uint64_t digits = ((word << 8) & 0x0000FFFFFFFFFF00ULL) | (word & 0xFFFF000000000000ULL) |
                            static_cast<uint64_t>('0');
    if (AllDigits(digits)) {
      const int64_t magnitude = ParseEightDigits(digits);
      *hundredths = negative ? -magnitude : magnitude;
      return true;
    }
  }
  PlainNumber number;
  // 16 digits before the point are the most that hundredths of 18 digits hold.
  if (!TryParsePlainNumber(begin, end, max_digits, &number) ||
      (number.decimals < 2 && number.magnitude >= kPowersOfTen[16])) {
    return false;
  }
  *hundredths = ToHundredthsHalfAway(number);
  return true;
}

/// The float nearest to the number, for numbers of at most 15 digits: both operands are exact, so
/// the division rounds once.
inline double ToDouble(const PlainNumber& number) {
  const double magnitude =
      static_cast<double>(number.magnitude) / static_cast<double>(kPowersOfTen[number.decimals]);
  return number.negative ? -magnitude : magnitude;
}

}  // namespace capi::formats::internal
