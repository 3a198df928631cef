#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "arrow/util/bit_util.h"
#include "capi/expr/kernels_internal.h"
#include "capi/expr/scalar_functions.h"

namespace capi::expr::kernels {

namespace {

template <typename T, typename R, typename F>
__attribute__((always_inline)) inline void ForEachPair(Operand<T> left, Operand<T> right, int64_t n,
                                                       R* __restrict out, F function) {
  const T* __restrict a = left.values;
  const T* __restrict b = right.values;
  if (left.constant && right.constant) {
    for (int64_t i = 0; i < n; ++i) out[i] = function(a[0], b[0]);
  } else if (left.constant) {
    const T x = a[0];
    for (int64_t i = 0; i < n; ++i) out[i] = function(x, b[i]);
  } else if (right.constant) {
    const T y = b[0];
    for (int64_t i = 0; i < n; ++i) out[i] = function(a[i], y);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = function(a[i], b[i]);
  }
}

template <typename T>
void CompareLoop(Op op, Operand<T> left, Operand<T> right, int64_t n, uint8_t* out) {
  switch (op) {
    case Op::kEqual:
      ForEachPair(left, right, n, out, [](T a, T b) -> uint8_t { return a == b; });
      break;
    case Op::kNotEqual:
      ForEachPair(left, right, n, out, [](T a, T b) -> uint8_t { return a != b; });
      break;
    case Op::kLess:
      ForEachPair(left, right, n, out, [](T a, T b) -> uint8_t { return a < b; });
      break;
    case Op::kLessEqual:
      ForEachPair(left, right, n, out, [](T a, T b) -> uint8_t { return a <= b; });
      break;
    case Op::kGreater:
      ForEachPair(left, right, n, out, [](T a, T b) -> uint8_t { return a > b; });
      break;
    default:
      ForEachPair(left, right, n, out, [](T a, T b) -> uint8_t { return a >= b; });
      break;
  }
}

/// Sign bit set in the returned value if a sum (difference) left 64 bits.
template <bool kIsSum>
__attribute__((always_inline)) inline uint64_t AddCheckedBody(Operand<int64_t> left,
                                                              Operand<int64_t> right, int64_t n,
                                                              int64_t* __restrict out) {
  uint64_t overflow = 0;
  const auto step = [&overflow](int64_t a, int64_t b) {
    const int64_t result = kIsSum ? WrapAdd(a, b) : WrapSubtract(a, b);
    overflow |= kIsSum ? static_cast<uint64_t>((a ^ result) & (b ^ result))
                       : static_cast<uint64_t>((a ^ b) & (a ^ result));
    return result;
  };
  const int64_t* __restrict a = left.values;
  const int64_t* __restrict b = right.values;
  if (left.constant) {
    const int64_t x = a[0];
    if (right.constant) {
      for (int64_t i = 0; i < n; ++i) out[i] = step(x, b[0]);
    } else {
      for (int64_t i = 0; i < n; ++i) out[i] = step(x, b[i]);
    }
  } else if (right.constant) {
    const int64_t y = b[0];
    for (int64_t i = 0; i < n; ++i) out[i] = step(a[i], y);
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = step(a[i], b[i]);
  }
  return overflow;
}

// The same bodies compiled twice, for the baseline and for AVX2, where that was measured to pay (a
// third for sums, twice for min and max; arithmetic and comparisons gain nothing).
#define CAPI_AVX2 __attribute__((target("avx2")))

uint64_t AddCheckedBaseline(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n,
                            int64_t* out) {
  return op == Op::kAdd ? AddCheckedBody<true>(left, right, n, out)
                        : AddCheckedBody<false>(left, right, n, out);
}
CAPI_AVX2 uint64_t AddCheckedAvx2(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n,
                                  int64_t* out) {
  return op == Op::kAdd ? AddCheckedBody<true>(left, right, n, out)
                        : AddCheckedBody<false>(left, right, n, out);
}

__attribute__((always_inline)) inline void MinMaxBody(const int64_t* values, int64_t n,
                                                      int64_t* min, int64_t* max) {
  int64_t least = values[0];
  int64_t greatest = values[0];
  for (int64_t i = 1; i < n; ++i) {
    least = values[i] < least ? values[i] : least;
    greatest = values[i] > greatest ? values[i] : greatest;
  }
  *min = least;
  *max = greatest;
}
void MinMaxBaseline(const int64_t* values, int64_t n, int64_t* min, int64_t* max) {
  MinMaxBody(values, n, min, max);
}
CAPI_AVX2 void MinMaxAvx2(const int64_t* values, int64_t n, int64_t* min, int64_t* max) {
  MinMaxBody(values, n, min, max);
}

/// Spreads the bits of a byte over eight bytes of 0 or 1, lowest bit first.
uint64_t SpreadBits(uint8_t byte) {
  constexpr uint64_t kCopies = 0x0101010101010101;
  constexpr uint64_t kOneBitEach = 0x8040201008040201;
  const uint64_t bits = (byte * kCopies) & kOneBitEach;
  // Any bit set in a byte becomes its lowest one.
  return ((bits + (kCopies * 0x7F)) >> 7) & kCopies;
}

}  // namespace

bool UseWideSimd() {
  static const bool kUse = [] {
    const char* choice = std::getenv("CAPI_SIMD");
    if (choice != nullptr && std::string_view(choice) == "baseline") return false;
    return __builtin_cpu_supports("avx2") != 0;
  }();
  return kUse;
}

void ComputeInts(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, int64_t* out) {
  switch (op) {
    case Op::kAdd:
      ForEachPair(left, right, n, out, [](int64_t a, int64_t b) { return WrapAdd(a, b); });
      break;
    case Op::kSubtract:
      ForEachPair(left, right, n, out, [](int64_t a, int64_t b) { return WrapSubtract(a, b); });
      break;
    default:
      ForEachPair(left, right, n, out, [](int64_t a, int64_t b) { return WrapMultiply(a, b); });
      break;
  }
}

bool ContainsZero(const int64_t* values, int64_t n) {
  uint64_t zeros = 0;
  for (int64_t i = 0; i < n; ++i) zeros |= static_cast<uint64_t>(values[i] == 0);
  return zeros != 0;
}

bool DivideInts(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, int64_t* out) {
  if (ContainsZero(right.values, right.constant ? 1 : n)) return false;
  if (op == Op::kDivide) {
    ForEachPair(left, right, n, out, [](int64_t a, int64_t b) { return DivideInt(a, b); });
  } else {
    ForEachPair(left, right, n, out, [](int64_t a, int64_t b) { return ModuloInt(a, b); });
  }
  return true;
}

void ComputeFloats(Op op, Operand<double> left, Operand<double> right, int64_t n, double* out) {
  switch (op) {
    case Op::kAdd:
      ForEachPair(left, right, n, out, [](double a, double b) { return a + b; });
      break;
    case Op::kSubtract:
      ForEachPair(left, right, n, out, [](double a, double b) { return a - b; });
      break;
    case Op::kMultiply:
      ForEachPair(left, right, n, out, [](double a, double b) { return a * b; });
      break;
    default:
      ForEachPair(left, right, n, out, [](double a, double b) { return a / b; });
      break;
  }
}

bool AddChecked(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, int64_t* out) {
  const uint64_t overflow = UseWideSimd() ? AddCheckedAvx2(op, left, right, n, out)
                                          : AddCheckedBaseline(op, left, right, n, out);
  return static_cast<int64_t>(overflow) >= 0;
}

void CompareInts(Op op, Operand<int64_t> left, Operand<int64_t> right, int64_t n, uint8_t* out) {
  CompareLoop(op, left, right, n, out);
}

void CompareFloats(Op op, Operand<double> left, Operand<double> right, int64_t n, uint8_t* out) {
  CompareLoop(op, left, right, n, out);
}

void CompareInt128s(Op op, Operand<int128> left, Operand<int128> right, int64_t n, uint8_t* out) {
  CompareLoop(op, left, right, n, out);
}

void CompareMasks(Op op, Operand<uint8_t> left, Operand<uint8_t> right, int64_t n, uint8_t* out) {
  CompareLoop(op, left, right, n, out);
}

void CompareToZero(Op op, const int8_t* orders, int64_t n, uint8_t* out) {
  static constexpr int8_t kZero = 0;
  CompareLoop(op, Operand<int8_t>{orders, false}, Operand<int8_t>{&kZero, true}, n, out);
}

bool FloatsToInts(const double* values, int64_t n, int64_t* out) {
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  bool fits = true;
  for (int64_t i = 0; i < n; ++i) fits &= values[i] >= -kLimit && values[i] < kLimit;
  if (!fits) return false;
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<int64_t>(values[i]);
  return true;
}

void MinMaxInts(const int64_t* values, int64_t n, int64_t* min, int64_t* max) {
  UseWideSimd() ? MinMaxAvx2(values, n, min, max) : MinMaxBaseline(values, n, min, max);
}

int64_t SumInts(const int64_t* values, int64_t n) {
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) sum = WrapAdd(sum, values[i]);
  return sum;
}

void UnpackBits(const uint8_t* bits, int64_t bit_offset, int64_t n, uint8_t* mask) {
  int64_t i = 0;
  for (; i < n && (bit_offset + i) % 8 != 0; ++i) {
    mask[i] = arrow::bit_util::GetBit(bits, bit_offset + i) ? 1 : 0;
  }
  for (; i + 8 <= n; i += 8) {
    const uint64_t spread = SpreadBits(bits[(bit_offset + i) / 8]);
    std::memcpy(mask + i, &spread, sizeof(spread));
  }
  for (; i < n; ++i) mask[i] = arrow::bit_util::GetBit(bits, bit_offset + i) ? 1 : 0;
}

void PackBits(const uint8_t* mask, int64_t n, uint8_t* bits, int64_t bit_offset) {
  // Multiplying moves the lowest bit of byte i to bit 56 + i.
  constexpr uint64_t kGather = 0x0102040810204080;
  int64_t i = 0;
  const auto pack_one = [&] {
    bits[(bit_offset + i) / 8] |= static_cast<uint8_t>(mask[i] << ((bit_offset + i) % 8));
  };
  for (; i < n && (bit_offset + i) % 8 != 0; ++i) pack_one();
  for (; i + 8 <= n; i += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, mask + i, sizeof(bytes));
    bits[(bit_offset + i) / 8] = static_cast<uint8_t>((bytes * kGather) >> 56);
  }
  for (; i < n; ++i) pack_one();
}

int64_t CountTrue(const uint8_t* mask, int64_t n) {
  int64_t count = 0;
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, mask + i, sizeof(bytes));
    count += std::popcount(bytes);
  }
  for (; i < n; ++i) count += mask[i];
  return count;
}

int64_t CollectPositions(const uint8_t* mask, uint8_t wanted, int64_t n, int32_t* positions) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    positions[count] = static_cast<int32_t>(i);
    count += static_cast<int64_t>(mask[i] == wanted);
  }
  return count;
}

}  // namespace capi::expr::kernels
