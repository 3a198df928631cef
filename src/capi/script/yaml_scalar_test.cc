#include <string>
#include <utility>

#include "capi/script/yaml_scalar_internal.h"
#include "gtest/gtest.h"

namespace capi::script {
namespace {

std::string Meaning(std::string_view text) {
  const YamlScalar scalar = ResolvePlainScalar(text);
  if (scalar.not_in_json) {
    return "none";
  }
  switch (scalar.kind) {
    case TreeNode::Kind::kNull:
      return "null";
    case TreeNode::Kind::kBool:
      return scalar.boolean ? "true" : "false";
    case TreeNode::Kind::kNumber:
      return "number " + scalar.text;
    default:
      return "string " + scalar.text;
  }
}

TEST(PlainScalar, WordsOfTheFormat) {
  for (const char* text : {"", "~", "null", "Null", "NULL"}) {
    EXPECT_EQ(Meaning(text), "null") << text;
  }
  EXPECT_EQ(Meaning("True"), "true");
  EXPECT_EQ(Meaning("FALSE"), "false");
  for (const char* text : {"yes", "no", "on", "off", "y", "tRue", "nULL", "-", ".", "+", "-x",
                           "1.2.3", "1e", "0x", "09x", "1-2", "..5"}) {
    EXPECT_EQ(Meaning(text), std::string("string ") + text);
  }
  EXPECT_EQ(Meaning(".inf"), "none");
  EXPECT_EQ(Meaning("-.INF"), "none");
  EXPECT_EQ(Meaning(".nan"), "none");
}

TEST(PlainScalar, Integers) {
  const std::pair<const char*, const char*> cases[] = {
      {"0", "0"},
      {"-0", "0"},
      {"+7", "7"},
      {"0x1F", "31"},
      {"0o10", "8"},
      {"010", "8"},
      {"1_000", "1000"},
      {"0b101", "5"},
      {"-12", "-12"},
      {"9223372036854775807", "9223372036854775807"},
      {"18446744073709551615", "18446744073709551615"}};
  for (const auto& [text, number] : cases) {
    EXPECT_EQ(Meaning(text), std::string("number ") + number) << text;
  }
}

TEST(PlainScalar, FloatsInTheNotationOfJson) {
  EXPECT_EQ(Meaning("1.0"), "number 1");
  EXPECT_EQ(Meaning("1e3"), "number 1000");
  EXPECT_EQ(Meaning("2.5"), "number 2.5");
  EXPECT_EQ(Meaning("-.5"), "number -0.5");
  EXPECT_EQ(Meaning("+1.5"), "number 1.5");
  EXPECT_EQ(Meaning("09"), "number 9");
  EXPECT_EQ(Meaning("18446744073709551616"), "number 18446744073709551616");
  EXPECT_EQ(Meaning("1e400"), "string 1e400");
}

TEST(PlainScalar, Moments) {
  EXPECT_EQ(Meaning("2001-01-01"), "string 2001-01-01T00:00:00Z");
  EXPECT_EQ(Meaning("2001-1-2"), "string 2001-01-02T00:00:00Z");
  EXPECT_EQ(Meaning("2001-01-01 10:20:30"), "string 2001-01-01T10:20:30Z");
  EXPECT_EQ(Meaning("2001-01-01 10:20:30.50"), "string 2001-01-01T10:20:30.5Z");
  EXPECT_EQ(Meaning("2001-01-01T10:20:30+02:00"), "string 2001-01-01T10:20:30+02:00");
  EXPECT_EQ(Meaning("2001-01-01t1:2:3Z"), "string 2001-01-01T01:02:03Z");
  for (const char* text : {"2001-02-29", "2001-13-01", "2001-01-01T10:20:30", "2001-01-01 25:00:00",
                           "2001-01-01 10:20", "2001-01-01x", "201-01-01"}) {
    EXPECT_EQ(Meaning(text), std::string("string ") + text);
  }
  EXPECT_EQ(Meaning("2000-02-29"), "string 2000-02-29T00:00:00Z");
}

}  // namespace
}  // namespace capi::script
