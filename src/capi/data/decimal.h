#pragma once

// Exact decimals (spec/expressions.md 4, 5; architecture 5 "decimal2").

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::data {

using int128 = __int128;

/// An arbitrary-precision decimal: sign * magnitude * 10^-scale, for the slow path of expressions
/// and for parsing and printing. Value semantics. Digits and scale are capped (kMaxDigits);
/// operations beyond the cap return a user error of class "number_out_of_range".
class BigDecimal {
 public:
  static constexpr int kMaxDigits = 10000;

  BigDecimal() = default;  ///< zero
  static BigDecimal FromInt(int64_t value);
  /// value * 10^-scale
  static BigDecimal FromInt128(int128 unscaled, int scale);
  /// Optional sign, digits, optional point, optional exponent; ".5" and "5." are fine; no blanks.
  /// Error class "bad_number_text".
  static Result<BigDecimal> Parse(std::string_view text);
  /// The shortest decimal that reads back as the same float. NaN, Inf: class "not_finite".
  static Result<BigDecimal> FromDouble(double value);

  Result<BigDecimal> Add(const BigDecimal& other) const;
  Result<BigDecimal> Subtract(const BigDecimal& other) const;
  Result<BigDecimal> Multiply(const BigDecimal& other) const;
  /// Rounded half away from zero to 16 decimals. Error class "division_by_zero".
  Result<BigDecimal> Divide(const BigDecimal& other) const;
  BigDecimal Negate() const;
  /// Half away from zero to `scale` decimals (scale may be negative).
  BigDecimal Round(int scale) const;
  int Compare(const BigDecimal& other) const;  ///< by value: -1, 0, 1
  bool is_zero() const { return magnitude_.empty(); }
  bool is_negative() const { return negative_; }
  double ToDouble() const;  ///< nearest
  /// Integer part cut toward zero; error class "number_out_of_range" outside 64 bits.
  Result<int64_t> ToInt() const;
  /// Plain digits, no trailing zeros after the point, never an exponent (spec/expressions.md 9.1).
  std::string ToString() const;
  /// With exactly `decimals` digits after the point, rounded half away from zero; -0.001 gives
  /// "0.00".
  std::string ToFixed(int decimals) const;
  /// unscaled value at `scale` (rounded half away from zero). False when it does not fit 128 bits.
  bool ToInt128(int scale, int128* unscaled) const;

 private:
  bool negative_ = false;
  std::vector<uint32_t> magnitude_;  // little-endian base 10^9, no leading zero limbs, empty = 0
  int scale_ = 0;                    // may be negative
};

/// Rounds value * 10^-from_scale to `to_scale`, half away from zero. Requires from_scale >=
/// to_scale and from_scale - to_scale <= 38.
int128 RescaleHalfAway(int128 value, int from_scale, int to_scale);

/// Parses text to hundredths rounded half away from zero: spec/formats.md 2, decimal2 without a
/// format. Errors: "bad_number_text"; "number_out_of_range" beyond 38 digits.
Result<int128> ParseHundredths(std::string_view text);
/// Fast path of ParseHundredths for optional sign, up to 16 digits, point, at most 2 decimals.
/// False: use ParseHundredths.
bool TryParseHundredths(const char* begin, const char* end, int64_t* hundredths);
/// "-1.05"-style text with exactly two decimals. Returns the number of chars written (at most 42).
int FormatHundredths(int128 hundredths, char* out);
/// True if |hundredths| fits decimal128(38,2).
bool FitsStoredDecimal(int128 hundredths);

}  // namespace capi::data
