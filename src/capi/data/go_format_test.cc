#include "capi/data/go_format.h"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "capi/base/status.h"
#include "capi/data/go_format_cases_testing.h"

namespace capi::data {
namespace {

using testing_support::ReadCases;

double FloatOf(const std::string& text) { return *ParseGoFloat(text); }

std::string TextOf(const nlohmann::json& json) {
  if (!json.contains("value_hex")) {
    return json["value"];
  }
  const std::string hex = json["value_hex"];
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

/// Any value of a case file.
Value ValueOf(const nlohmann::json& json) {
  const std::string type = json["type"];
  if (type == "int") {
    return *ParseGoInt(json["value"].get<std::string>());
  }
  if (type == "native_int") {
    return NativeInt{*ParseGoInt(json["value"].get<std::string>())};
  }
  if (type == "float") {
    return FloatOf(json["value"]);
  }
  if (type == "bool") {
    return json["value"].get<bool>();
  }
  if (type == "decimal2") {
    return *BigDecimal::Parse(json["value"].get<std::string>());
  }
  if (type == "datetime") {
    return *ParseRfc3339(json["value"].get<std::string>());
  }
  return TextOf(json);
}

std::string PrintWith(std::string_view format, const std::vector<Value>& arguments) {
  std::string text;
  PrintFormat::Compile(format).Print(arguments, &text);
  return text;
}

/// Prints through the single-value doors.
std::string PrintSingle(const PrintFormat& format, const Value& value) {
  std::string text;
  if (const int64_t* number = std::get_if<int64_t>(&value)) {
    format.PrintInt(*number, &text);
  } else if (const double* real = std::get_if<double>(&value)) {
    format.PrintFloat(*real, &text);
  } else if (const bool* flag = std::get_if<bool>(&value)) {
    format.PrintBool(*flag, &text);
  } else if (const std::string* string = std::get_if<std::string>(&value)) {
    format.PrintString(*string, &text);
  }
  return text;
}

TEST(PrintFormatTest, AgreesWithGo) {
  for (const nlohmann::json& row : ReadCases("go_format_cases.jsonl")) {
    SCOPED_TRACE(row.dump());
    const std::string format_text = row["format"];
    std::vector<Value> arguments;
    for (const nlohmann::json& argument : row["arguments"]) {
      arguments.push_back(ValueOf(argument));
    }
    EXPECT_EQ(PrintWith(format_text, arguments), row["result"]);
    if (arguments.size() == 1 && !std::holds_alternative<NativeInt>(arguments[0])) {
      EXPECT_EQ(PrintSingle(PrintFormat::Compile(format_text), arguments[0]), row["result"]);
    }
  }
}

TEST(PrintFormatTest, AgreesWithCsvCases) {
  for (const nlohmann::json& row : ReadCases("csv_print_cases.jsonl")) {
    SCOPED_TRACE(row.dump());
    const PrintFormat format = PrintFormat::Compile(row["format"].get<std::string>());
    const Value value = ValueOf(row["value"]);
    if (const BigDecimal* decimal = std::get_if<BigDecimal>(&value)) {
      EXPECT_EQ(PrintSingle(format, decimal->ToFixed(2)), row["result"]);
      int128 hundredths = 0;
      ASSERT_TRUE(decimal->ToInt128(2, &hundredths));
      char buffer[48];
      const int size = FormatHundredths(hundredths, buffer);
      EXPECT_EQ(PrintSingle(format, std::string(buffer, static_cast<size_t>(size))), row["result"]);
    } else if (const Instant* instant = std::get_if<Instant>(&value)) {
      std::string text;
      TimeLayout::Compile(row["format"].get<std::string>())
          .FormatMillis(instant->ToMillisFloor(), &text);
      EXPECT_EQ(text, row["result"]);
    } else {
      EXPECT_EQ(PrintSingle(format, value), row["result"]);
    }
  }
}

TEST(PrintFormatTest, DecimalsAndMomentsPrintTheirText) {
  const Value decimal = *BigDecimal::Parse("1.10");
  const Value moment = *ParseRfc3339("2024-01-02T03:04:05Z");
  EXPECT_EQ(PrintWith("%s|%v|%q|%6s|%-6s|", {decimal, decimal, decimal, decimal, decimal}),
            "1.1|1.1|\"1.1\"|   1.1|1.1   |");
  EXPECT_EQ(PrintWith("%s", {moment}), "2024-01-02 03:04:05 +0000 UTC");
  EXPECT_EQ(PrintWith("%T %T", {decimal, moment}), "decimal.Decimal time.Time");
  EXPECT_EQ(PrintWith("", {decimal}), "%!(EXTRA decimal.Decimal=1.1)");
  EXPECT_EQ(PrintWith("%d", {decimal}), "%!d(decimal.Decimal=1.1)");
}

TEST(PrintFormatTest, ZeroByteIsAVerb) {
  const std::string format("%\0|%d", 5);
  EXPECT_EQ(PrintSingle(PrintFormat::Compile(format), Value(int64_t{5})),
            PrintWith(format, {Value(int64_t{5})}));
}

TEST(PrintFormatTest, KnowsPlainFormats) {
  EXPECT_TRUE(PrintFormat::Compile("%s").is_plain_string());
  EXPECT_TRUE(PrintFormat::Compile("%d").is_plain_int());
  for (const char* format : {"", "%s ", "%5s", "%v", "%d%%"}) {
    EXPECT_FALSE(PrintFormat::Compile(format).is_plain_string()) << format;
    EXPECT_FALSE(PrintFormat::Compile(format).is_plain_int()) << format;
  }
  std::string text = "a";
  PrintFormat::Compile("%s").PrintString("b", &text);
  PrintFormat::Compile("%d").PrintInt(-7, &text);
  PrintFormat().PrintInt(1, &text);
  EXPECT_EQ(text, "ab-7%!(EXTRA int64=1)");
}

TEST(PrintFormatTest, FastFixedPointEqualsTheLibrary) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    double value = std::bit_cast<double>(random());
    if (i % 4 == 1) {
      value = static_cast<double>(static_cast<int64_t>(random() % 2000000) - 1000000) / 1000.0;
    } else if (i % 4 == 2) {
      value = std::ldexp(static_cast<double>(random() % 4096), -static_cast<int>(random() % 14));
    } else if (i % 4 == 3) {
      value = std::ldexp(static_cast<double>(random() >> 11), -static_cast<int>(random() % 70));
    }
    if (!std::isfinite(value)) {
      continue;
    }
    const int precision = static_cast<int>(random() % 18);
    char expected[512];
    std::snprintf(expected, sizeof(expected), "%.*f", precision, value);
    std::string text;
    PrintFormat::Compile("%." + std::to_string(precision) + "f").PrintFloat(value, &text);
    ASSERT_EQ(text, expected);
  }
}

TEST(FloatTextTest, ShortestReadsBack) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 20000; ++i) {
    double value = std::bit_cast<double>(random());
    if (i % 2 == 1) {
      value = static_cast<double>(random() % 100000000) /
              std::pow(10.0, static_cast<double>(random() % 10));
    }
    if (!std::isfinite(value)) {
      continue;
    }
    std::string text;
    AppendFloatText(value, &text);
    ASSERT_EQ(FloatOf(text), value) << text;
    char shortest[64];
    const char* const end =
        std::to_chars(shortest, shortest + 64, value, std::chars_format::scientific).ptr;
    const auto digits = [](std::string_view number) {
      int count = 0;
      bool significant = false;
      int zeros = 0;
      for (const char c : number) {
        if (c == 'e') {
          break;
        }
        if (c >= '0' && c <= '9') {
          significant = significant || c != '0';
          zeros = c == '0' ? zeros + 1 : 0;
          count += significant ? 1 : 0;
        }
      }
      return significant ? count - zeros : 0;
    };
    ASSERT_EQ(digits(text), digits(std::string_view(shortest, static_cast<size_t>(end - shortest))))
        << text;
  }
}

TEST(FloatTextTest, FormsOfTheSpec) {
  const std::pair<double, const char*> cases[] = {{999999.5, "999999.5"},
                                                  {1e6, "1e+06"},
                                                  {1234567, "1.234567e+06"},
                                                  {0.0001, "0.0001"},
                                                  {0.00001, "1e-05"},
                                                  {1.0, "1"},
                                                  {HUGE_VAL, "+Inf"},
                                                  {-HUGE_VAL, "-Inf"},
                                                  {std::nan(""), "NaN"},
                                                  {-0.0, "-0"},
                                                  {0.0, "0"},
                                                  {100000, "100000"},
                                                  {-1e100, "-1e+100"},
                                                  {5e-324, "5e-324"},
                                                  {123456789.125, "1.23456789125e+08"},
                                                  {0.1 + 0.2, "0.30000000000000004"}};
  for (const auto& [value, expected] : cases) {
    std::string text;
    AppendFloatText(value, &text);
    EXPECT_EQ(text, expected);
  }
}

TEST(ValueToTextTest, AgreesWithExpressionCases) {
  int checked = 0;
  for (const nlohmann::json& row : ReadCases("expr_cases.jsonl")) {
    if (row["expr"] != "string(r.x)" || row.contains("error")) {
      continue;
    }
    ++checked;
    EXPECT_EQ(ValueToText(ValueOf(row["vars"]["r.x"])), row["result"]["value"]) << row.dump();
  }
  EXPECT_GT(checked, 15);
}

TEST(ParseTest, NumbersAgreeWithGo) {
  for (const nlohmann::json& row : ReadCases("go_number_cases.jsonl")) {
    SCOPED_TRACE(row.dump());
    const std::string text = row["text"];
    const Result<double> real = ParseGoFloat(text);
    if (row.contains("float_error")) {
      EXPECT_EQ(ErrorClassOf(real.status()), row["float_error"]);
    } else {
      ASSERT_TRUE(real.ok()) << real.status().ToString();
      std::string shown;
      AppendFloatText(*real, &shown);
      EXPECT_EQ(shown, row["float"]);
    }
    const Result<int64_t> integer = ParseGoInt(text);
    if (row.contains("int_error")) {
      EXPECT_EQ(ErrorClassOf(integer.status()), row["int_error"]);
    } else {
      ASSERT_TRUE(integer.ok());
      EXPECT_EQ(std::to_string(*integer), row["int"]);
    }
  }
}

TEST(ParseTest, CastsAgreeWithExpressionCases) {
  int checked = 0;
  for (const nlohmann::json& row : ReadCases("expr_cases.jsonl")) {
    const std::string expression = row["expr"];
    if (!row.contains("vars") || !row["vars"].contains("r.x") ||
        row["vars"]["r.x"]["type"] != "string" || row["ctx"] != "field") {
      continue;
    }
    const std::string text = row["vars"]["r.x"]["value"];
    Status status;
    std::string shown;
    if (expression == "int(r.x)") {
      const Result<int64_t> result = ParseGoInt(text);
      status = result.status();
      shown = result.ok() ? std::to_string(*result) : "";
    } else if (expression == "float(r.x)") {
      const Result<double> result = ParseGoFloat(text);
      status = result.status();
      if (result.ok()) {
        AppendFloatText(*result, &shown);
      }
    } else if (expression == "decimal2(r.x)") {
      const Result<BigDecimal> result = BigDecimal::Parse(text);
      status = result.status();
      shown = result.ok() ? result->ToString() : "";
    } else {
      continue;
    }
    ++checked;
    if (row.contains("error")) {
      EXPECT_EQ(ErrorClassOf(status), row["error"]) << row.dump();
    } else {
      EXPECT_EQ(shown, ValueToText(ValueOf(row["result"]))) << row.dump();
    }
  }
  EXPECT_GT(checked, 40);
}

TEST(ParseTest, Bools) {
  for (const char* text : {"1", "t", "T", "TRUE", "true", "True"}) {
    EXPECT_TRUE(*ParseGoBool(text)) << text;
  }
  for (const char* text : {"0", "f", "F", "FALSE", "false", "False"}) {
    EXPECT_FALSE(*ParseGoBool(text)) << text;
  }
  for (const char* text : {"", "tRUE", "yes", " true", "2", "true "}) {
    EXPECT_EQ(ErrorClassOf(ParseGoBool(text).status()), "bad_number_text") << text;
  }
}

TEST(ScanFormatTest, AgreesWithGo) {
  for (const nlohmann::json& row : ReadCases("go_scan_cases.jsonl")) {
    SCOPED_TRACE(row.dump());
    const ScanFormat format = ScanFormat::Compile(row["format"].get<std::string>());
    const std::string text = row["text"];
    bool left_over = false;
    std::string shown;
    Status status;
    if (row["type"] == "int") {
      const Result<int64_t> result = format.ScanInt(text, &left_over);
      status = result.status();
      shown = result.ok() ? std::to_string(*result) : "";
    } else {
      const Result<double> result = format.ScanFloat(text, &left_over);
      status = result.status();
      if (result.ok()) {
        AppendFloatText(*result, &shown);
      }
    }
    EXPECT_EQ(status.ok(), !row.contains("error")) << status.ToString() << shown;
    if (status.ok() && !row.contains("error")) {
      EXPECT_EQ(shown, row["result"]);
    } else {
      EXPECT_EQ(KindOf(status), ErrorKind::kUser);
    }
  }
}

/// Cases of one cell with a format that are not blank (blank cells are the reader's).
TEST(ScanFormatTest, AgreesWithCsvCases) {
  int checked = 0;
  for (const nlohmann::json& row : ReadCases("csv_value_cases.jsonl")) {
    const std::string type = row["type"];
    const std::string text = row["data"];
    if (row["format"] == "" || text.find_first_not_of(" \t") == std::string::npos ||
        (type != "int" && type != "float" && type != "decimal2")) {
      continue;
    }
    ++checked;
    SCOPED_TRACE(row.dump());
    const ScanFormat format = ScanFormat::Compile(row["format"].get<std::string>());
    bool left_over = false;
    Status status;
    std::string shown;
    if (type == "int") {
      const Result<int64_t> result = format.ScanInt(text, &left_over);
      status = result.status();
      shown = result.ok() ? std::to_string(*result) : "";
    } else {
      const Result<double> result = format.ScanFloat(text, &left_over);
      status = result.status();
      if (result.ok() && type == "float") {
        AppendFloatText(*result, &shown);
      } else if (result.ok()) {
        const Result<BigDecimal> decimal = BigDecimal::FromDouble(*result);
        status = decimal.status();
        shown = decimal.ok() ? decimal->Round(2).ToString() : "";
      }
    }
    if (row.contains("error")) {
      EXPECT_FALSE(status.ok()) << shown;
    } else {
      EXPECT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(shown, ValueToText(ValueOf(row["result"])));
    }
  }
  EXPECT_GT(checked, 60);
}

TEST(ScanFormatTest, TellsWhatIsLeftOver) {
  bool left_over = true;
  const ScanFormat format = ScanFormat::Compile("%d");
  EXPECT_EQ(*format.ScanInt("12", &left_over), 12);
  EXPECT_FALSE(left_over);
  EXPECT_EQ(*format.ScanInt("12abc", &left_over), 12);
  EXPECT_TRUE(left_over);
  EXPECT_EQ(*format.ScanInt("12  ", &left_over), 12);
  EXPECT_FALSE(left_over);
  EXPECT_EQ(*ScanFormat::Compile("%f").ScanFloat("1,234.5", &left_over), 1.0);
  EXPECT_TRUE(left_over);
  EXPECT_TRUE(ScanFormat::Compile("%d").is_plain_int());
  EXPECT_TRUE(ScanFormat::Compile("%f").is_plain_float());
  EXPECT_FALSE(ScanFormat::Compile(" %d").is_plain_int());
}

TEST(ScanFormatTest, ErrorsNameFormatAndText) {
  bool left_over = false;
  const Status status = ScanFormat::Compile("$%d").ScanInt("12", &left_over).status();
  EXPECT_EQ(ErrorClassOf(status), "bad_number_text");
  EXPECT_NE(status.message().find("$%d"), std::string::npos);
  EXPECT_NE(status.message().find("12"), std::string::npos);
  EXPECT_EQ(
      ErrorClassOf(ScanFormat::Compile("%d").ScanInt("99999999999999999999", &left_over).status()),
      "number_out_of_range");
  EXPECT_EQ(ErrorClassOf(ScanFormat::Compile("%f").ScanFloat("1e400", &left_over).status()),
            "number_out_of_range");
}

}  // namespace
}  // namespace capi::data
