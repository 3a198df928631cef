#include <cstdlib>
#include <cstring>
#include <limits>

#include "capi/expr/kernels_decimal_internal.h"
#include "capi/expr/scalar_functions.h"

namespace capi::expr::kernels {

namespace {

using data::BigDecimal;

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
  *out = MakeDecimals(Form::kInt64, scale, result);
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
  *out = MakeDecimals(Form::kInt64, rounds ? kStoredScale : scale, result);
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
  *out = MakeDecimals(Form::kInt64, kStoredScale, result);
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
      *out = MakeDecimals(Form::kInt64, values.scale, result);
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
      *out = MakeDecimals(Form::kInt128, values.scale, result);
      return;
    }
  }
  std::vector<BigDecimal>& result = scratch->NewBigDecimals(n);
  for (int64_t i = 0; i < n; ++i) result[i] = DecimalAt(values, i).Negate();
  *out = MakeDecimals(Form::kBigDecimal, 0, result.data());
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

}  // namespace capi::expr::kernels
