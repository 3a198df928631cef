#include "capi/data/decimal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "capi/base/status.h"
#include "capi/data/go_format_cases_testing.h"

namespace capi::data {
namespace {

using testing_support::ReadCases;

BigDecimal Big(std::string_view text) {
  Result<BigDecimal> result = BigDecimal::Parse(text);
  EXPECT_TRUE(result.ok()) << text << ": " << result.status().ToString();
  return result.ok() ? *result : BigDecimal();
}

std::string Hundredths(int128 value) {
  char buffer[48];
  return std::string(buffer, static_cast<size_t>(FormatHundredths(value, buffer)));
}

TEST(BigDecimalTest, ParsesAndPrints) {
  EXPECT_EQ(Big("1.10").ToString(), "1.1");
  EXPECT_EQ(Big("2.00").ToString(), "2");
  EXPECT_EQ(Big(".5").ToString(), "0.5");
  EXPECT_EQ(Big("5.").ToString(), "5");
  EXPECT_EQ(Big("-0.0").ToString(), "0");
  EXPECT_EQ(Big("+1e3").ToString(), "1000");
  EXPECT_EQ(Big("1E-3").ToString(), "0.001");
  EXPECT_EQ(Big("12e+2").ToString(), "1200");
  EXPECT_EQ(Big("00012.50").ToString(), "12.5");
  EXPECT_EQ(Big("0e999999999999999999999").ToString(), "0");
  EXPECT_EQ(Big("-123456789012345678901234567890.000000000001").ToString(),
            "-123456789012345678901234567890.000000000001");
}

TEST(BigDecimalTest, RefusesWrongText) {
  for (const char* text :
       {"",    " 1",  "1 ",   ".",     "-",   "+",   "-.",    "1e",    "1e+", "e5", "1,5",
        "--1", "+-1", "0x10", "1_000", "inf", "NaN", "1.2.3", "1e5.5", "abc", "1a", "٥"}) {
    EXPECT_EQ(ErrorClassOf(BigDecimal::Parse(text).status()), "bad_number_text") << text;
  }
  EXPECT_EQ(ErrorClassOf(BigDecimal::Parse(std::string(40, 'x')).status()), "bad_number_text");
}

TEST(BigDecimalTest, CapsDigitsAndScale) {
  EXPECT_TRUE(BigDecimal::Parse("1e10000").ok());
  EXPECT_TRUE(BigDecimal::Parse("1e-10000").ok());
  for (const char* text :
       {"1e10001", "1e-10001", "1e99999999999999999999", "1e-9223372036854775808"}) {
    EXPECT_EQ(ErrorClassOf(BigDecimal::Parse(text).status()), "number_out_of_range") << text;
  }
  EXPECT_TRUE(BigDecimal::Parse(std::string(BigDecimal::kMaxDigits, '7')).ok());
  EXPECT_EQ(ErrorClassOf(BigDecimal::Parse(std::string(BigDecimal::kMaxDigits + 1, '7')).status()),
            "number_out_of_range");
  EXPECT_TRUE(BigDecimal::Parse(std::string(20000, '0') + "1").ok());
  EXPECT_EQ(ErrorClassOf(Big("1e9999").Multiply(Big("1e9999")).status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(Big("1e9999").Add(Big("1e-9999")).status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(Big("1e10000").Divide(Big("1e-9000")).status()), "number_out_of_range");
  EXPECT_EQ(Big("1e-9000").Divide(Big("1e9000"))->ToString(), "0");
}

TEST(BigDecimalTest, DividesByZero) {
  EXPECT_EQ(ErrorClassOf(Big("1").Divide(Big("0.00")).status()), "division_by_zero");
  EXPECT_EQ(ErrorClassOf(Big("0").Divide(Big("0")).status()), "division_by_zero");
}

TEST(BigDecimalTest, AgreesWithCases) {
  for (const nlohmann::json& row : ReadCases("decimal_cases.jsonl")) {
    SCOPED_TRACE(row.dump());
    const BigDecimal left = Big(row["left"].get<std::string>());
    const BigDecimal right = Big(row["right"].get<std::string>());
    EXPECT_EQ(left.Add(right)->ToString(), row["sum"]);
    EXPECT_EQ(right.Add(left)->ToString(), row["sum"]);
    EXPECT_EQ(left.Subtract(right)->ToString(), row["difference"]);
    EXPECT_EQ(left.Multiply(right)->ToString(), row["product"]);
    if (row.contains("quotient")) {
      EXPECT_EQ(left.Divide(right)->ToString(), row["quotient"]);
    }
    EXPECT_EQ(left.Compare(right), row["compare"].get<int>());
    EXPECT_EQ(right.Compare(left), -row["compare"].get<int>());
    EXPECT_EQ(left.Compare(*left.Multiply(Big("1.000"))), 0);
    EXPECT_EQ(left.Round(row["scale"].get<int>()).ToString(), row["rounded"]);
    EXPECT_EQ(left.ToDouble(), std::stod(row["float"].get<std::string>()));
  }
}

TEST(BigDecimalTest, Rounds) {
  EXPECT_EQ(Big("1.005").Round(2).ToString(), "1.01");
  EXPECT_EQ(Big("-1.005").Round(2).ToString(), "-1.01");
  EXPECT_EQ(Big("-0.001").Round(2).ToString(), "0");
  EXPECT_FALSE(Big("-0.001").Round(2).is_negative());
  EXPECT_EQ(Big("0.5").Round(0).ToString(), "1");
  EXPECT_EQ(Big("0.4999").Round(0).ToString(), "0");
  EXPECT_EQ(Big("50").Round(-2).ToString(), "100");
  EXPECT_EQ(Big("49").Round(-2).ToString(), "0");
  EXPECT_EQ(Big("999999999.999").Round(2).ToString(), "1000000000");
  EXPECT_EQ(Big("1").Round(5).ToString(), "1");
}

TEST(BigDecimalTest, PrintsFixed) {
  EXPECT_EQ(Big("1.5").ToFixed(2), "1.50");
  EXPECT_EQ(Big("-0.001").ToFixed(2), "0.00");
  EXPECT_EQ(Big("-0.005").ToFixed(2), "-0.01");
  EXPECT_EQ(Big("7").ToFixed(0), "7");
  EXPECT_EQ(Big("1e3").ToFixed(1), "1000.0");
}

TEST(BigDecimalTest, ConvertsFloats) {
  EXPECT_EQ(BigDecimal::FromDouble(0.1)->ToString(), "0.1");
  EXPECT_EQ(BigDecimal::FromDouble(1e21)->ToString(), "1000000000000000000000");
  EXPECT_EQ(BigDecimal::FromDouble(1e-10)->ToString(), "0.0000000001");
  EXPECT_EQ(BigDecimal::FromDouble(-0.0)->ToString(), "0");
  EXPECT_EQ(BigDecimal::FromDouble(5e-324)->ToDouble(), 5e-324);
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    EXPECT_EQ(ErrorClassOf(BigDecimal::FromDouble(value).status()), "not_finite");
  }
  EXPECT_EQ(Big("1e400").ToDouble(), HUGE_VAL);
  EXPECT_EQ(Big("-1e400").ToDouble(), -HUGE_VAL);
  EXPECT_EQ(Big("1e-400").ToDouble(), 0.0);
  EXPECT_EQ(Big("9007199254740993").ToDouble(), 9007199254740992.0);
}

TEST(BigDecimalTest, ConvertsInts) {
  EXPECT_EQ(*Big("2.99").ToInt(), 2);
  EXPECT_EQ(*Big("-2.99").ToInt(), -2);
  EXPECT_EQ(*Big("1e18").ToInt(), 1000000000000000000);
  EXPECT_EQ(*Big("9223372036854775807.9").ToInt(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(*Big("-9223372036854775808").ToInt(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(*Big("1e-30").ToInt(), 0);
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "1e19", "1e9000"}) {
    EXPECT_EQ(ErrorClassOf(Big(text).ToInt().status()), "number_out_of_range") << text;
  }
  EXPECT_EQ(BigDecimal::FromInt(std::numeric_limits<int64_t>::min()).ToString(),
            "-9223372036854775808");
}

TEST(BigDecimalTest, ConvertsInt128) {
  int128 value = 0;
  EXPECT_TRUE(Big("1.005").ToInt128(2, &value));
  EXPECT_TRUE(value == 101);
  EXPECT_TRUE(Big("-0.004").ToInt128(2, &value));
  EXPECT_TRUE(value == 0);
  const int128 limit = std::numeric_limits<int128>::max();
  EXPECT_TRUE(BigDecimal::FromInt128(limit, 7).ToInt128(7, &value));
  EXPECT_TRUE(value == limit);
  EXPECT_TRUE(BigDecimal::FromInt128(-limit - 1, 0).ToInt128(0, &value));
  EXPECT_TRUE(value == -limit - 1);
  EXPECT_FALSE(BigDecimal::FromInt128(limit, 0).Add(Big("1"))->ToInt128(0, &value));
  EXPECT_FALSE(Big("1e39").ToInt128(0, &value));
  EXPECT_FALSE(Big("1e9000").ToInt128(2, &value));
}

TEST(HundredthsTest, Rescales) {
  EXPECT_TRUE(RescaleHalfAway(1005, 3, 2) == 101);
  EXPECT_TRUE(RescaleHalfAway(-1005, 3, 2) == -101);
  EXPECT_TRUE(RescaleHalfAway(1004, 3, 2) == 100);
  EXPECT_TRUE(RescaleHalfAway(-4, 1, 0) == 0);
  EXPECT_TRUE(RescaleHalfAway(7, 2, 2) == 7);
  const int128 power38 = static_cast<int128>(1000000000000000000) * 1000000000000000000 * 100;
  EXPECT_TRUE(RescaleHalfAway(power38 / 2, 38, 0) == 1);
  EXPECT_TRUE(RescaleHalfAway(power38 / 2 - 1, 38, 0) == 0);
  EXPECT_TRUE(RescaleHalfAway(-power38 / 2, 38, 0) == -1);
}

TEST(HundredthsTest, FastPathAgreesWithTheSlowOne) {
  std::mt19937_64 random(3);
  const std::string_view alphabet = "0123456789012345678901234567890123456789.+-e ";
  int accepted = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string text;
    const size_t size = random() % 19;
    for (size_t k = 0; k < size; ++k) {
      text.push_back(alphabet[random() % alphabet.size()]);
    }
    if (size > 2 && i % 2 == 0) {
      text[size - 1 - random() % 3] = '.';
    }
    int64_t fast = 0;
    if (!TryParseHundredths(text.data(), text.data() + text.size(), &fast)) {
      continue;
    }
    ++accepted;
    Result<BigDecimal> slow = BigDecimal::Parse(text);
    ASSERT_TRUE(slow.ok()) << text;
    int128 expected = 0;
    ASSERT_TRUE(slow->ToInt128(2, &expected));
    ASSERT_TRUE(expected == fast) << text;
  }
  EXPECT_GT(accepted, 2000);
}

TEST(HundredthsTest, FastPathTakesUsualTexts) {
  const std::pair<const char*, int64_t> cases[] = {{"0", 0},
                                                   {"7", 700},
                                                   {"-7", -700},
                                                   {"12", 1200},
                                                   {"1.5", 150},
                                                   {".5", 50},
                                                   {"5.", 500},
                                                   {"123.45", 12345},
                                                   {"+123.45", 12345},
                                                   {"-0.01", -1},
                                                   {"1234567", 123456700},
                                                   {"12345678", 1234567800},
                                                   {"123456789", 12345678900},
                                                   {"1234567890.12", 123456789012},
                                                   {"9999999999999.99", 999999999999999},
                                                   {"9999999999999999", 999999999999999900}};
  for (const auto& [text, expected] : cases) {
    int64_t value = 0;
    EXPECT_TRUE(TryParseHundredths(text, text + std::strlen(text), &value)) << text;
    EXPECT_EQ(value, expected) << text;
  }
  for (const char* text : {"", "-", "+", ".", "-.", "1e3", "1.005", "abc", " 1", "1 ", "1,5", "--1",
                           "1.2.3", "....", "12345678901234567"}) {
    int64_t value = 0;
    EXPECT_FALSE(TryParseHundredths(text, text + std::strlen(text), &value)) << text;
  }
}

TEST(HundredthsTest, Parses) {
  EXPECT_EQ(Hundredths(*ParseHundredths("1.005")), "1.01");
  EXPECT_EQ(Hundredths(*ParseHundredths("-1.005")), "-1.01");
  EXPECT_EQ(Hundredths(*ParseHundredths("1e2")), "100.00");
  EXPECT_EQ(Hundredths(*ParseHundredths("12345678901234567.89")), "12345678901234567.89");
  EXPECT_EQ(Hundredths(*ParseHundredths("999999999999999999999999999999999999.99")),
            "999999999999999999999999999999999999.99");
  EXPECT_EQ(ErrorClassOf(ParseHundredths("999999999999999999999999999999999999.995").status()),
            "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(ParseHundredths("1e36").status()), "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(ParseHundredths("").status()), "bad_number_text");
  EXPECT_EQ(ErrorClassOf(ParseHundredths(" 1").status()), "bad_number_text");
}

TEST(HundredthsTest, Formats) {
  EXPECT_EQ(Hundredths(0), "0.00");
  EXPECT_EQ(Hundredths(-1), "-0.01");
  EXPECT_EQ(Hundredths(5), "0.05");
  EXPECT_EQ(Hundredths(12345), "123.45");
  EXPECT_EQ(Hundredths(std::numeric_limits<int64_t>::min()), "-92233720368547758.08");
  const int128 limit = std::numeric_limits<int128>::max();
  EXPECT_EQ(Hundredths(limit), "1701411834604692317316873037158841057.27");
  EXPECT_EQ(Hundredths(-limit - 1), "-1701411834604692317316873037158841057.28");
  std::mt19937_64 random(4);
  for (int i = 0; i < 5000; ++i) {
    int128 value = static_cast<int64_t>(random());
    value = value * static_cast<int64_t>(random() | 1);
    value >>= random() % 127;
    ASSERT_EQ(Hundredths(value), BigDecimal::FromInt128(value, 2).ToFixed(2));
  }
}

TEST(HundredthsTest, KnowsTheStoredRange) {
  int128 limit = 1;
  for (int i = 0; i < 38; ++i) {
    limit *= 10;
  }
  EXPECT_TRUE(FitsStoredDecimal(limit - 1));
  EXPECT_TRUE(FitsStoredDecimal(1 - limit));
  EXPECT_FALSE(FitsStoredDecimal(limit));
  EXPECT_FALSE(FitsStoredDecimal(-limit));
}

}  // namespace
}  // namespace capi::data
