#pragma once

// Loops over blocks of values. A kernel that returns false met a row it cannot compute (an error of
// the language, or a value beyond its form): the caller then evaluates the block row by row.

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "capi/expr/vector_internal.h"

namespace capi::expr::kernels {

/// Decimals of a stored column.
constexpr int kStoredScale = 2;
/// Decimals of a quotient before rounding to two.
constexpr int kQuotientScale = 16;

/// True if kernels may use instructions beyond the baseline: the processor has them and the
/// environment variable CAPI_SIMD is not "baseline". Read once.
bool UseWideSimd();

/// A side of a binary operation.
template <typename T>
struct Operand {
  const T* values;
  bool constant;
};
template <typename T>
Operand<T> OperandOf(const Vector& vector) {
  return {vector.as<T>(), vector.constant};
}

// ---- Numbers (kernels_number.cc).

/// kAdd, kSubtract, kMultiply, wrapping.
void ComputeInts(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, int64_t* out);
/// kDivide, kModulo; false if a divisor is zero.
bool DivideInts(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, int64_t* out);
void ComputeFloats(Op op, Operand<double> left, Operand<double> right, int64_t n, double* out);
/// kAdd, kSubtract; false if a result leaves 64 bits (then *out is undefined).
bool AddChecked(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, int64_t* out);
/// The six comparisons.
void CompareInts(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, uint8_t* out);
void CompareFloats(Op op, Operand<double> left, Operand<double> right, int64_t n, uint8_t* out);
void CompareInt128s(Op op, Operand<int128> left, Operand<int128> right, int64_t n, uint8_t* out);
/// kEqual, kNotEqual of masks.
void CompareMasks(Op op, Operand<uint8_t> left, Operand<uint8_t> right, int64_t n, uint8_t* out);
/// out[i] = orders[i] op 0
void CompareToZero(Op op, const int8_t* orders, int64_t n, uint8_t* out);
/// False if a value is NaN, infinite or outside 64 bits.
bool FloatsToInts(const double* values, int64_t n, int64_t* out);
bool ContainsZero(const int64_t* values, int64_t n);
void MinMaxInts(const int64_t* values, int64_t n, int64_t* min, int64_t* max);
/// Sum that must not leave 64 bits.
int64_t SumInts(const int64_t* values, int64_t n);

// ---- Masks (kernels_number.cc).

void UnpackBits(const uint8_t* bits, int64_t bit_offset, int64_t n, uint8_t* mask);
/// Packs into the bits from `bit_offset` on, which must be zero.
void PackBits(const uint8_t* mask, int64_t n, uint8_t* bits, int64_t bit_offset);
int64_t CountTrue(const uint8_t* mask, int64_t n);
/// positions of bytes equal to `wanted`, ascending; returns their number.
int64_t CollectPositions(const uint8_t* mask, uint8_t wanted, int64_t n, int32_t* positions);

// ---- Decimals (kernels_decimal.cc, kernels_decimal_conversion.cc). All exact; the form of the
// result is the narrowest that was found to
// ---- hold it.

int64_t PowerOfTen(int exponent);  ///< exponent 0..18
/// kAdd, kSubtract, kMultiply, kDivide.
bool ComputeDecimals(Op op, bool round_to_two, const Vector& left, const Vector& right, int64_t n,
                     Scratch* scratch, Vector* out);
bool CompareDecimals(Op op, const Vector& left, const Vector& right, int64_t n, Scratch* scratch,
                     uint8_t* out);
void NegateDecimals(const Vector& values, int64_t n, Scratch* scratch, Vector* out);
void DecimalsToFloats(const Vector& values, int64_t n, double* out);
/// Cut toward zero; false if a value leaves 64 bits.
bool DecimalsToInts(const Vector& values, int64_t n, int64_t* out);
/// Brings both to the same form and scale without changing values. Constants stay constants.
void UnifyDecimals(Vector* left, Vector* right, int64_t n_left, int64_t n_right, Scratch* scratch);
/// mantissas[i] * 10^-scales[i], scales 0..18
Vector DecimalsFromParts(const int64_t* mantissas, const int8_t* scales, int64_t n,
                         Scratch* scratch);
/// The narrowest vector that holds the values, which must outlive it.
Vector CompactBigDecimals(const std::vector<data::BigDecimal>& values, Scratch* scratch);
/// unscaled * 10^-from to `to` decimals, half away from zero. False if 64 (128) bits are left.
bool RescaleInts(const int64_t* values, int from, int to, int64_t n, int64_t* out);
/// Values of any form as hundredths, half away from zero. Returns the position of the first value
/// that a stored column cannot hold, or n.
int64_t ToHundredths(const Vector& values, int64_t n, int128* out);
/// The same in 64 bits; false if not all values are in a form and range for that.
bool ToNarrowHundredths(const Vector& values, int64_t n, int64_t* out);
/// Appends string(decimal).
void AppendDecimalText(int64_t unscaled, int scale, std::string* out);

// ---- Strings (kernels_string.cc).

/// memcpy without a call for short texts.
inline void CopyText(char* to, const char* from, size_t n) {
  if (n > 16) {
    std::memcpy(to, from, n);
  } else if (n >= 8) {
    uint64_t first;
    uint64_t last;
    std::memcpy(&first, from, sizeof(first));
    std::memcpy(&last, from + n - sizeof(last), sizeof(last));
    std::memcpy(to, &first, sizeof(first));
    std::memcpy(to + n - sizeof(last), &last, sizeof(last));
  } else if (n >= 4) {
    uint32_t first;
    uint32_t last;
    std::memcpy(&first, from, sizeof(first));
    std::memcpy(&last, from + n - sizeof(last), sizeof(last));
    std::memcpy(to, &first, sizeof(first));
    std::memcpy(to + n - sizeof(last), &last, sizeof(last));
  } else {
    for (size_t i = 0; i < n; ++i) to[i] = from[i];
  }
}

/// Values of any string form; one value for a constant.
const std::string_view* ToViews(const Vector& strings, int64_t n, Scratch* scratch);
void CompareStringVectors(Op op, const Vector& left, const Vector& right, int64_t n,
                          Scratch* scratch, uint8_t* out);
/// The parts put together, row by row.
Vector ConcatenateStrings(const std::vector<Vector>& parts, int64_t n, Scratch* scratch);
/// Rows of a text that was written row after row: ends[i] is the size of the text after row i.
Vector SplitText(const std::string& text, const size_t* ends, int64_t n, Scratch* scratch);

// ---- Datetimes (kernels_datetime.cc).

/// True if the instant is what FromMillis would give.
inline bool IsPlainMillis(const data::Instant& instant) {
  return !instant.has_zone && instant.zone_name.empty() && instant.nanos % 1000000 == 0;
}
void CompareDatetimes(Op op, const Vector& left, const Vector& right, int64_t n, uint8_t* out);
/// Brings both to the same form: kInstant if one has zone names, else kWide.
void UnifyDatetimes(Vector* left, Vector* right, int64_t n_left, int64_t n_right, Scratch* scratch);
/// floor of the instant in seconds or milliseconds since 1970
void DatetimesToUnix(const Vector& values, bool millis, int64_t n, int64_t* out);
void DiffMillisVectors(const Vector& left, const Vector& right, int64_t n, int64_t* out);

// ---- Choice (kernels_choice.cc): the rows of two branches put together. positions[i] of a branch
// is the row of
// ---- its i-th value; a constant has one value.

struct Branch {
  Vector values;
  const int32_t* positions;
  int64_t n;
};
Vector Merge(Branch first, Branch second, int64_t n, Scratch* scratch);
/// Both branches known for all rows: mask[i] ? first[i] : second[i].
Vector Select(const uint8_t* mask, Vector first, Vector second, int64_t n, Scratch* scratch);

}  // namespace capi::expr::kernels
