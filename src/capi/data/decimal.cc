#include "capi/data/decimal.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "capi/base/ascii.h"
#include "capi/data/decimal_magnitude_internal.h"
#include "fast_float/fast_float.h"

namespace capi::data {

using magnitude_internal::AddTo;
using magnitude_internal::AppendDigits;
using magnitude_internal::CompareLimbs;
using magnitude_internal::CountDigits;
using magnitude_internal::DivideByPowerCut;
using magnitude_internal::DivideByPowerRounded;
using magnitude_internal::DivideLimbs;
using magnitude_internal::kLimbBase;
using magnitude_internal::Limbs;
using magnitude_internal::LimbsOf;
using magnitude_internal::LimbsOfDigits;
using magnitude_internal::MultiplyByPower;
using magnitude_internal::MultiplyLimbs;
using magnitude_internal::MultiplySmall;
using magnitude_internal::SubtractFrom;
using magnitude_internal::uint128;

namespace {

constexpr int kQuotientDecimals = 16;

Status BadNumberText(std::string_view text) {
  constexpr size_t kShownChars = 64;
  std::string shown(text.substr(0, kShownChars));
  if (text.size() > kShownChars) {
    shown += "...";
  }
  return UserError("bad_number_text", "text is not a decimal number: \"" + shown + "\"");
}

Status OutOfRange() {
  return UserError(
      "number_out_of_range",
      "decimal has more than " + std::to_string(BigDecimal::kMaxDigits) + " digits or decimals");
}

/// Checks the caps on digits and scale after an operation.
Status CheckCaps(const Limbs& limbs, int64_t scale) {
  if (limbs.empty()) {
    return Status::OK();
  }
  if (scale > BigDecimal::kMaxDigits || scale < -BigDecimal::kMaxDigits ||
      CountDigits(limbs) > BigDecimal::kMaxDigits) {
    return OutOfRange();
  }
  return Status::OK();
}

}  // namespace

BigDecimal BigDecimal::FromInt(int64_t value) { return FromInt128(value, 0); }

BigDecimal BigDecimal::FromInt128(int128 unscaled, int scale) {
  BigDecimal result;
  result.negative_ = unscaled < 0;
  result.magnitude_ =
      LimbsOf(unscaled < 0 ? ~static_cast<uint128>(unscaled) + 1 : static_cast<uint128>(unscaled));
  result.scale_ = scale;
  return result;
}

Result<BigDecimal> BigDecimal::Parse(std::string_view text) {
  size_t position = 0;
  BigDecimal result;
  if (position < text.size() && (text[position] == '+' || text[position] == '-')) {
    result.negative_ = text[position] == '-';
    ++position;
  }
  const size_t integer_begin = position;
  while (position < text.size() && IsDigit(text[position])) {
    ++position;
  }
  std::string digits(text.substr(integer_begin, position - integer_begin));
  int64_t scale = 0;
  if (position < text.size() && text[position] == '.') {
    const size_t fraction_begin = ++position;
    while (position < text.size() && IsDigit(text[position])) {
      ++position;
    }
    digits.append(text.substr(fraction_begin, position - fraction_begin));
    scale = static_cast<int64_t>(position - fraction_begin);
  }
  if (digits.empty()) {
    return BadNumberText(text);
  }
  if (position < text.size() && (text[position] == 'e' || text[position] == 'E')) {
    ++position;
    bool negative_exponent = false;
    if (position < text.size() && (text[position] == '+' || text[position] == '-')) {
      negative_exponent = text[position] == '-';
      ++position;
    }
    if (position == text.size()) {
      return BadNumberText(text);
    }
    constexpr int64_t kExponentCap = int64_t{1} << 40;  // far beyond any accepted scale
    int64_t exponent = 0;
    while (position < text.size() && IsDigit(text[position])) {
      exponent = std::min(exponent * 10 + (text[position] - '0'), kExponentCap);
      ++position;
    }
    scale += negative_exponent ? exponent : -exponent;
  }
  if (position != text.size()) {
    return BadNumberText(text);
  }
  const size_t first_nonzero = digits.find_first_not_of('0');
  if (first_nonzero == std::string::npos) {
    return BigDecimal();
  }
  std::string_view significant = std::string_view(digits).substr(first_nonzero);
  if (static_cast<int64_t>(significant.size()) > kMaxDigits || scale > kMaxDigits ||
      scale < -kMaxDigits) {
    return OutOfRange();
  }
  result.magnitude_ = LimbsOfDigits(significant);
  result.scale_ = static_cast<int>(scale);
  return result;
}

Result<BigDecimal> BigDecimal::FromDouble(double value) {
  if (!std::isfinite(value)) {
    return UserError("not_finite",
                     std::string("float has no decimal value: ") + (std::isnan(value) ? "NaN"
                                                                    : value < 0       ? "-Inf"
                                                                                      : "+Inf"));
  }
  char buffer[64];
  const std::to_chars_result end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  return Parse(std::string_view(buffer, static_cast<size_t>(end.ptr - buffer)));
}

Result<BigDecimal> BigDecimal::Add(const BigDecimal& other) const {
  if (other.is_zero()) {
    return *this;
  }
  if (is_zero()) {
    return other;
  }
  BigDecimal left = *this;
  const BigDecimal* right = &other;
  BigDecimal scaled;
  if (scale_ < other.scale_) {
    MultiplyByPower(&left.magnitude_, static_cast<int64_t>(other.scale_) - scale_);
    left.scale_ = other.scale_;
  } else if (scale_ > other.scale_) {
    scaled = other;
    MultiplyByPower(&scaled.magnitude_, static_cast<int64_t>(scale_) - other.scale_);
    right = &scaled;
  }
  if (left.negative_ == right->negative_) {
    AddTo(&left.magnitude_, right->magnitude_);
  } else if (CompareLimbs(left.magnitude_, right->magnitude_) >= 0) {
    SubtractFrom(&left.magnitude_, right->magnitude_);
  } else {
    Limbs larger = right->magnitude_;
    SubtractFrom(&larger, left.magnitude_);
    left.magnitude_ = std::move(larger);
    left.negative_ = right->negative_;
  }
  if (left.is_zero()) {
    return BigDecimal();
  }
  CAPI_RETURN_NOT_OK(CheckCaps(left.magnitude_, left.scale_));
  return left;
}

Result<BigDecimal> BigDecimal::Subtract(const BigDecimal& other) const {
  return Add(other.Negate());
}

Result<BigDecimal> BigDecimal::Multiply(const BigDecimal& other) const {
  if (is_zero() || other.is_zero()) {
    return BigDecimal();
  }
  BigDecimal result;
  result.magnitude_ = MultiplyLimbs(magnitude_, other.magnitude_);
  const int64_t scale = static_cast<int64_t>(scale_) + other.scale_;
  CAPI_RETURN_NOT_OK(CheckCaps(result.magnitude_, scale));
  result.scale_ = static_cast<int>(scale);
  result.negative_ = negative_ != other.negative_;
  return result;
}

Result<BigDecimal> BigDecimal::Divide(const BigDecimal& other) const {
  if (other.is_zero()) {
    return UserError("division_by_zero", "decimal divided by zero: " + ToString());
  }
  if (is_zero()) {
    return BigDecimal();
  }
  Limbs numerator = magnitude_;
  Limbs divisor = other.magnitude_;
  const int64_t shift = static_cast<int64_t>(kQuotientDecimals) - scale_ + other.scale_;
  MultiplyByPower(&numerator, shift);
  MultiplyByPower(&divisor, -shift);
  BigDecimal result;
  result.magnitude_ = DivideLimbs(&numerator, divisor);
  MultiplySmall(&numerator, 2);
  if (CompareLimbs(numerator, divisor) >= 0) {
    AddTo(&result.magnitude_, {1});
  }
  if (result.is_zero()) {
    return result;
  }
  result.scale_ = kQuotientDecimals;
  result.negative_ = negative_ != other.negative_;
  CAPI_RETURN_NOT_OK(CheckCaps(result.magnitude_, result.scale_));
  return result;
}

BigDecimal BigDecimal::Negate() const {
  BigDecimal result = *this;
  if (!result.is_zero()) {
    result.negative_ = !result.negative_;
  }
  return result;
}

BigDecimal BigDecimal::Round(int scale) const {
  if (scale_ <= scale) {
    return *this;
  }
  BigDecimal result = *this;
  DivideByPowerRounded(&result.magnitude_, static_cast<int64_t>(scale_) - scale);
  if (result.is_zero()) {
    return BigDecimal();
  }
  result.scale_ = scale;
  return result;
}

int BigDecimal::Compare(const BigDecimal& other) const {
  if (is_zero() || other.is_zero()) {
    if (is_zero() && other.is_zero()) {
      return 0;
    }
    return is_zero() ? (other.negative_ ? 1 : -1) : (negative_ ? -1 : 1);
  }
  if (negative_ != other.negative_) {
    return negative_ ? -1 : 1;
  }
  int order = 0;
  if (scale_ == other.scale_) {
    order = CompareLimbs(magnitude_, other.magnitude_);
  } else {
    // The position of the leading digit decides nearly always, without any arithmetic.
    const int64_t left_position = CountDigits(magnitude_) - scale_;
    const int64_t right_position = CountDigits(other.magnitude_) - other.scale_;
    if (left_position != right_position) {
      order = left_position < right_position ? -1 : 1;
    } else {
      Limbs scaled = scale_ < other.scale_ ? magnitude_ : other.magnitude_;
      MultiplyByPower(&scaled, std::abs(static_cast<int64_t>(scale_) - other.scale_));
      order = scale_ < other.scale_ ? CompareLimbs(scaled, other.magnitude_)
                                    : CompareLimbs(magnitude_, scaled);
    }
  }
  return negative_ ? -order : order;
}

double BigDecimal::ToDouble() const {
  if (is_zero()) {
    return 0.0;
  }
  // Both sides exact in binary64, so the one rounding of the division is the only one.
  constexpr int kExactPowers = 22;
  constexpr double kPowers[kExactPowers + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  constexpr uint64_t kExactIntegers = uint64_t{1} << 53;
  if (magnitude_.size() <= 2 && scale_ >= 0 && scale_ <= kExactPowers) {
    const uint64_t value =
        magnitude_[0] + (magnitude_.size() == 2 ? uint64_t{magnitude_[1]} * kLimbBase : 0);
    if (value <= kExactIntegers) {
      const double result = static_cast<double>(value) / kPowers[scale_];
      return negative_ ? -result : result;
    }
  }
  std::string text;
  if (negative_) {
    text.push_back('-');
  }
  AppendDigits(magnitude_, &text);
  text += "e" + std::to_string(-static_cast<int64_t>(scale_));
  double value = 0.0;
  fast_float::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Result<int64_t> BigDecimal::ToInt() const {
  Limbs integer = magnitude_;
  constexpr int64_t kMaxIntDigits = 19;
  if (CountDigits(integer) - scale_ <= kMaxIntDigits) {
    if (scale_ > 0) {
      DivideByPowerCut(&integer, scale_);
    } else {
      MultiplyByPower(&integer, -static_cast<int64_t>(scale_));
    }
    uint64_t value = 0;
    for (size_t i = integer.size(); i-- > 0;) {
      value = value * kLimbBase + integer[i];
    }
    const uint64_t limit = uint64_t{1} << 63;
    if (negative_ ? value <= limit : value < limit) {
      return static_cast<int64_t>(negative_ ? ~value + 1 : value);
    }
  }
  return UserError("number_out_of_range", "decimal does not fit 64 bits: " + ToString());
}

std::string BigDecimal::ToString() const {
  if (is_zero()) {
    return "0";
  }
  std::string digits;
  AppendDigits(magnitude_, &digits);
  int64_t scale = scale_;
  while (scale > 0 && digits.back() == '0') {
    digits.pop_back();
    --scale;
  }
  std::string text;
  if (negative_) {
    text.push_back('-');
  }
  const int64_t integer_digits = static_cast<int64_t>(digits.size()) - scale;
  if (scale <= 0) {
    text += digits;
    text.append(static_cast<size_t>(-scale), '0');
  } else if (integer_digits > 0) {
    text.append(digits, 0, static_cast<size_t>(integer_digits));
    text.push_back('.');
    text.append(digits, static_cast<size_t>(integer_digits));
  } else {
    text += "0.";
    text.append(static_cast<size_t>(-integer_digits), '0');
    text += digits;
  }
  return text;
}

std::string BigDecimal::ToFixed(int decimals) const {
  std::string text = Round(decimals).ToString();
  const size_t point = text.find('.');
  size_t present = 0;
  if (point != std::string::npos) {
    present = text.size() - point - 1;
  } else if (decimals > 0) {
    text.push_back('.');
  }
  if (static_cast<int64_t>(present) < decimals) {
    text.append(static_cast<size_t>(decimals) - present, '0');
  }
  return text;
}

bool BigDecimal::ToInt128(int scale, int128* unscaled) const {
  constexpr int64_t kMaxInt128Digits = 39;
  if (is_zero() || CountDigits(magnitude_) - scale_ + scale > kMaxInt128Digits) {
    *unscaled = 0;
    return is_zero();
  }
  Limbs limbs = magnitude_;
  if (scale_ > scale) {
    DivideByPowerRounded(&limbs, static_cast<int64_t>(scale_) - scale);
  } else {
    MultiplyByPower(&limbs, static_cast<int64_t>(scale) - scale_);
  }
  // At most 10^39, so five limbs: more than 128 bits can hold, hence the checked accumulation.
  constexpr uint128 kLimit = static_cast<uint128>(1) << 127;
  uint128 value = 0;
  for (size_t i = limbs.size(); i-- > 0;) {
    if (__builtin_mul_overflow(value, static_cast<uint128>(kLimbBase), &value) ||
        __builtin_add_overflow(value, static_cast<uint128>(limbs[i]), &value)) {
      return false;
    }
  }
  if (negative_ ? value > kLimit : value >= kLimit) {
    return false;
  }
  *unscaled = static_cast<int128>(negative_ ? ~value + 1 : value);
  return true;
}

}  // namespace capi::data
