#pragma once

// Arithmetic on the magnitudes of BigDecimal: natural numbers in base 10^9, least limb first,
// without leading zero limbs (empty = 0).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace capi::data::magnitude_internal {

using Limbs = std::vector<uint32_t>;
using uint128 = unsigned __int128;

constexpr uint32_t kLimbBase = 1000000000;
constexpr int kLimbDigits = 9;

Limbs LimbsOf(uint128 value);
/// Limbs of a text of decimal digits only, leading zeros allowed.
Limbs LimbsOfDigits(std::string_view digits);
void AppendDigits(const Limbs& limbs, std::string* out);
int64_t CountDigits(const Limbs& limbs);
int CompareLimbs(const Limbs& left, const Limbs& right);

void AddTo(Limbs* left, const Limbs& right);
/// left -= right; requires left >= right.
void SubtractFrom(Limbs* left, const Limbs& right);
Limbs MultiplyLimbs(const Limbs& left, const Limbs& right);
void MultiplySmall(Limbs* limbs, uint32_t factor);
/// The remainder stays in *numerator. Requires divisor > 0.
Limbs DivideLimbs(Limbs* numerator, Limbs divisor);

/// Nothing happens for an exponent of 0 or less.
void MultiplyByPower(Limbs* limbs, int64_t exponent);
/// Divides by 10^exponent (exponent > 0), rounding half up (the magnitude, so half away from zero).
void DivideByPowerRounded(Limbs* limbs, int64_t exponent);
/// Divides by 10^exponent (exponent > 0), cutting.
void DivideByPowerCut(Limbs* limbs, int64_t exponent);

}  // namespace capi::data::magnitude_internal
