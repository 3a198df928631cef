#include "capi/cli/go_duration.h"

namespace capi::cli {

namespace {

/// value / unit with as many decimals as are needed.
std::string Fraction(uint64_t value, uint64_t unit) {
  std::string text = std::to_string(value / unit);
  uint64_t rest = value % unit;
  if (rest == 0) return text;
  text += '.';
  while (rest != 0) {
    rest *= 10;
    text += static_cast<char>('0' + rest / unit);
    rest %= unit;
  }
  return text;
}

}  // namespace

std::string GoDuration(int64_t nanoseconds) {
  constexpr uint64_t kMicro = 1000;
  constexpr uint64_t kMilli = 1000 * kMicro;
  constexpr uint64_t kSecond = 1000 * kMilli;
  constexpr uint64_t kMinute = 60 * kSecond;
  constexpr uint64_t kHour = 60 * kMinute;
  if (nanoseconds == 0) return "0s";
  const bool negative = nanoseconds < 0;
  // Unsigned, because the least number has no positive counterpart.
  const uint64_t n =
      negative ? 0 - static_cast<uint64_t>(nanoseconds) : static_cast<uint64_t>(nanoseconds);
  std::string text = negative ? "-" : "";
  if (n < kMicro) return text + std::to_string(n) + "ns";
  if (n < kMilli) return text + Fraction(n, kMicro) + "\u00b5s";
  if (n < kSecond) return text + Fraction(n, kMilli) + "ms";
  if (n >= kHour) text += std::to_string(n / kHour) + "h";
  if (n >= kMinute) text += std::to_string(n % kHour / kMinute) + "m";
  return text + Fraction(n % kMinute, kSecond) + "s";
}

}  // namespace capi::cli
