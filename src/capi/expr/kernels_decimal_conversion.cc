#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string>

#include "capi/expr/kernels_decimal_internal.h"

namespace capi::expr::kernels {

namespace {

using data::BigDecimal;

/// Digits with leading zeros.
char* AppendPadded(uint64_t value, int digits, char* at) {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return at + digits;
}

/// The nearest float of unscaled * 10^-scale.
double NearestFloat(int128 unscaled, int scale) {
  constexpr uint64_t kSplit = 10000000000000000000U;  // 10^19
  constexpr int kSplitDigits = 19;
  std::array<char, 64> text;
  char* at = text.data();
  char* const end = text.data() + text.size();
  auto magnitude = static_cast<unsigned __int128>(unscaled);
  if (unscaled < 0) {
    magnitude = 0 - magnitude;
    *at++ = '-';
  }
  const auto high = static_cast<unsigned __int128>(magnitude / kSplit);
  if (high == 0) {
    at = std::to_chars(at, end, static_cast<uint64_t>(magnitude)).ptr;
  } else {
    // 2^127 has 39 digits: the part above 10^19 may itself need 20.
    const auto low = static_cast<uint64_t>(magnitude % kSplit);
    if (high >= kSplit) {
      at = std::to_chars(at, end, static_cast<uint64_t>(high / kSplit)).ptr;
      at = AppendPadded(static_cast<uint64_t>(high % kSplit), kSplitDigits, at);
    } else {
      at = std::to_chars(at, end, static_cast<uint64_t>(high)).ptr;
    }
    at = AppendPadded(low, kSplitDigits, at);
  }
  *at++ = 'e';
  at = std::to_chars(at, end, -scale).ptr;
  double value = 0;
  std::from_chars(text.data(), at, value);
  return value;
}

}  // namespace

int64_t PowerOfTen(int exponent) { return kPowers[exponent]; }

Vector NarrowIfPossible(int128* values, int scale, int64_t n, Scratch* scratch) {
  bool fits = true;
  for (int64_t i = 0; i < n; ++i) fits &= FitsInt64(values[i]);
  if (!fits) return MakeDecimals(Form::kInt128, scale, values);
  auto* narrow = scratch->Allocate<int64_t>(n);
  for (int64_t i = 0; i < n; ++i) narrow[i] = static_cast<int64_t>(values[i]);
  return MakeDecimals(Form::kInt64, scale, narrow);
}

bool RescaleInts(const int64_t* values, int from, int to, int64_t n, int64_t* out) {
  if (to < from) {
    if (from - to > kMaxNarrowExponent) return false;
    const int64_t divisor = kPowers[from - to];
    if (divisor == kHundred) {
      for (int64_t i = 0; i < n; ++i) out[i] = RoundHundredth(values[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) out[i] = RoundDivide(values[i], divisor);
    }
    return true;
  }
  if (to - from > kMaxNarrowExponent) return false;
  const int64_t factor = kPowers[to - from];
  bool overflow = false;
  for (int64_t i = 0; i < n; ++i) {
    overflow |= __builtin_mul_overflow(values[i], factor, &out[i]);
  }
  return !overflow;
}

void DecimalsToFloats(const Vector& values, int64_t n, double* out) {
  // Both sides of the division are exact floats, so that the quotient is the nearest float.
  constexpr int64_t kExactInts = int64_t{1} << 53;
  if (values.form == Form::kInt64 && values.scale <= kMaxNarrowExponent) {
    const auto* unscaled = values.as<int64_t>();
    const auto divisor = static_cast<double>(kPowers[values.scale]);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t value = unscaled[i];
      out[i] = value <= kExactInts && value >= -kExactInts ? static_cast<double>(value) / divisor
                                                           : NearestFloat(value, values.scale);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    out[i] = values.form == Form::kBigDecimal ? values.as<BigDecimal>()[i].ToDouble()
                                              : NearestFloat(LoadWide(values, i), values.scale);
  }
}

bool DecimalsToInts(const Vector& values, int64_t n, int64_t* out) {
  if (values.form == Form::kInt64 && values.scale <= kMaxNarrowExponent) {
    const auto* unscaled = values.as<int64_t>();
    if (values.scale == kStoredScale) {
      for (int64_t i = 0; i < n; ++i) out[i] = unscaled[i] / kHundred;
    } else {
      const int64_t divisor = kPowers[values.scale];
      for (int64_t i = 0; i < n; ++i) out[i] = unscaled[i] / divisor;
    }
    return true;
  }
  for (int64_t i = 0; i < n; ++i) {
    if (values.form == Form::kBigDecimal) {
      const Result<int64_t> value = values.as<BigDecimal>()[i].ToInt();
      if (!value.ok()) return false;
      out[i] = *value;
    } else {
      const int128 value = LoadWide(values, i) / kWidePowers[values.scale];
      if (!FitsInt64(value)) return false;
      out[i] = static_cast<int64_t>(value);
    }
  }
  return true;
}

Vector DecimalsFromParts(const int64_t* mantissas, const int8_t* scales, int64_t n,
                         Scratch* scratch) {
  int scale = kStoredScale;
  bool same = true;
  for (int64_t i = 0; i < n; ++i) scale = std::max<int>(scale, scales[i]);
  for (int64_t i = 0; i < n; ++i) same &= scales[i] == scale;
  if (same) return MakeDecimals(Form::kInt64, scale, mantissas);
  auto* narrow = scratch->Allocate<int64_t>(n);
  bool overflow = false;
  for (int64_t i = 0; i < n; ++i) {
    overflow |= __builtin_mul_overflow(mantissas[i], kPowers[scale - scales[i]], &narrow[i]);
  }
  if (!overflow) return MakeDecimals(Form::kInt64, scale, narrow);
  auto* wide = scratch->Allocate<int128>(n);
  for (int64_t i = 0; i < n; ++i) wide[i] = int128{mantissas[i]} * kPowers[scale - scales[i]];
  return MakeDecimals(Form::kInt128, scale, wide);
}

Vector CompactBigDecimals(const std::vector<BigDecimal>& values, Scratch* scratch) {
  const auto n = static_cast<int64_t>(values.size());
  auto* wide = scratch->Allocate<int128>(n);
  int scale = kStoredScale;
  const auto fits = [&](int64_t i) {
    return values[i].ToInt128(scale, &wide[i]) &&
           BigDecimal::FromInt128(wide[i], scale).Compare(values[i]) == 0;
  };
  for (int64_t i = 0; i < n; ++i) {
    while (!fits(i)) {
      if (++scale > kMaxNarrowExponent) return MakeDecimals(Form::kBigDecimal, 0, values.data());
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    if (!fits(i)) return MakeDecimals(Form::kBigDecimal, 0, values.data());
  }
  return NarrowIfPossible(wide, scale, n, scratch);
}

int64_t ToHundredths(const Vector& values, int64_t n, int128* out) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = values.constant ? 0 : i;
    if (values.form == Form::kBigDecimal) {
      if (!values.as<BigDecimal>()[at].ToInt128(kStoredScale, &out[i])) return i;
    } else {
      const int128 value = LoadWide(values, at);
      if (values.scale > kStoredScale) {
        out[i] = RoundQuotient(value, kWidePowers[values.scale - kStoredScale]);
      } else if (__builtin_mul_overflow(value, kWidePowers[kStoredScale - values.scale], &out[i])) {
        return i;
      }
    }
    if (!data::FitsStoredDecimal(out[i])) return i;
  }
  return n;
}

bool ToNarrowHundredths(const Vector& values, int64_t n, int64_t* out) {
  if (values.form != Form::kInt64) return false;
  const auto* unscaled = values.as<int64_t>();
  if (values.scale == kStoredScale) {
    if (unscaled != out) std::memcpy(out, unscaled, static_cast<size_t>(n) * sizeof(int64_t));
  } else if (!RescaleInts(unscaled, values.scale, kStoredScale, n, out)) {
    return false;
  }
  int64_t min = 0;
  int64_t max = 0;
  if (n > 0) MinMaxInts(out, n, &min, &max);
  return min >= -data::kMaxNarrowDecimal && max <= data::kMaxNarrowDecimal;
}

void AppendDecimalText(int64_t unscaled, int scale, std::string* out) {
  constexpr size_t kMaxDigits = 20;
  std::array<char, kMaxDigits> digits;
  uint64_t magnitude = static_cast<uint64_t>(unscaled);
  if (unscaled < 0) {
    magnitude = 0 - magnitude;
    out->push_back('-');
  }
  while (scale > 0 && magnitude % 10 == 0) {
    magnitude /= 10;
    if (magnitude == 0) scale = 1;
    --scale;
  }
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), magnitude).ptr;
  const auto count = static_cast<int>(end - digits.data());
  if (scale == 0) {
    out->append(digits.data(), count);
    return;
  }
  if (count > scale) {
    out->append(digits.data(), count - scale);
  } else {
    out->push_back('0');
  }
  out->push_back('.');
  if (count < scale) out->append(scale - count, '0');
  const int fraction = std::min(count, scale);
  out->append(digits.data() + count - fraction, fraction);
}

}  // namespace capi::expr::kernels
