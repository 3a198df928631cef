#include "capi/data/decimal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "fast_float/fast_float.h"

namespace capi::data {
namespace {

using Limbs = std::vector<uint32_t>;
using uint128 = unsigned __int128;

constexpr uint32_t kLimbBase = 1000000000;
constexpr int kLimbDigits = 9;
constexpr int kQuotientDecimals = 16;
constexpr std::array<uint32_t, 10> kSmallPowers = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

void Trim(Limbs* limbs) {
  while (!limbs->empty() && limbs->back() == 0) {
    limbs->pop_back();
  }
}

Limbs LimbsOf(uint128 value) {
  Limbs limbs;
  while (value != 0) {
    limbs.push_back(static_cast<uint32_t>(value % kLimbBase));
    value /= kLimbBase;
  }
  return limbs;
}

int DigitsOfLimb(uint32_t limb) {
  int digits = 1;
  while (digits < kLimbDigits && limb >= kSmallPowers[digits]) {
    ++digits;
  }
  return digits;
}

int64_t CountDigits(const Limbs& limbs) {
  if (limbs.empty()) {
    return 0;
  }
  return static_cast<int64_t>(limbs.size() - 1) * kLimbDigits + DigitsOfLimb(limbs.back());
}

int CompareLimbs(const Limbs& left, const Limbs& right) {
  if (left.size() != right.size()) {
    return left.size() < right.size() ? -1 : 1;
  }
  for (size_t i = left.size(); i-- > 0;) {
    if (left[i] != right[i]) {
      return left[i] < right[i] ? -1 : 1;
    }
  }
  return 0;
}

void MultiplySmall(Limbs* limbs, uint32_t factor) {
  uint64_t carry = 0;
  for (uint32_t& limb : *limbs) {
    const uint64_t product = static_cast<uint64_t>(limb) * factor + carry;
    limb = static_cast<uint32_t>(product % kLimbBase);
    carry = product / kLimbBase;
  }
  if (carry != 0) {
    limbs->push_back(static_cast<uint32_t>(carry));
  }
}

/// Divides in place and returns the remainder.
uint32_t DivideSmall(Limbs* limbs, uint32_t divisor) {
  uint64_t remainder = 0;
  for (size_t i = limbs->size(); i-- > 0;) {
    const uint64_t current = remainder * kLimbBase + (*limbs)[i];
    (*limbs)[i] = static_cast<uint32_t>(current / divisor);
    remainder = current % divisor;
  }
  Trim(limbs);
  return static_cast<uint32_t>(remainder);
}

void MultiplyByPower(Limbs* limbs, int64_t exponent) {
  if (limbs->empty() || exponent <= 0) {
    return;
  }
  const int small = static_cast<int>(exponent % kLimbDigits);
  if (small != 0) {
    MultiplySmall(limbs, kSmallPowers[small]);
  }
  limbs->insert(limbs->begin(), static_cast<size_t>(exponent / kLimbDigits), 0);
}

/// Divides by 10^exponent (exponent > 0), rounding half up (the magnitude, so half away from zero).
void DivideByPowerRounded(Limbs* limbs, int64_t exponent) {
  if (exponent > CountDigits(*limbs)) {
    limbs->clear();
    return;
  }
  // The digit just below the cut decides alone: half away from zero needs no sticky part.
  const int64_t below = exponent - 1;
  limbs->erase(limbs->begin(), limbs->begin() + below / kLimbDigits);
  if (below % kLimbDigits != 0) {
    DivideSmall(limbs, kSmallPowers[below % kLimbDigits]);
  }
  const uint32_t digit = DivideSmall(limbs, 10);
  if (digit < 5) {
    return;
  }
  for (uint32_t& limb : *limbs) {
    if (++limb < kLimbBase) {
      return;
    }
    limb = 0;
  }
  limbs->push_back(1);
}

/// Divides by 10^exponent (exponent > 0), cutting.
void DivideByPowerCut(Limbs* limbs, int64_t exponent) {
  if (exponent >= CountDigits(*limbs)) {
    limbs->clear();
    return;
  }
  limbs->erase(limbs->begin(), limbs->begin() + exponent / kLimbDigits);
  if (exponent % kLimbDigits != 0) {
    DivideSmall(limbs, kSmallPowers[exponent % kLimbDigits]);
  }
}

void AddTo(Limbs* left, const Limbs& right) {
  if (left->size() < right.size()) {
    left->resize(right.size(), 0);
  }
  uint32_t carry = 0;
  for (size_t i = 0; i < left->size(); ++i) {
    uint32_t sum = (*left)[i] + carry + (i < right.size() ? right[i] : 0);
    carry = sum >= kLimbBase ? 1 : 0;
    sum -= carry * kLimbBase;
    (*left)[i] = sum;
    if (carry == 0 && i >= right.size()) {
      return;
    }
  }
  if (carry != 0) {
    left->push_back(carry);
  }
}

/// left -= right; requires left >= right.
void SubtractFrom(Limbs* left, const Limbs& right) {
  uint32_t borrow = 0;
  for (size_t i = 0; i < left->size(); ++i) {
    const uint32_t take = borrow + (i < right.size() ? right[i] : 0);
    borrow = (*left)[i] < take ? 1 : 0;
    (*left)[i] += borrow * kLimbBase - take;
    if (borrow == 0 && i >= right.size()) {
      break;
    }
  }
  Trim(left);
}

Limbs MultiplyLimbs(const Limbs& left, const Limbs& right) {
  Limbs product(left.size() + right.size(), 0);
  for (size_t i = 0; i < left.size(); ++i) {
    uint64_t carry = 0;
    for (size_t j = 0; j < right.size(); ++j) {
      const uint64_t current = product[i + j] + carry + static_cast<uint64_t>(left[i]) * right[j];
      product[i + j] = static_cast<uint32_t>(current % kLimbBase);
      carry = current / kLimbBase;
    }
    product[i + right.size()] = static_cast<uint32_t>(carry);
  }
  Trim(&product);
  return product;
}

/// Schoolbook long division (Knuth's algorithm D in base 10^9). The remainder stays in *numerator.
Limbs DivideLimbs(Limbs* numerator, Limbs divisor) {
  if (CompareLimbs(*numerator, divisor) < 0) {
    return {};
  }
  if (divisor.size() == 1) {
    Limbs quotient = *numerator;
    const uint32_t remainder = DivideSmall(&quotient, divisor[0]);
    *numerator = LimbsOf(remainder);
    return quotient;
  }
  // Normalized so that the leading limb is at least half the base: the estimate is off by 2 at
  // most.
  const uint32_t normalizer = kLimbBase / (divisor.back() + 1);
  MultiplySmall(&divisor, normalizer);
  MultiplySmall(numerator, normalizer);
  const size_t divisor_size = divisor.size();
  numerator->push_back(0);
  const size_t quotient_size = numerator->size() - divisor_size;
  Limbs quotient(quotient_size, 0);
  const uint64_t top = divisor[divisor_size - 1];
  const uint64_t second = divisor[divisor_size - 2];
  Limbs& rest = *numerator;
  for (size_t j = quotient_size; j-- > 0;) {
    const uint64_t head =
        static_cast<uint64_t>(rest[j + divisor_size]) * kLimbBase + rest[j + divisor_size - 1];
    uint64_t estimate = head / top;
    uint64_t estimate_rest = head % top;
    while (estimate >= kLimbBase ||
           estimate * second > estimate_rest * kLimbBase + rest[j + divisor_size - 2]) {
      --estimate;
      estimate_rest += top;
      if (estimate_rest >= kLimbBase) {
        break;
      }
    }
    uint64_t carry = 0;
    int64_t borrow = 0;
    for (size_t i = 0; i < divisor_size; ++i) {
      const uint64_t product = estimate * divisor[i] + carry;
      carry = product / kLimbBase;
      int64_t difference =
          static_cast<int64_t>(rest[i + j]) - borrow - static_cast<int64_t>(product % kLimbBase);
      borrow = difference < 0 ? 1 : 0;
      difference += borrow * static_cast<int64_t>(kLimbBase);
      rest[i + j] = static_cast<uint32_t>(difference);
    }
    const int64_t last =
        static_cast<int64_t>(rest[j + divisor_size]) - borrow - static_cast<int64_t>(carry);
    rest[j + divisor_size] = 0;
    if (last < 0) {
      --estimate;
      uint32_t back = 0;
      for (size_t i = 0; i < divisor_size; ++i) {
        uint32_t sum = rest[i + j] + divisor[i] + back;
        back = sum >= kLimbBase ? 1 : 0;
        rest[i + j] = sum - back * kLimbBase;
      }
    }
    quotient[j] = static_cast<uint32_t>(estimate);
  }
  Trim(&quotient);
  Trim(numerator);
  DivideSmall(numerator, normalizer);
  return quotient;
}

void AppendDigits(const Limbs& limbs, std::string* out) {
  char buffer[kLimbDigits];
  for (size_t i = limbs.size(); i-- > 0;) {
    uint32_t limb = limbs[i];
    for (int k = kLimbDigits; k-- > 0;) {
      buffer[k] = static_cast<char>('0' + limb % 10);
      limb /= 10;
    }
    const int skip = i + 1 == limbs.size() ? kLimbDigits - DigitsOfLimb(limbs[i]) : 0;
    out->append(buffer + skip, kLimbDigits - skip);
  }
}

/// Limbs of a text of decimal digits only, leading zeros allowed.
Limbs LimbsOfDigits(std::string_view digits) {
  Limbs limbs;
  limbs.reserve(digits.size() / kLimbDigits + 1);
  size_t end = digits.size();
  while (end > 0) {
    const size_t begin = end > kLimbDigits ? end - kLimbDigits : 0;
    uint32_t limb = 0;
    for (size_t i = begin; i < end; ++i) {
      limb = limb * 10 + static_cast<uint32_t>(digits[i] - '0');
    }
    limbs.push_back(limb);
    end = begin;
  }
  Trim(&limbs);
  return limbs;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

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
