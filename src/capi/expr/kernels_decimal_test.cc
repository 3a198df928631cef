#include <limits>
#include <random>

#include "capi/expr/kernels_internal.h"
#include "gtest/gtest.h"

namespace capi::expr::kernels {
namespace {

using data::BigDecimal;

constexpr int64_t kCount = 64;

Vector Narrow(const std::vector<int64_t>& values, int scale, bool constant = false) {
  Vector vector;
  vector.type = ValueType::kDecimal;
  vector.form = Form::kInt64;
  vector.scale = scale;
  vector.constant = constant;
  vector.values = values.data();
  return vector;
}

/// Numbers of every magnitude.
int64_t AnyNumber(std::mt19937_64* random) {
  const auto value = static_cast<int64_t>((*random)() >> ((*random)() % 64));
  return (*random)() % 2 == 0 ? value : -value;
}

BigDecimal Expected(Op op, bool round_to_two, const BigDecimal& left, const BigDecimal& right) {
  const BigDecimal value = op == Op::kAdd        ? *left.Add(right)
                           : op == Op::kSubtract ? *left.Subtract(right)
                           : op == Op::kMultiply ? *left.Multiply(right)
                                                 : *left.Divide(right);
  return round_to_two ? value.Round(kStoredScale) : value;
}

TEST(DecimalKernels, AgreeWithBigDecimalsForEveryMagnitudeAndScale) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 400; ++round) {
    const bool small = round % 2 == 0;
    std::vector<int64_t> a(kCount);
    std::vector<int64_t> b(kCount);
    for (int64_t i = 0; i < kCount; ++i) {
      a[i] = small ? AnyNumber(&random) >> 30 : AnyNumber(&random);
      b[i] = small ? AnyNumber(&random) >> 30 : AnyNumber(&random);
      if (b[i] == 0) b[i] = 1;
    }
    const Vector left = Narrow(a, static_cast<int>(random() % 5), random() % 4 == 0);
    const Vector right = Narrow(b, static_cast<int>(random() % 5), random() % 4 == 0);
    const int64_t n = left.constant && right.constant ? 1 : kCount;
    for (const Op op : {Op::kAdd, Op::kSubtract, Op::kMultiply, Op::kDivide}) {
      for (const bool round_to_two : {false, true}) {
        Scratch scratch;
        Vector result;
        ASSERT_TRUE(ComputeDecimals(op, round_to_two, left, right, n, &scratch, &result));
        for (int64_t i = 0; i < n; ++i) {
          const BigDecimal expected =
              Expected(op, round_to_two, DecimalAt(left, i), DecimalAt(right, i));
          ASSERT_EQ(DecimalAt(result, i).Compare(expected), 0)
              << DecimalAt(left, i).ToString() << " op " << static_cast<int>(op) << " "
              << DecimalAt(right, i).ToString() << " = " << DecimalAt(result, i).ToString()
              << ", expected " << expected.ToString();
        }
      }
    }
  }
}

/// Quotients just below the middle of two hundredths are rounded to 16 decimals first, and then up.
TEST(DecimalKernels, QuotientsAreRoundedTwice) {
  const std::vector<int64_t> a = {
      4999999999999999, 500000000000000000, 49999999999999999, -49999999999999999, 5, 1};
  const std::vector<int64_t> b = {
      1000000000000000000, 1000000000000000000 - 1, 9999999999999999, 9999999999999999, 1000, 200};
  const Vector left = Narrow(a, 2);
  const Vector right = Narrow(b, 2);
  Scratch scratch;
  Vector result;
  const auto n = static_cast<int64_t>(a.size());
  ASSERT_TRUE(ComputeDecimals(Op::kDivide, true, left, right, n, &scratch, &result));
  for (int64_t i = 0; i < n; ++i) {
    EXPECT_EQ(DecimalAt(result, i).ToString(),
              Expected(Op::kDivide, true, DecimalAt(left, i), DecimalAt(right, i)).ToString());
  }
  // 0.0049999999999999995 has the 16 decimals 0.0050000000000000.
  const std::vector<int64_t> c = {49999999999999995};
  const std::vector<int64_t> d = {1000000000000000000};
  ASSERT_TRUE(ComputeDecimals(Op::kDivide, true, Narrow(c, 3), Narrow(d, 2), 1, &scratch, &result));
  EXPECT_EQ(DecimalAt(result, 0).ToString(), "0.01");
}

TEST(DecimalKernels, ZeroDivisorIsRefused) {
  const std::vector<int64_t> a = {1, 1};
  const std::vector<int64_t> b = {1, 0};
  Scratch scratch;
  Vector result;
  EXPECT_FALSE(
      ComputeDecimals(Op::kDivide, true, Narrow(a, 2), Narrow(b, 2), 2, &scratch, &result));
}

TEST(DecimalKernels, FormIsTheNarrowestThatHolds) {
  const int64_t max = std::numeric_limits<int64_t>::max();
  const std::vector<int64_t> a = {max, 1};
  const std::vector<int64_t> b = {1, max};
  Scratch scratch;
  Vector sum;
  ASSERT_TRUE(ComputeDecimals(Op::kAdd, true, Narrow(a, 2), Narrow(b, 2), 2, &scratch, &sum));
  EXPECT_EQ(sum.form, Form::kInt128);
  Vector back;
  ASSERT_TRUE(ComputeDecimals(Op::kSubtract, true, sum, Narrow(b, 2), 2, &scratch, &back));
  EXPECT_EQ(back.form, Form::kInt64);
  Vector square;
  ASSERT_TRUE(ComputeDecimals(Op::kMultiply, false, sum, sum, 2, &scratch, &square));
  EXPECT_EQ(square.form, Form::kInt128);
  Vector cube;
  ASSERT_TRUE(ComputeDecimals(Op::kMultiply, false, square, sum, 2, &scratch, &cube));
  EXPECT_EQ(cube.form, Form::kBigDecimal);
}

TEST(DecimalKernels, Text) {
  const auto text = [](int64_t unscaled, int scale) {
    std::string out = ">";
    AppendDecimalText(unscaled, scale, &out);
    return out.substr(1);
  };
  EXPECT_EQ(text(110, 2), "1.1");
  EXPECT_EQ(text(200, 2), "2");
  EXPECT_EQ(text(0, 2), "0");
  EXPECT_EQ(text(-5, 2), "-0.05");
  EXPECT_EQ(text(-12345, 0), "-12345");
  EXPECT_EQ(text(1, 18), "0.000000000000000001");
  EXPECT_EQ(text(std::numeric_limits<int64_t>::min(), 2), "-92233720368547758.08");
}

TEST(DecimalKernels, NearestFloat) {
  std::mt19937_64 random(3);
  std::vector<int128> values = {
      0, 1, -1, int128{1} << 126, -(int128{1} << 126), std::numeric_limits<int64_t>::min()};
  for (int i = 0; i < 500; ++i) {
    values.push_back((int128{AnyNumber(&random)} << (random() % 63)) + AnyNumber(&random));
  }
  for (const int scale : {0, 2, 16, 30}) {
    for (const int128& value : values) {
      Vector vector;
      vector.type = ValueType::kDecimal;
      vector.form = Form::kInt128;
      vector.scale = scale;
      vector.values = &value;
      double found = 0;
      DecimalsToFloats(vector, 1, &found);
      EXPECT_EQ(found, DecimalAt(vector, 0).ToDouble()) << DecimalAt(vector, 0).ToString();
      const auto narrow = static_cast<int64_t>(value);
      const std::vector<int64_t> single = {narrow};
      const Vector small = Narrow(single, scale);
      DecimalsToFloats(small, 1, &found);
      EXPECT_EQ(found, DecimalAt(small, 0).ToDouble()) << DecimalAt(small, 0).ToString();
    }
  }
}

TEST(DecimalKernels, Rounding) {
  const std::vector<int64_t> values = {1005, -1005, 1004, -1004, 5, -5, 4, 0};
  std::vector<int64_t> out(values.size());
  ASSERT_TRUE(RescaleInts(values.data(), 3, 2, static_cast<int64_t>(values.size()), out.data()));
  EXPECT_EQ(out, (std::vector<int64_t>{101, -101, 100, -100, 1, -1, 0, 0}));
  const int64_t large = std::numeric_limits<int64_t>::max() / 5;
  EXPECT_FALSE(RescaleInts(&large, 0, 1, 1, out.data()));
}

}  // namespace
}  // namespace capi::expr::kernels
