#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "capi/expr/kernels_internal.h"
#include "capi/expr/scalar_functions.h"

namespace capi::expr::kernels {

namespace {

using data::BigDecimal;

constexpr int kMaxNarrowExponent = 18;
constexpr int kMaxWideExponent = 38;
constexpr int64_t kHundred = 100;

constexpr std::array<int64_t, kMaxNarrowExponent + 1> kPowers = [] {
  std::array<int64_t, kMaxNarrowExponent + 1> powers{};
  int64_t power = 1;
  for (int i = 0; i <= kMaxNarrowExponent; ++i) {
    powers[i] = power;
    if (i < kMaxNarrowExponent) power *= 10;
  }
  return powers;
}();
constexpr std::array<int128, kMaxWideExponent + 1> kWidePowers = [] {
  std::array<int128, kMaxWideExponent + 1> powers{};
  int128 power = 1;
  for (int i = 0; i <= kMaxWideExponent; ++i) {
    powers[i] = power;
    if (i < kMaxWideExponent) power *= 10;
  }
  return powers;
}();

constexpr int128 kWideMin = static_cast<int128>(static_cast<unsigned __int128>(1) << 127);

bool FitsInt64(int128 value) { return value == static_cast<int64_t>(value); }

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

int64_t CountOf(const Vector& vector, int64_t n) { return vector.constant ? 1 : n; }

Vector Made(Form form, int scale, const void* values) {
  Vector vector;
  vector.type = ValueType::kDecimal;
  vector.form = form;
  vector.scale = scale;
  vector.values = values;
  return vector;
}

int128 LoadWide(const Vector& vector, int64_t i) {
  return vector.form == Form::kInt64 ? int128{vector.as<int64_t>()[i]} : vector.as<int128>()[i];
}

/// Values at a scale not below their own, in 64 bits; false if they do not fit.
bool AsNarrow(const Vector& vector, int64_t n, int scale, Scratch* scratch, Operand<int64_t>* out) {
  if (vector.form != Form::kInt64) return false;
  if (vector.scale == scale) {
    *out = OperandOf<int64_t>(vector);
    return true;
  }
  const int64_t count = CountOf(vector, n);
  auto* scaled = scratch->Allocate<int64_t>(count);
  if (!RescaleInts(vector.as<int64_t>(), vector.scale, scale, count, scaled)) return false;
  *out = {scaled, vector.constant};
  return true;
}

bool AsWide(const Vector& vector, int64_t n, int scale, Scratch* scratch, Operand<int128>* out) {
  if (vector.form == Form::kBigDecimal || scale - vector.scale > kMaxWideExponent) return false;
  if (vector.form == Form::kInt128 && vector.scale == scale) {
    *out = OperandOf<int128>(vector);
    return true;
  }
  const int64_t count = CountOf(vector, n);
  const int128 factor = kWidePowers[scale - vector.scale];
  auto* scaled = scratch->Allocate<int128>(count);
  bool overflow = false;
  for (int64_t i = 0; i < count; ++i) {
    overflow |= __builtin_mul_overflow(LoadWide(vector, i), factor, &scaled[i]);
  }
  *out = {scaled, vector.constant};
  return !overflow;
}

Operand<BigDecimal> AsBig(const Vector& vector, int64_t n, Scratch* scratch) {
  if (vector.form == Form::kBigDecimal) return OperandOf<BigDecimal>(vector);
  const int64_t count = CountOf(vector, n);
  std::vector<BigDecimal>& values = scratch->NewBigDecimals(count);
  for (int64_t i = 0; i < count; ++i) values[i] = DecimalAt(vector, i);
  return {values.data(), vector.constant};
}

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

/// 64 bits if all values fit.
Vector NarrowIfPossible(int128* values, int scale, int64_t n, Scratch* scratch) {
  bool fits = true;
  for (int64_t i = 0; i < n; ++i) fits &= FitsInt64(values[i]);
  if (!fits) return Made(Form::kInt128, scale, values);
  auto* narrow = scratch->Allocate<int64_t>(n);
  for (int64_t i = 0; i < n; ++i) narrow[i] = static_cast<int64_t>(values[i]);
  return Made(Form::kInt64, scale, narrow);
}

/// Rounds to two decimals if asked and narrows.
Vector FinishWide(int128* values, int scale, bool round_to_two, int64_t n, Scratch* scratch) {
  if (round_to_two && scale > kStoredScale) {
    const int128 divisor = kWidePowers[scale - kStoredScale];
    for (int64_t i = 0; i < n; ++i) values[i] = RoundQuotient(values[i], divisor);
    scale = kStoredScale;
  }
  return NarrowIfPossible(values, scale, n, scratch);
}

bool AddNarrow(Op op, bool round_to_two, const Vector& left, const Vector& right, int64_t n,
               Scratch* scratch, Vector* out) {
  int scale = std::max(left.scale, right.scale);
  if (scale - kStoredScale > kMaxNarrowExponent) return false;
  Operand<int64_t> a;
  Operand<int64_t> b;
  if (!AsNarrow(left, n, scale, scratch, &a) || !AsNarrow(right, n, scale, scratch, &b)) {
    return false;
  }
  auto* result = scratch->Allocate<int64_t>(n);
  if (!AddChecked(op, a, b, n, result)) return false;
  if (round_to_two && scale > kStoredScale) {
    RescaleInts(result, scale, kStoredScale, n, result);
    scale = kStoredScale;
  }
  *out = Made(Form::kInt64, scale, result);
  return true;
}

bool AddWide(Op op, bool round_to_two, const Vector& left, const Vector& right, int64_t n,
             Scratch* scratch, Vector* out) {
  const int scale = std::max(left.scale, right.scale);
  Operand<int128> a;
  Operand<int128> b;
  if (!AsWide(left, n, scale, scratch, &a) || !AsWide(right, n, scale, scratch, &b)) return false;
  auto* result = scratch->Allocate<int128>(n);
  bool overflow = false;
  for (int64_t i = 0; i < n; ++i) {
    const int128 x = a.values[a.constant ? 0 : i];
    const int128 y = b.values[b.constant ? 0 : i];
    overflow |= op == Op::kAdd ? __builtin_add_overflow(x, y, &result[i])
                               : __builtin_sub_overflow(x, y, &result[i]);
  }
  if (overflow) return false;
  *out = FinishWide(result, scale, round_to_two, n, scratch);
  return true;
}

template <typename Round>
bool MultiplyLoop(Operand<int64_t> a, Operand<int64_t> b, int64_t n, int64_t* __restrict out,
                  Round round) {
  bool overflow = false;
  if (a.constant) std::swap(a, b);
  if (b.constant) {
    const int64_t factor = b.values[0];
    const int64_t step = a.constant ? 0 : 1;
    for (int64_t i = 0; i < n; ++i) {
      int64_t product;
      overflow |= __builtin_mul_overflow(a.values[i * step], factor, &product);
      out[i] = round(product);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      int64_t product;
      overflow |= __builtin_mul_overflow(a.values[i], b.values[i], &product);
      out[i] = round(product);
    }
  }
  return !overflow;
}

bool MultiplyNarrow(bool round_to_two, const Vector& left, const Vector& right, int64_t n,
                    Scratch* scratch, Vector* out) {
  if (left.form != Form::kInt64 || right.form != Form::kInt64) return false;
  const int scale = left.scale + right.scale;
  const bool rounds = round_to_two && scale > kStoredScale;
  if (scale > kMaxWideExponent || (rounds && scale - kStoredScale > kMaxNarrowExponent)) {
    return false;
  }
  const auto a = OperandOf<int64_t>(left);
  const auto b = OperandOf<int64_t>(right);
  auto* result = scratch->Allocate<int64_t>(n);
  bool fits = false;
  if (!rounds) {
    fits = MultiplyLoop(a, b, n, result, [](int64_t product) { return product; });
  } else if (scale == 2 * kStoredScale) {
    fits = MultiplyLoop(a, b, n, result, RoundHundredth);
  } else {
    const int64_t divisor = kPowers[scale - kStoredScale];
    fits = MultiplyLoop(a, b, n, result,
                        [divisor](int64_t product) { return RoundDivide(product, divisor); });
  }
  *out = Made(Form::kInt64, rounds ? kStoredScale : scale, result);
  return fits;
}

bool MultiplyWide(bool round_to_two, const Vector& left, const Vector& right, int64_t n,
                  Scratch* scratch, Vector* out) {
  const int scale = left.scale + right.scale;
  if (left.form == Form::kBigDecimal || right.form == Form::kBigDecimal ||
      scale > kMaxWideExponent) {
    return false;
  }
  auto* result = scratch->Allocate<int128>(n);
  bool overflow = false;
  for (int64_t i = 0; i < n; ++i) {
    overflow |= __builtin_mul_overflow(LoadWide(left, left.constant ? 0 : i),
                                       LoadWide(right, right.constant ? 0 : i), &result[i]);
  }
  if (overflow) return false;
  *out = FinishWide(result, scale, round_to_two, n, scratch);
  return true;
}

/// Quotients rounded to two decimals at once. Rounding to 16 decimals first, as the language says,
/// makes no difference here: a quotient that is not exactly between two hundredths is at least
/// 1/(200 |b|) away from that, more than half a unit of the 16th decimal while |b| < 10^14.
bool DivideNarrow(bool round_to_two, const Vector& left, const Vector& right, int64_t n,
                  Scratch* scratch, Vector* out) {
  constexpr int64_t kMaxDivisor = 100000000000000 - 1;
  const int exponent = kStoredScale + right.scale - left.scale;
  if (!round_to_two || left.form != Form::kInt64 || right.form != Form::kInt64 || exponent < 0 ||
      exponent > kMaxNarrowExponent) {
    return false;
  }
  const int64_t factor = kPowers[exponent];
  const auto* a = left.as<int64_t>();
  const auto* b = right.as<int64_t>();
  const int64_t a_step = left.constant ? 0 : 1;
  const int64_t b_step = right.constant ? 0 : 1;
  auto* result = scratch->Allocate<int64_t>(n);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t divisor = b[i * b_step];
    int64_t value;
    if (__builtin_mul_overflow(a[i * a_step], factor, &value) || divisor > kMaxDivisor ||
        divisor < -kMaxDivisor || value == std::numeric_limits<int64_t>::min()) {
      return false;
    }
    const int64_t quotient = value / divisor;
    const int64_t rest = std::abs(value % divisor);
    const int64_t away = (value ^ divisor) < 0 ? -1 : 1;
    result[i] = quotient + (rest >= std::abs(divisor) - rest ? away : 0);
  }
  *out = Made(Form::kInt64, kStoredScale, result);
  return true;
}

bool DivideWide(bool round_to_two, const Vector& left, const Vector& right, int64_t n,
                Scratch* scratch, Vector* out) {
  const int exponent = kQuotientScale + right.scale - left.scale;
  if (left.form == Form::kBigDecimal || right.form == Form::kBigDecimal ||
      std::abs(exponent) > kMaxWideExponent) {
    return false;
  }
  const int128 left_factor = kWidePowers[std::max(exponent, 0)];
  const int128 right_factor = kWidePowers[std::max(-exponent, 0)];
  auto* result = scratch->Allocate<int128>(n);
  for (int64_t i = 0; i < n; ++i) {
    int128 value;
    int128 divisor;
    if (__builtin_mul_overflow(LoadWide(left, left.constant ? 0 : i), left_factor, &value) ||
        __builtin_mul_overflow(LoadWide(right, right.constant ? 0 : i), right_factor, &divisor) ||
        value == kWideMin || divisor == kWideMin) {
      return false;
    }
    result[i] = RoundQuotient(value, divisor);
  }
  *out = FinishWide(result, kQuotientScale, round_to_two, n, scratch);
  return true;
}

bool ComputeBig(Op op, bool round_to_two, const Vector& left, const Vector& right, int64_t n,
                Scratch* scratch, Vector* out) {
  const Operand<BigDecimal> a = AsBig(left, n, scratch);
  const Operand<BigDecimal> b = AsBig(right, n, scratch);
  std::vector<BigDecimal>& result = scratch->NewBigDecimals(n);
  for (int64_t i = 0; i < n; ++i) {
    const BigDecimal& x = a.values[a.constant ? 0 : i];
    const BigDecimal& y = b.values[b.constant ? 0 : i];
    Result<BigDecimal> value = op == Op::kAdd        ? x.Add(y)
                               : op == Op::kSubtract ? x.Subtract(y)
                               : op == Op::kMultiply ? x.Multiply(y)
                                                     : x.Divide(y);
    if (!value.ok()) return false;
    result[i] = round_to_two ? value->Round(kStoredScale) : *std::move(value);
  }
  *out = CompactBigDecimals(result, scratch);
  return true;
}

bool HasZeroDivisor(const Vector& right, int64_t n) {
  const int64_t count = CountOf(right, n);
  if (right.form == Form::kInt64) return ContainsZero(right.as<int64_t>(), count);
  for (int64_t i = 0; i < count; ++i) {
    const bool zero = right.form == Form::kInt128 ? right.as<int128>()[i] == 0
                                                  : right.as<BigDecimal>()[i].is_zero();
    if (zero) return true;
  }
  return false;
}

}  // namespace

int64_t PowerOfTen(int exponent) { return kPowers[exponent]; }

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

bool ComputeDecimals(Op op, bool round_to_two, const Vector& left, const Vector& right, int64_t n,
                     Scratch* scratch, Vector* out) {
  switch (op) {
    case Op::kAdd:
    case Op::kSubtract:
      if (AddNarrow(op, round_to_two, left, right, n, scratch, out) ||
          AddWide(op, round_to_two, left, right, n, scratch, out)) {
        return true;
      }
      break;
    case Op::kMultiply:
      if (MultiplyNarrow(round_to_two, left, right, n, scratch, out) ||
          MultiplyWide(round_to_two, left, right, n, scratch, out)) {
        return true;
      }
      break;
    default:
      if (HasZeroDivisor(right, n)) return false;
      if (DivideNarrow(round_to_two, left, right, n, scratch, out) ||
          DivideWide(round_to_two, left, right, n, scratch, out)) {
        return true;
      }
      break;
  }
  return ComputeBig(op, round_to_two, left, right, n, scratch, out);
}

bool CompareDecimals(Op op, const Vector& left, const Vector& right, int64_t n, Scratch* scratch,
                     uint8_t* out) {
  if (left.form != Form::kBigDecimal && right.form != Form::kBigDecimal) {
    const int scale = std::max(left.scale, right.scale);
    Operand<int64_t> a;
    Operand<int64_t> b;
    if (AsNarrow(left, n, scale, scratch, &a) && AsNarrow(right, n, scale, scratch, &b)) {
      CompareInts(op, a, b, n, out);
      return true;
    }
    Operand<int128> c;
    Operand<int128> d;
    if (AsWide(left, n, scale, scratch, &c) && AsWide(right, n, scale, scratch, &d)) {
      CompareInt128s(op, c, d, n, out);
      return true;
    }
  }
  const Operand<BigDecimal> a = AsBig(left, n, scratch);
  const Operand<BigDecimal> b = AsBig(right, n, scratch);
  auto* orders = scratch->Allocate<int8_t>(n);
  for (int64_t i = 0; i < n; ++i) {
    orders[i] =
        static_cast<int8_t>(a.values[a.constant ? 0 : i].Compare(b.values[b.constant ? 0 : i]));
  }
  CompareToZero(op, orders, n, out);
  return true;
}

void NegateDecimals(const Vector& values, int64_t n, Scratch* scratch, Vector* out) {
  if (values.form == Form::kInt64) {
    static constexpr int64_t kZero = 0;
    auto* result = scratch->Allocate<int64_t>(n);
    if (AddChecked(Op::kSubtract, {&kZero, true}, {values.as<int64_t>(), false}, n, result)) {
      *out = Made(Form::kInt64, values.scale, result);
      return;
    }
  }
  if (values.form != Form::kBigDecimal) {
    auto* result = scratch->Allocate<int128>(n);
    bool overflow = false;
    for (int64_t i = 0; i < n; ++i) {
      overflow |= __builtin_sub_overflow(int128{0}, LoadWide(values, i), &result[i]);
    }
    if (!overflow) {
      *out = Made(Form::kInt128, values.scale, result);
      return;
    }
  }
  std::vector<BigDecimal>& result = scratch->NewBigDecimals(n);
  for (int64_t i = 0; i < n; ++i) result[i] = DecimalAt(values, i).Negate();
  *out = Made(Form::kBigDecimal, 0, result.data());
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

void UnifyDecimals(Vector* left, Vector* right, int64_t n_left, int64_t n_right, Scratch* scratch) {
  if (left->form == right->form &&
      (left->form == Form::kBigDecimal || left->scale == right->scale)) {
    return;
  }
  const auto replace = [](Vector* vector, Form form, int scale, const void* values) {
    vector->form = form;
    vector->scale = scale;
    vector->values = values;
  };
  if (left->form != Form::kBigDecimal && right->form != Form::kBigDecimal) {
    const int scale = std::max(left->scale, right->scale);
    Operand<int64_t> a;
    Operand<int64_t> b;
    if (AsNarrow(*left, n_left, scale, scratch, &a) &&
        AsNarrow(*right, n_right, scale, scratch, &b)) {
      replace(left, Form::kInt64, scale, a.values);
      replace(right, Form::kInt64, scale, b.values);
      return;
    }
    Operand<int128> c;
    Operand<int128> d;
    if (AsWide(*left, n_left, scale, scratch, &c) && AsWide(*right, n_right, scale, scratch, &d)) {
      replace(left, Form::kInt128, scale, c.values);
      replace(right, Form::kInt128, scale, d.values);
      return;
    }
  }
  replace(left, Form::kBigDecimal, 0, AsBig(*left, n_left, scratch).values);
  replace(right, Form::kBigDecimal, 0, AsBig(*right, n_right, scratch).values);
}

Vector DecimalsFromParts(const int64_t* mantissas, const int8_t* scales, int64_t n,
                         Scratch* scratch) {
  int scale = kStoredScale;
  bool same = true;
  for (int64_t i = 0; i < n; ++i) scale = std::max<int>(scale, scales[i]);
  for (int64_t i = 0; i < n; ++i) same &= scales[i] == scale;
  if (same) return Made(Form::kInt64, scale, mantissas);
  auto* narrow = scratch->Allocate<int64_t>(n);
  bool overflow = false;
  for (int64_t i = 0; i < n; ++i) {
    overflow |= __builtin_mul_overflow(mantissas[i], kPowers[scale - scales[i]], &narrow[i]);
  }
  if (!overflow) return Made(Form::kInt64, scale, narrow);
  auto* wide = scratch->Allocate<int128>(n);
  for (int64_t i = 0; i < n; ++i) wide[i] = int128{mantissas[i]} * kPowers[scale - scales[i]];
  return Made(Form::kInt128, scale, wide);
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
      if (++scale > kMaxNarrowExponent) return Made(Form::kBigDecimal, 0, values.data());
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    if (!fits(i)) return Made(Form::kBigDecimal, 0, values.data());
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
