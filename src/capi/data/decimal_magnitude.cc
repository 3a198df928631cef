#include <algorithm>
#include <array>

#include "capi/data/decimal_magnitude_internal.h"

namespace capi::data::magnitude_internal {
namespace {

constexpr std::array<uint32_t, 10> kSmallPowers = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000};

void Trim(Limbs* limbs) {
  while (!limbs->empty() && limbs->back() == 0) {
    limbs->pop_back();
  }
}

int DigitsOfLimb(uint32_t limb) {
  int digits = 1;
  while (digits < kLimbDigits && limb >= kSmallPowers[digits]) {
    ++digits;
  }
  return digits;
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

}  // namespace

Limbs LimbsOf(uint128 value) {
  Limbs limbs;
  while (value != 0) {
    limbs.push_back(static_cast<uint32_t>(value % kLimbBase));
    value /= kLimbBase;
  }
  return limbs;
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

/// Schoolbook long division (Knuth's algorithm D in base 10^9).
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

}  // namespace capi::data::magnitude_internal
