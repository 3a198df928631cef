#include <cmath>
#include <limits>
#include <random>

#include "capi/expr/kernels_internal.h"
#include "gtest/gtest.h"

namespace capi::expr::kernels {
namespace {

TEST(MaskKernels, PackAndUnpackAtEveryOffset) {
  std::mt19937_64 random(5);
  for (int64_t n = 0; n < 40; ++n) {
    for (int64_t offset = 0; offset < 17; ++offset) {
      std::vector<uint8_t> mask(n);
      for (uint8_t& byte : mask) byte = random() % 2;
      std::vector<uint8_t> bits(8, 0);
      PackBits(mask.data(), n, bits.data(), offset);
      for (int64_t i = 0; i < 64; ++i) {
        const bool expected = i >= offset && i < offset + n && mask[i - offset] != 0;
        ASSERT_EQ((bits[i / 8] >> (i % 8)) & 1, expected ? 1 : 0) << n << " " << offset;
      }
      std::vector<uint8_t> back(n, 7);
      UnpackBits(bits.data(), offset, n, back.data());
      ASSERT_EQ(back, mask);
      int64_t count = 0;
      for (const uint8_t byte : mask) count += byte;
      ASSERT_EQ(CountTrue(mask.data(), n), count);
      std::vector<int32_t> positions(n);
      ASSERT_EQ(CollectPositions(mask.data(), 1, n, positions.data()), count);
      for (int64_t i = 0; i < count; ++i) ASSERT_EQ(mask[positions[i]], 1);
      ASSERT_EQ(CollectPositions(mask.data(), 0, n, positions.data()), n - count);
    }
  }
}

TEST(NumberKernels, AddCheckedFindsEveryOverflow) {
  constexpr int64_t kMax = INT64_MAX;
  constexpr int64_t kMin = INT64_MIN;
  const std::vector<int64_t> special = {0, 1, -1, kMax, kMin, kMax - 1, kMin + 1, kMax / 2};
  for (const int64_t x : special) {
    for (const int64_t y : special) {
      // One pair among harmless ones, at every place of a SIMD register.
      for (size_t place = 0; place < 9; ++place) {
        std::vector<int64_t> a(9, 3);
        std::vector<int64_t> b(9, 4);
        std::vector<int64_t> out(9);
        a[place] = x;
        b[place] = y;
        int64_t ignored;
        EXPECT_EQ(AddChecked(Op::kAdd, {a.data(), false}, {b.data(), false}, 9, out.data()),
                  !__builtin_add_overflow(x, y, &ignored));
        EXPECT_EQ(AddChecked(Op::kSubtract, {a.data(), false}, {b.data(), false}, 9, out.data()),
                  !__builtin_sub_overflow(x, y, &ignored));
      }
    }
  }
}

TEST(NumberKernels, MinMaxAtEveryPlace) {
  for (int64_t n = 1; n < 20; ++n) {
    for (int64_t place = 0; place < n; ++place) {
      std::vector<int64_t> values(n, 5);
      values[place] = -7;
      int64_t min = 0;
      int64_t max = 0;
      MinMaxInts(values.data(), n, &min, &max);
      EXPECT_EQ(min, -7);
      EXPECT_EQ(max, n == 1 ? -7 : 5);
    }
  }
}

TEST(NumberKernels, FloatsOutsideIntAreRefused) {
  int64_t out = 0;
  for (const double value : {9223372036854775808.0, -9223372036854777856.0, HUGE_VAL, -HUGE_VAL,
                             std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(FloatsToInts(&value, 1, &out));
  }
  const double least = -9223372036854775808.0;
  EXPECT_TRUE(FloatsToInts(&least, 1, &out));
  EXPECT_EQ(out, INT64_MIN);
}

}  // namespace
}  // namespace capi::expr::kernels
