#include "capi/script/default_value.h"

#include <string>

#include "gtest/gtest.h"

namespace capi::script {
namespace {

using data::FieldType;

std::string FieldDefault(FieldType type, std::string_view text) {
  const Result<data::Value> value = ParseFieldDefault(type, text);
  return value.ok() ? data::ValueToText(*value) : "error " + InfoOf(value.status()).error_class;
}

std::string ColumnDefault(FieldType type, std::string_view text, std::string_view format = "") {
  const Result<data::Value> value = ParseColumnDefault(type, text, format);
  return value.ok() ? data::ValueToText(*value) : "error " + InfoOf(value.status()).error_class;
}

constexpr char kBad[] = "error bad_default_value";

TEST(FieldDefault, ParsesByType) {
  EXPECT_EQ(FieldDefault(FieldType::kInt, " 999 "), "999");
  EXPECT_EQ(FieldDefault(FieldType::kFloat, "1e3"), "1000");
  EXPECT_EQ(FieldDefault(FieldType::kString, " a b "), "a b");
  EXPECT_EQ(FieldDefault(FieldType::kBool, "T"), "true");
  EXPECT_EQ(FieldDefault(FieldType::kDecimal2, "1.005"), "1.01");
  EXPECT_EQ(FieldDefault(FieldType::kDecimal2, "-1.005"), "-1.01");
  EXPECT_EQ(FieldDefault(FieldType::kDecimal2, "0x10p0"), "16");
  EXPECT_EQ(FieldDefault(FieldType::kDatetime, "1980-02-03T04:05:06.777+00:00"),
            "1980-02-03 04:05:06.777 +0000 UTC");
}

TEST(FieldDefault, BlankIsZero) {
  EXPECT_EQ(FieldDefault(FieldType::kInt, ""), "0");
  EXPECT_EQ(FieldDefault(FieldType::kDecimal2, " "), "0");
  EXPECT_EQ(FieldDefault(FieldType::kString, " "), "");
  EXPECT_EQ(FieldDefault(FieldType::kBool, "\t"), "false");
  EXPECT_EQ(FieldDefault(FieldType::kDatetime, ""), "0001-01-01 00:00:00 +0000 UTC");
}

TEST(FieldDefault, WrongTexts) {
  EXPECT_EQ(FieldDefault(FieldType::kInt, "1.5"), kBad);
  EXPECT_EQ(FieldDefault(FieldType::kInt, "9223372036854775808"), kBad);
  EXPECT_EQ(FieldDefault(FieldType::kFloat, "abc"), kBad);
  EXPECT_EQ(FieldDefault(FieldType::kBool, "yes"), kBad);
  EXPECT_EQ(FieldDefault(FieldType::kDecimal2, "nan"), kBad);
  EXPECT_EQ(FieldDefault(FieldType::kDecimal2, std::string(40, '9')), kBad);
  EXPECT_EQ(FieldDefault(FieldType::kDatetime, "1980-02-03"), kBad);
}

TEST(ColumnDefault, FollowsTheColumnsFormat) {
  EXPECT_EQ(ColumnDefault(FieldType::kDatetime, "2001-02-03", "2006-01-02"),
            "2001-02-03 00:00:00 +0000 UTC");
  EXPECT_EQ(ColumnDefault(FieldType::kDatetime, "2001-02-03 10:00", "2006-01-02"), kBad);
  EXPECT_EQ(ColumnDefault(FieldType::kInt, "7", "%d"), "7");
  EXPECT_EQ(ColumnDefault(FieldType::kInt, " 7"), kBad);
  EXPECT_EQ(ColumnDefault(FieldType::kString, " a "), " a ");
  EXPECT_EQ(ColumnDefault(FieldType::kDecimal2, "1.239"), "1.24");
  EXPECT_EQ(ColumnDefault(FieldType::kDecimal2, "0x10p0"), kBad);
}

}  // namespace
}  // namespace capi::script
