#pragma once

// What the decimal kernels share.

#include <array>
#include <cstdint>

#include "capi/expr/kernels_internal.h"

namespace capi::expr::kernels {

inline constexpr int kMaxNarrowExponent = 18;
inline constexpr int kMaxWideExponent = 38;
inline constexpr int64_t kHundred = 100;

inline constexpr std::array<int64_t, kMaxNarrowExponent + 1> kPowers = [] {
  std::array<int64_t, kMaxNarrowExponent + 1> powers{};
  int64_t power = 1;
  for (int i = 0; i <= kMaxNarrowExponent; ++i) {
    powers[i] = power;
    if (i < kMaxNarrowExponent) power *= 10;
  }
  return powers;
}();
inline constexpr std::array<int128, kMaxWideExponent + 1> kWidePowers = [] {
  std::array<int128, kMaxWideExponent + 1> powers{};
  int128 power = 1;
  for (int i = 0; i <= kMaxWideExponent; ++i) {
    powers[i] = power;
    if (i < kMaxWideExponent) power *= 10;
  }
  return powers;
}();

inline constexpr int128 kWideMin = static_cast<int128>(static_cast<unsigned __int128>(1) << 127);

inline bool FitsInt64(int128 value) { return value == static_cast<int64_t>(value); }

/// Half away from zero; divisor even and positive.
inline int64_t RoundDivide(int64_t value, int64_t divisor) {
  const int64_t quotient = value / divisor;
  const int64_t remainder = value % divisor;
  const int64_t half = divisor / 2;
  return quotient + (remainder >= half) - (remainder <= -half);
}
/// A constant divisor lets the compiler multiply instead.
inline int64_t RoundHundredth(int64_t value) { return RoundDivide(value, kHundred); }

/// Half away from zero; any divisor but 0. The quotient must fit.
inline int128 RoundQuotient(int128 value, int128 divisor) {
  int128 quotient;
  int128 remainder;
  if (FitsInt64(value) && FitsInt64(divisor) && divisor != -1) {
    quotient = static_cast<int64_t>(value) / static_cast<int64_t>(divisor);
    remainder = static_cast<int64_t>(value) % static_cast<int64_t>(divisor);
  } else {
    quotient = value / divisor;
    remainder = value - quotient * divisor;
  }
  const int128 rest = remainder < 0 ? -remainder : remainder;
  const int128 size = divisor < 0 ? -divisor : divisor;
  if (rest >= size - rest && rest != 0) quotient += (value < 0) == (divisor < 0) ? 1 : -1;
  return quotient;
}

inline int64_t CountOf(const Vector& vector, int64_t n) { return vector.constant ? 1 : n; }

inline Vector MakeDecimals(Form form, int scale, const void* values) {
  Vector vector;
  vector.type = ValueType::kDecimal;
  vector.form = form;
  vector.scale = scale;
  vector.values = values;
  return vector;
}

inline int128 LoadWide(const Vector& vector, int64_t i) {
  return vector.form == Form::kInt64 ? int128{vector.as<int64_t>()[i]} : vector.as<int128>()[i];
}

/// 64 bits if all values fit.
Vector NarrowIfPossible(int128* values, int scale, int64_t n, Scratch* scratch);

}  // namespace capi::expr::kernels
