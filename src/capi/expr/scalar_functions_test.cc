#include "capi/expr/scalar_functions.h"

#include <limits>
#include <string>

#include "capi/base/status.h"
#include "gtest/gtest.h"
#include "re2/re2.h"

namespace capi::expr {
namespace {

using data::Instant;

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(ScalarFunctions, IntArithmeticWraps) {
  EXPECT_EQ(WrapAdd(kMax, 1), kMin);
  EXPECT_EQ(WrapSubtract(kMin, 1), kMax);
  EXPECT_EQ(WrapMultiply(kMin, -1), kMin);
  EXPECT_EQ(WrapNegate(kMin), kMin);
  EXPECT_EQ(DivideInt(kMin, -1), kMin);
  EXPECT_EQ(ModuloInt(kMin, -1), 0);
  EXPECT_EQ(DivideInt(-7, 2), -3);
  EXPECT_EQ(ModuloInt(-7, 2), -1);
}

TEST(ScalarFunctions, FloatToIntRefusesWhatDoesNotFit) {
  EXPECT_EQ(*FloatToInt(-2.9), -2);
  EXPECT_EQ(*FloatToInt(-9223372036854775808.0), kMin);
  EXPECT_EQ(ErrorClassOf(FloatToInt(9223372036854775808.0).status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(FloatToInt(-1e30).status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(FloatToInt(std::numeric_limits<double>::quiet_NaN()).status()),
            "number_out_of_range");
}

TEST(ScalarFunctions, StringsCompareWithoutOuterQuotes) {
  EXPECT_EQ(CompareStrings("\"abc\"", "abc"), 0);
  EXPECT_EQ(CompareStrings("\"\"a\"\"", "a"), 0);
  EXPECT_EQ(CompareStrings("\"", ""), 0);
  EXPECT_EQ(CompareStrings("x\\\"y", "x\\\"y"), 0);
  EXPECT_NE(CompareStrings("x\\\"y", "x\"y"), 0);
  EXPECT_LT(CompareStrings("a", "aa"), 0);
  EXPECT_GT(CompareStrings("é", "z"), 0);
}

std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out = "<";
  AppendReplaced(text, from, to, &out);
  return out + ">";
}

TEST(ScalarFunctions, Replace) {
  EXPECT_EQ(Replaced("abcabc", "b", "X"), "<aXcaXc>");
  EXPECT_EQ(Replaced("aaa", "aa", "b"), "<ba>");
  EXPECT_EQ(Replaced("abc", "z", "-"), "<abc>");
  EXPECT_EQ(Replaced("日本", "", "-"), "<-日-本->");
  EXPECT_EQ(Replaced("a\xff", "", "-"), "<-a-\xff->");
  EXPECT_EQ(Replaced("", "", "x"), "<x>");
  EXPECT_EQ(Replaced("", "a", "x"), "<>");
}

TEST(ScalarFunctions, Patterns) {
  EXPECT_TRUE(RE2::PartialMatch("say hello", **CompilePattern("(?i)HELLO")));
  for (const char* pattern : {"[", "a(?=b)", "(a)\\1", "a{2000}"}) {
    EXPECT_EQ(ErrorClassOf(CompilePattern(pattern).status()), "bad_regexp") << pattern;
  }
}

TEST(ScalarFunctions, DatesRollOver) {
  const Instant utc;
  EXPECT_EQ(data::DatetimeToRfc3339(*MakeDate(2024, 2, 30, 0, 0, 0, 0, utc)),
            "2024-03-01T00:00:00Z");
  EXPECT_EQ(data::DatetimeToRfc3339(*MakeDate(2023, 1, -5, 25, -1, 0, 0, utc)),
            "2022-12-27T00:59:00Z");
  EXPECT_EQ(data::DatetimeToRfc3339(*MakeDate(1970, 1, 1, 0, 0, 0, -1, utc)),
            "1969-12-31T23:59:59.999999999Z");
  const Instant zone = *MakeZone("EST", -18000);
  const Instant date = *MakeDate(2024, 5, 1, 12, 0, 0, 0, zone);
  EXPECT_EQ(date.offset, -18000);
  EXPECT_EQ(date.zone_name, "EST");
  EXPECT_EQ(date.seconds, 1714582800);
}

TEST(ScalarFunctions, DatesHaveLimits) {
  const Instant utc;
  EXPECT_TRUE(MakeDate(9999, 12, 31, 23, 59, 59, 0, utc).ok());
  EXPECT_TRUE(MakeDate(-9999, 1, 1, 0, 0, 0, 0, utc).ok());
  EXPECT_EQ(ErrorClassOf(MakeDate(10000, 1, 1, 0, 0, 0, 0, utc).status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(MakeDate(9999, 12, 31, 23, 59, 60, 0, utc).status()),
            "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(MakeDate(kMax, 1, 1, 0, 0, 0, 0, utc).status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(MakeDate(2024, 1, kMax, kMax, kMax, kMax, kMax, utc).status()),
            "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(MakeDate(2024, 1, kMin, 0, 0, 0, kMin, utc).status()),
            "number_out_of_range");
  EXPECT_TRUE(MakeZone("x", 86399).ok());
  EXPECT_EQ(ErrorClassOf(MakeZone("x", 86400).status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(MakeZone("x", -86400).status()), "number_out_of_range");
}

TEST(ScalarFunctions, DifferencesAreLimited) {
  Instant left;
  Instant right;
  left.nanos = 900000;
  EXPECT_EQ(DiffMillis(left, right), 0);
  EXPECT_EQ(DiffMillis(right, left), 0);
  left = {};
  left.seconds = 400ll * 365 * 86400;
  EXPECT_EQ(DiffMillis(left, right), 9223372036854);
  EXPECT_EQ(DiffMillis(right, left), -9223372036854);
}

TEST(ScalarFunctions, OffsetIsSetOnce) {
  const Status inner = AtOffset(DivisionByZeroError(), 5);
  EXPECT_EQ(InfoOf(AtOffset(inner, 0)).expression_offset, 5);
  EXPECT_EQ(InfoOf(inner).error_class, "division_by_zero");
}

}  // namespace
}  // namespace capi::expr
