#pragma once

// Values -> cell text with the usual formats, written straight into a buffer.

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "capi/data/datetime.h"

namespace capi::formats::internal {

inline constexpr char kDigitPairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

inline void WriteTwoDigits(uint64_t value, char* out) {
  std::memcpy(out, kDigitPairs + 2 * value, 2);
}

int CountDigits(uint64_t value);

/// Digits of value, no leading zeros. Returns the end.
inline char* WriteUnsigned(uint64_t value, char* out) {
  const int length = CountDigits(value);
  char* at = out + length;
  while (value >= 100) {
    at -= 2;
    WriteTwoDigits(value % 100, at);
    value /= 100;
  }
  if (value >= 10) {
    WriteTwoDigits(value, at - 2);
  } else {
    at[-1] = static_cast<char>('0' + value);
  }
  return out + length;
}

inline uint64_t MagnitudeOf(int64_t value) {
  return value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
}

/// Longest text of WriteHundredths and of a 64-bit integer.
inline constexpr int64_t kMaxNumberText = 24;

/// "-1.05"
inline char* WriteHundredths(int64_t hundredths, char* out) {
  *out = '-';
  out += hundredths < 0 ? 1 : 0;
  const uint64_t magnitude = MagnitudeOf(hundredths);
  const uint64_t whole = magnitude / 100;
  out = WriteUnsigned(whole, out);
  *out++ = '.';
  WriteTwoDigits(magnitude - whole * 100, out);
  return out + 2;
}

/// A Sprintf format of one verb without precision, with literal text around: "%d", "%05d", "$%10s".
class PaddedFormat {
 public:
  /// nullopt when the format is of another kind. verb is 'd' or 's'.
  static std::optional<PaddedFormat> Parse(std::string_view format, char verb);

  /// Room that the text of one value takes at most.
  int64_t max_bytes() const {
    return static_cast<int64_t>(prefix_.size() + suffix_.size()) + width_ + kMaxNumberText;
  }
  char* WriteInt(int64_t value, char* out) const;
  /// Applies to the text "-1.05".
  char* WriteDecimal(int64_t hundredths, char* out) const;
  bool is_bare() const { return width_ == 0 && prefix_.empty() && suffix_.empty(); }
  const std::string& prefix() const { return prefix_; }
  const std::string& suffix() const { return suffix_; }

 private:
  char* Surround(const char* text, int64_t length, char* out) const;

  std::string prefix_;
  std::string suffix_;
  int width_ = 0;
  bool zeros_ = false;
  bool left_ = false;
};

/// A time layout of fixed width made of 2006 01 02 15 04 05 .000 and punctuation.
class FixedTimeFormat {
 public:
  static std::optional<FixedTimeFormat> Parse(std::string_view layout);

  int64_t max_bytes() const { return static_cast<int64_t>(template_.size()); }
  /// Returns null for years that do not have four digits.
  char* Write(int64_t millis, char* out) const;

 private:
  std::string template_;
  // Offsets in the template, -1 when the part is not there.
  int year_ = -1;
  int month_ = -1;
  int day_ = -1;
  int hour_ = -1;
  int minute_ = -1;
  int second_ = -1;
  int millisecond_ = -1;
};

}  // namespace capi::formats::internal
