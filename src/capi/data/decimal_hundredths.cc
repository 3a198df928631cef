// Hundredths: the parse and print paths of decimal2 columns.

#include <cstring>

#include "capi/data/decimal.h"
#include "capi/data/decimal_digits_internal.h"

namespace capi::data {
namespace {

using uint128 = unsigned __int128;

constexpr int kStoredDigits = 38;
constexpr int kMaxPower = 38;

struct Powers {
  uint128 values[kMaxPower + 1];
};

constexpr Powers MakePowers() {
  Powers powers{};
  powers.values[0] = 1;
  for (int i = 1; i <= kMaxPower; ++i) {
    powers.values[i] = powers.values[i - 1] * 10;
  }
  return powers;
}

constexpr Powers kPowers = MakePowers();

/// Writes `value` so that it ends at `end`; returns the begin.
char* WriteBackward(uint64_t value, char* end) {
  while (value >= 100) {
    end -= 2;
    std::memcpy(end, kTwoDigits + 2 * (value % 100), 2);
    value /= 100;
  }
  if (value >= 10) {
    end -= 2;
    std::memcpy(end, kTwoDigits + 2 * value, 2);
    return end;
  }
  *--end = static_cast<char>('0' + value);
  return end;
}

int CountDigits(uint64_t value) {
  int digits = 1;
  while (value >= 10000) {
    value /= 10000;
    digits += 4;
  }
  return digits + (value >= 10) + (value >= 100) + (value >= 1000);
}

int FormatNarrow(uint64_t magnitude, char* out) {
  const uint64_t integer = magnitude / 100;
  const int digits = CountDigits(integer);
  WriteBackward(integer, out + digits);
  out[digits] = '.';
  std::memcpy(out + digits + 1, kTwoDigits + 2 * (magnitude % 100), 2);
  return digits + 3;
}

constexpr uint64_t kZeros = 0x3030303030303030ULL;

/// True if all eight bytes are '0'..'9'.
bool AllDigits(uint64_t bytes) {
  return ((bytes & 0xF0F0F0F0F0F0F0F0ULL) |
          (((bytes + 0x0606060606060606ULL) & 0xF0F0F0F0F0F0F0F0ULL) >> 4)) ==
         0x3333333333333333ULL;
}

/// The number that eight ASCII digits (first character in the lowest byte) stand for.
uint64_t EightDigits(uint64_t bytes) {
  bytes = (bytes & 0x0F0F0F0F0F0F0F0FULL) * 2561 >> 8;
  bytes = (bytes & 0x00FF00FF00FF00FFULL) * 6553601 >> 16;
  return (bytes & 0x0000FFFF0000FFFFULL) * 42949672960001ULL >> 32;
}

uint64_t Load8(const char* from) {
  uint64_t bytes;
  std::memcpy(&bytes, from, 8);
  return bytes;
}

/// Turns the last eight characters of a number (right-aligned: the last one in the highest byte,
/// unused low bytes '0') into hundredths. At most two decimals. False for anything else.
bool TailToHundredths(uint64_t bytes, uint64_t* value, uint64_t* head_factor) {
  const auto at = [bytes](int index) { return static_cast<char>(bytes >> (8 * index)); };
  if (at(5) == '.') {
    constexpr uint64_t kFraction = 0xFFFF000000000000ULL;
    const uint64_t digits = (bytes & kFraction) | ((bytes << 8) & ~kFraction) | '0';
    *value = EightDigits(digits);
    *head_factor = 10000000;
    return AllDigits(digits);
  }
  if (at(6) == '.') {
    constexpr uint64_t kFraction = 0xFF00000000000000ULL;
    const uint64_t digits = (bytes & kFraction) | ((bytes << 8) & ~kFraction) | '0';
    *value = EightDigits(digits) * 10;
    *head_factor = 100000000;
    return AllDigits(digits);
  }
  if (at(7) == '.') {
    const uint64_t digits = (bytes << 8) | '0';
    *value = EightDigits(digits) * 100;
    *head_factor = 1000000000;
    return AllDigits(digits);
  }
  *value = EightDigits(bytes) * 100;
  *head_factor = 10000000000;
  return AllDigits(bytes);
}

}  // namespace

int128 RescaleHalfAway(int128 value, int from_scale, int to_scale) {
  const int difference = from_scale - to_scale;
  if (difference == 0) {
    return value;
  }
  const uint128 divisor = kPowers.values[difference];
  const uint128 magnitude =
      value < 0 ? ~static_cast<uint128>(value) + 1 : static_cast<uint128>(value);
  uint128 quotient;
  uint128 remainder;
  if ((magnitude >> 64) == 0 && (divisor >> 64) == 0) {
    // 64-bit division is several times faster than the 128-bit library call.
    const uint64_t narrow = static_cast<uint64_t>(magnitude);
    const uint64_t narrow_divisor = static_cast<uint64_t>(divisor);
    quotient = narrow / narrow_divisor;
    remainder = narrow % narrow_divisor;
  } else {
    quotient = magnitude / divisor;
    remainder = magnitude % divisor;
  }
  if (remainder >= divisor - remainder) {
    ++quotient;
  }
  return value < 0 ? -static_cast<int128>(quotient) : static_cast<int128>(quotient);
}

bool FitsStoredDecimal(int128 hundredths) {
  const int128 limit = static_cast<int128>(kPowers.values[kStoredDigits]);
  return hundredths < limit && hundredths > -limit;
}

bool TryParseHundredths(const char* begin, const char* end, int64_t* hundredths) {
  bool negative = false;
  if (begin != end && (*begin == '-' || *begin == '+')) {
    negative = *begin == '-';
    ++begin;
  }
  const int64_t size = end - begin;
  uint64_t value = 0;
  uint64_t head_factor = 0;
  if (size >= 4 && size <= 8) {
    // Two overlapping loads never read outside the text.
    uint32_t low;
    uint32_t high;
    std::memcpy(&low, begin, 4);
    std::memcpy(&high, end - 4, 4);
    const int unused_bits = static_cast<int>(8 * (8 - size));
    uint64_t bytes =
        (static_cast<uint64_t>(high) << 32) | (static_cast<uint64_t>(low) << unused_bits);
    bytes |= kZeros & ((uint64_t{1} << unused_bits) - 1);
    if (!TailToHundredths(bytes, &value, &head_factor)) {
      return false;
    }
  } else if (size > 8 && size <= 16) {
    const int unused_bits = static_cast<int>(8 * (16 - size));
    uint64_t head = Load8(begin) << unused_bits;
    head |= kZeros & ((uint64_t{1} << unused_bits) - 1);
    if (!TailToHundredths(Load8(end - 8), &value, &head_factor) || !AllDigits(head)) {
      return false;
    }
    value += EightDigits(head) * head_factor;
  } else if (size >= 1 && size <= 3) {
    uint64_t bytes = kZeros;
    for (const char* p = begin; p != end; ++p) {
      bytes = (bytes >> 8) | (static_cast<uint64_t>(static_cast<uint8_t>(*p)) << 56);
    }
    // A lone point is no number.
    if ((size == 1 && *begin == '.') || !TailToHundredths(bytes, &value, &head_factor)) {
      return false;
    }
  } else {
    return false;
  }
  *hundredths = negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
  return true;
}

Result<int128> ParseHundredths(std::string_view text) {
  int64_t narrow = 0;
  if (TryParseHundredths(text.data(), text.data() + text.size(), &narrow)) {
    return static_cast<int128>(narrow);
  }
  CAPI_ASSIGN_OR_RETURN(const BigDecimal decimal, BigDecimal::Parse(text));
  int128 hundredths = 0;
  if (!decimal.ToInt128(2, &hundredths) || !FitsStoredDecimal(hundredths)) {
    return UserError("number_out_of_range", "decimal has more than 38 digits: \"" +
                                                std::string(text.substr(0, 64)) + "\"");
  }
  return hundredths;
}

int FormatHundredths(int128 hundredths, char* out) {
  char* const begin = out;
  uint128 magnitude = static_cast<uint128>(hundredths);
  if (hundredths < 0) {
    *out++ = '-';
    magnitude = ~magnitude + 1;
  }
  if ((magnitude >> 64) == 0) {
    return static_cast<int>(out - begin) + FormatNarrow(static_cast<uint64_t>(magnitude), out);
  }
  // Chunks of 18 digits from the right; the lowest chunk holds the two decimals.
  constexpr uint64_t kChunk = 1000000000000000000ULL;
  constexpr int kChunkDigits = 18;
  uint64_t chunks[3];
  int count = 0;
  while (magnitude != 0) {
    chunks[count++] = static_cast<uint64_t>(magnitude % kChunk);
    magnitude /= kChunk;
  }
  int digits = CountDigits(chunks[count - 1]);
  WriteBackward(chunks[count - 1], out + digits);
  out += digits;
  for (int i = count - 1; i-- > 0;) {
    std::memset(out, '0', kChunkDigits);
    WriteBackward(chunks[i], out + kChunkDigits);
    out += kChunkDigits;
  }
  out[0] = out[-1];
  out[-1] = out[-2];
  out[-2] = '.';
  return static_cast<int>(out + 1 - begin);
}

}  // namespace capi::data
