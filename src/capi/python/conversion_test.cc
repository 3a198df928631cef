// What values become in Python and how results come back (spec/script.md 12.2).

#include <cmath>
#include <limits>

#include "capi/python/pool_testing_internal.h"

namespace capi::python {
namespace {

using Texts = std::vector<std::string>;

class ConversionTest : public PoolTest {
 protected:
  /// repr of the values as Python sees them.
  Texts Seen(const std::shared_ptr<arrow::Array>& column) {
    return Results("def f(x): return repr(x)", FieldType::kString, "f(r0)", {column});
  }
  /// What becomes of a Python value, by its text.
  Outcome Returned(FieldType type, const std::string& value) {
    return Evaluate(
        "import decimal, datetime\nclass Odd:\n  def __repr__(self): raise ValueError()\n"
        "def f(x): return " +
            value + "\n",
        type, "f(r0)", {Ints({7})});
  }
  std::string Stored(FieldType type, const std::string& value) {
    const Outcome outcome = Returned(type, value);
    EXPECT_TRUE(outcome.error.ok()) << Describe(outcome.error);
    return outcome.error.ok() ? TextsOf(*outcome.columns[0])[0] : "";
  }
  void ExpectRefused(FieldType type, const std::string& value, const std::string& why) {
    ExpectError(Returned(type, value), "python_result", 0, {why, "calc.py:4", "r.r0=7"});
  }
};

TEST_F(ConversionTest, IntsAreSeenExactly) {
  EXPECT_EQ(Seen(Ints({0, -1, INT64_MAX, INT64_MIN})),
            (Texts{"0", "-1", "9223372036854775807", "-9223372036854775808"}));
}

TEST_F(ConversionTest, FloatsAreSeenExactly) {
  EXPECT_EQ(Seen(Floats({1.5, -0.0, 1e-9, 0.1, std::nan(""), INFINITY})),
            (Texts{"1.5", "-0.0", "1e-09", "0.1", "nan", "inf"}));
}

TEST_F(ConversionTest, WholeDecimalsAreIntsOthersFloats) {
  EXPECT_EQ(Seen(Hundredths({1001, 510, 700, 0, -5, -100})),
            (Texts{"10.01", "5.1", "7", "0", "-0.05", "-1"}));
  EXPECT_EQ(Seen(Hundredths({100, 200})), (Texts{"1", "2"}));
  EXPECT_EQ(Seen(Hundredths({101, 201})), (Texts{"1.01", "2.01"}));
}

TEST_F(ConversionTest, LargeDecimalsAreTheNearestNumbers) {
  EXPECT_EQ(Seen(Hundredths({999999999999999999, 999999999999999900, 1})),
            (Texts{"1e+16", "9999999999999999", "0.01"}));
  const data::int128 huge = data::int128{1000000000000000000} * 1000000000000;
  EXPECT_EQ(Seen(WideHundredths({huge, huge + 50, 150})),
            (Texts{"10000000000000000000000000000", "1e+28", "1.5"}));
}

TEST_F(ConversionTest, BoolsAreBools) {
  EXPECT_EQ(Seen(Bools({true, false, true})), (Texts{"True", "False", "True"}));
  EXPECT_EQ(Seen(Bools({false, true, false, true})->Slice(1, 2)), (Texts{"True", "False"}));
}

TEST_F(ConversionTest, OldCodeKnowsUpperCaseBools) {
  EXPECT_EQ(Results("def f(x): return TRUE if x else FALSE", FieldType::kBool, "f(r0)",
                    {Bools({true, false})}),
            (Texts{"true", "false"}));
}

TEST_F(ConversionTest, DatetimesAreTexts) {
  EXPECT_EQ(Seen(Millis({0, 1577923200123, data::kZeroMomentMillis, -1})),
            (Texts{"'1970-01-01T00:00:00.000+00:00'", "'2020-01-02T00:00:00.123+00:00'",
                   "'0001-01-01T00:00:00.000+00:00'", "'1969-12-31T23:59:59.999+00:00'"}));
}

TEST_F(ConversionTest, StringsAreSeenWhateverTheyHold) {
  const Texts values = {"", "it's", "a\\b\nc\td\"e", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", "r.x"};
  EXPECT_EQ(Results("def f(x): return x", FieldType::kString, "f(r0)", {Strings(values)}), values);
  EXPECT_EQ(Results("def f(x): return len(x)", FieldType::kInt, "f(r0)", {Strings(values)}),
            (Texts{"0", "4", "9", "3", "3"}));
}

TEST_F(ConversionTest, StringsWithZeroBytesAndBadUtf8ComeBackUnchanged) {
  const Texts values = {std::string("a\0b", 3), "\xFF\xFE", "", std::string(1, '\0'), "\xC3"};
  EXPECT_EQ(Results("def f(x): return x", FieldType::kString, "f(r0)", {Strings(values)}), values);
}

TEST_F(ConversionTest, StringsOfADictionaryAndOfASlice) {
  auto column = Must(data::ConstantColumn(FieldType::kString, data::Value(std::string("xy")), 3));
  EXPECT_EQ(Seen(column), (Texts{"'xy'", "'xy'", "'xy'"}));
  EXPECT_EQ(Seen(Strings({"a", "b", "c"})->Slice(1, 2)), (Texts{"'b'", "'c'"}));
}

TEST_F(ConversionTest, StringResults) {
  EXPECT_EQ(Stored(FieldType::kString, "'\\u00e4' + str(x)"),
            "\xC3\xA4"
            "7");
  EXPECT_EQ(Stored(FieldType::kString, "''"), "");
  EXPECT_EQ(Stored(FieldType::kString, "'a\\0b'"), std::string("a\0b", 3));
  ExpectRefused(FieldType::kString, "x", "the result is int, not a string: 7");
  ExpectRefused(FieldType::kString, "None", "the result is NoneType, not a string: None");
  ExpectRefused(FieldType::kString, "b'x'", "the result is bytes, not a string");
  ExpectRefused(FieldType::kString, "'\\ud800'", "half of a surrogate pair");
}

TEST_F(ConversionTest, IntResults) {
  EXPECT_EQ(Stored(FieldType::kInt, "2 ** 63 - 1"), "9223372036854775807");
  EXPECT_EQ(Stored(FieldType::kInt, "-2 ** 63"), "-9223372036854775808");
  EXPECT_EQ(Stored(FieldType::kInt, "2.99"), "2");
  EXPECT_EQ(Stored(FieldType::kInt, "-2.99"), "-2");
  EXPECT_EQ(Stored(FieldType::kInt, "decimal.Decimal('12.5')"), "12");
  ExpectRefused(FieldType::kInt, "2 ** 63", "the result does not fit 64 bits: 9223372036854775808");
  ExpectRefused(FieldType::kInt, "10 ** 5000", "the result does not fit 64 bits");
  ExpectRefused(FieldType::kInt, "1e300", "the result does not fit 64 bits");
  ExpectRefused(FieldType::kInt, "float('nan')", "not a finite number");
  ExpectRefused(FieldType::kInt, "'7'", "the result is str, not a number: '7'");
  ExpectRefused(FieldType::kInt, "True", "the result is bool, not a number: True");
  ExpectRefused(FieldType::kInt, "None", "the result is NoneType, not a number: None");
  ExpectRefused(FieldType::kInt, "Odd()", "the result is Odd, not a number: <Odd>");
}

TEST_F(ConversionTest, FloatResults) {
  EXPECT_EQ(Stored(FieldType::kFloat, "0.1"), "0.1");
  EXPECT_EQ(Stored(FieldType::kFloat, "3"), "3");
  EXPECT_EQ(Stored(FieldType::kFloat, "decimal.Decimal('0.25')"), "0.25");
  ExpectRefused(FieldType::kFloat, "float('nan')", "not a finite number: nan");
  ExpectRefused(FieldType::kFloat, "-float('inf')", "not a finite number: -inf");
  ExpectRefused(FieldType::kFloat, "10 ** 400", "the result does not fit a float");
  ExpectRefused(FieldType::kFloat, "'1.5'", "the result is str, not a number");
  ExpectRefused(FieldType::kFloat, "False", "the result is bool, not a number");
  ExpectRefused(FieldType::kFloat, "1j", "the result is complex, not a number");
}

TEST_F(ConversionTest, FloatsWhoseSumOverflowsAreFinite) {
  EXPECT_EQ(Results("def f(x): return 1.7e308", FieldType::kFloat, "f(r0)", {Ints({1, 2, 3})}),
            (Texts{"1.7e+308", "1.7e+308", "1.7e+308"}));
}

TEST_F(ConversionTest, DecimalResultsRoundHalfAwayFromZero) {
  EXPECT_EQ(Stored(FieldType::kDecimal2, "1.005"), "1.01");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "-1.005"), "-1.01");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "1.00499999"), "1");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "7 / 3"), "2.33");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "-0.001"), "0");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "5"), "5");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "2 ** 62"), "4611686018427387904");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "10 ** 30"), "1000000000000000000000000000000");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "1e30"), "1000000000000000000000000000000");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "decimal.Decimal('123456789012345678901.235')"),
            "123456789012345678901.24");
  EXPECT_EQ(Stored(FieldType::kDecimal2, "decimal.Decimal('1E+3')"), "1000");
  ExpectRefused(FieldType::kDecimal2, "10 ** 40", "the result has more than 38 digits: 1000");
  ExpectRefused(FieldType::kDecimal2, "1e300", "the result has more than 38 digits: 1e+300");
  ExpectRefused(FieldType::kDecimal2, "10 ** 100", "the result is too large for decimal2");
  ExpectRefused(FieldType::kDecimal2, "float('inf')", "not a finite number");
  ExpectRefused(FieldType::kDecimal2, "decimal.Decimal('NaN')", "not a finite number");
  ExpectRefused(FieldType::kDecimal2, "'1.00'", "the result is str, not a number");
}

TEST_F(ConversionTest, DecimalResultsOfMixedKinds) {
  EXPECT_EQ(Results("import decimal\nv = [1, 2.345, decimal.Decimal('0.01'), 10**20]\n"
                    "def f(x): return v[x]",
                    FieldType::kDecimal2, "f(r0)", {Ints({0, 1, 2, 3})}),
            (Texts{"1", "2.35", "0.01", "100000000000000000000"}));
}

TEST_F(ConversionTest, EveryHundredthComesBack) {
  std::vector<int64_t> values;
  for (int64_t i = -3000; i < 3000; ++i) values.push_back(i * 7919 + i);
  EXPECT_EQ(Results("def f(x): return x", FieldType::kDecimal2, "f(r0)", {Hundredths(values)}),
            TextsOf(*Hundredths(values)));
}

TEST_F(ConversionTest, BoolResults) {
  EXPECT_EQ(Stored(FieldType::kBool, "x > 3"), "true");
  ExpectRefused(FieldType::kBool, "1", "the result is int, not bool: 1");
  ExpectRefused(FieldType::kBool, "'true'", "the result is str, not bool");
}

TEST_F(ConversionTest, DatetimeResults) {
  const auto stored = [&](const std::string& text) {
    return Stored(FieldType::kDatetime, "'" + text + "'");
  };
  EXPECT_EQ(stored("2020-01-03T00:00:00.000+00:00"), "2020-01-03 00:00:00 +0000 UTC");
  EXPECT_EQ(stored("0001-01-02T00:00:00.000+00:00"), "0001-01-02 00:00:00 +0000 UTC");
  EXPECT_EQ(stored("2020-01-03T00:00:00.250-05:30"), "2020-01-03 00:00:00.25 -0530 -0530");
  for (const char* bad : {"'2020-01-03'", "'2020-13-03T00:00:00.000+00:00'", "''",
                          "'2020-02-30T00:00:00.000+00:00'"}) {
    ExpectRefused(FieldType::kDatetime, bad, "the result is not a datetime like 2006-01-02T15");
  }
  ExpectRefused(FieldType::kDatetime, "datetime.datetime(2020, 1, 1)", "not a string");
  ExpectRefused(FieldType::kDatetime, "1577923200", "the result is int, not a string");
}

TEST_F(ConversionTest, ScalarsOfAPackageAreConverted) {
  // Stands for numpy, which need not be there.
  const std::string source =
      "class Scalar:\n"
      "  def __init__(self, v): self.v = v\n"
      "  def item(self): return self.v\n"
      "Scalar.__module__ = 'numpy'\n"
      "def f(x): return Scalar(x)\n"
      "def g(x): return Scalar(x > 1)\n";
  EXPECT_EQ(Results(source, FieldType::kInt, "f(r0)", {Ints({1, 2})}), (Texts{"1", "2"}));
  EXPECT_EQ(Results(source, FieldType::kBool, "g(r0)", {Ints({1, 2})}), (Texts{"false", "true"}));
}

}  // namespace
}  // namespace capi::python
