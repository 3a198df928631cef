#include "capi/cql/values.h"

#include <gtest/gtest.h>

#include <limits>

namespace capi::cql {
namespace {

using std::string_view_literals::operator""sv;

TEST(ValuesTest, AreLengthsAndBigEndianBytes) {
  Values values;
  values.Boolean(true).Boolean(false).TinyInt(-1).Int(1).BigInt(-2).Double(1.0).Timestamp(256);
  EXPECT_EQ(values.count(), 7);
  EXPECT_EQ(values.bytes(),
            "\0\0\0\1\1"
            "\0\0\0\1\0"
            "\0\0\0\1\xff"
            "\0\0\0\4\0\0\0\1"
            "\0\0\0\x8\xff\xff\xff\xff\xff\xff\xff\xfe"
            "\0\0\0\x8\x3f\xf0\0\0\0\0\0\0"
            "\0\0\0\x8\0\0\0\0\0\0\1\0"sv);
}

TEST(ValuesTest, TextsBlobsDecimalsAndNulls) {
  Values values;
  values.Text("ab").Text("").Blob("\0x"sv).Decimal("\xff", 2).Decimal("\1\0"sv, -1).Null();
  EXPECT_EQ(values.count(), 6);
  EXPECT_EQ(values.bytes(),
            "\0\0\0\2"
            "ab"
            "\0\0\0\0"
            "\0\0\0\2\0x"
            "\0\0\0\5\0\0\0\2\xff"
            "\0\0\0\6\xff\xff\xff\xff\1\0"
            "\xff\xff\xff\xff"sv);
  values.Clear();
  EXPECT_EQ(values.count(), 0);
  EXPECT_TRUE(values.bytes().empty());
}

/// What was put in, as a page of rows.
Rows PageOf(std::vector<std::string> columns, const Values& values, int64_t num_rows) {
  auto bytes = std::make_shared<std::string>(values.bytes());
  Rows rows(std::move(columns));
  EXPECT_TRUE(rows.Append({bytes, *bytes, num_rows}));
  return rows;
}

TEST(RowsTest, ReadsWhatValuesWrite) {
  using Limits = std::numeric_limits<int64_t>;
  const Rows rows = PageOf(
      {"a", "b", "c"},
      Values().Boolean(true).BigInt(Limits::min()).Text("x").TinyInt(-128).Double(-2.5).Null(), 2);
  ASSERT_EQ(rows.size(), 2);
  EXPECT_TRUE(rows.Boolean(0, 0));
  EXPECT_EQ(rows.Integer(0, 1), Limits::min());
  EXPECT_EQ(rows.Text(0, 2), "x");
  EXPECT_EQ(rows.Integer(1, 0), -128);
  EXPECT_EQ(rows.Double(1, 1), -2.5);
  EXPECT_TRUE(rows.IsNull(1, 2));
  EXPECT_FALSE(rows.IsNull(1, 1));
  EXPECT_EQ(rows.ColumnIndex("b"), 1);
  EXPECT_EQ(rows.ColumnIndex("B"), -1);
}

TEST(RowsTest, NullAndOtherLengthsReadAsZero) {
  const Rows rows = PageOf({"a"}, Values().Null().Text("").Text("abc").Text("123456789"), 4);
  for (int64_t row = 0; row < 4; ++row) {
    EXPECT_FALSE(rows.Boolean(row, 0)) << row;
    EXPECT_EQ(rows.Integer(row, 0), 0) << row;
    EXPECT_EQ(rows.Double(row, 0), 0) << row;
  }
  EXPECT_EQ(rows.Text(0, 0), "");
  EXPECT_EQ(rows.Text(2, 0), "abc");
  EXPECT_EQ(PageOf({"s"}, Values().Text("\x80\x01"sv), 1).Integer(0, 0), -32767);
}

TEST(RowsTest, PagesAreAppendedAndKeptAlive) {
  Rows rows({"k"});
  EXPECT_TRUE(rows.empty());
  for (int page = 0; page < 50; ++page) {
    auto bytes = std::make_shared<std::string>(Values().Int(2 * page).Int(2 * page + 1).bytes());
    ASSERT_TRUE(rows.Append({bytes, *bytes, 2}));
  }
  ASSERT_EQ(rows.size(), 100);
  for (int64_t row = 0; row < 100; ++row) EXPECT_EQ(rows.Integer(row, 0), row);
  const Rows copy = rows;
  rows = Rows();
  EXPECT_EQ(copy.Integer(99, 0), 99);
  EXPECT_TRUE(rows.empty());
}

TEST(RowsTest, CellsThatDoNotFitAreRefused) {
  const std::string bytes = Values().Int(1).Int(2).bytes();
  Rows rows({"a", "b"});
  EXPECT_FALSE(rows.Append({nullptr, bytes, 0}));
  EXPECT_FALSE(rows.Append({nullptr, bytes, 2}));
  EXPECT_FALSE(rows.Append({nullptr, bytes, -1}));
  EXPECT_FALSE(rows.Append({nullptr, bytes, std::numeric_limits<int64_t>::max()}));
  EXPECT_FALSE(rows.Append({nullptr, std::string_view(bytes).substr(0, bytes.size() - 1), 1}));
  EXPECT_FALSE(rows.Append({nullptr, std::string_view(bytes).substr(0, 10), 1}));
  EXPECT_FALSE(rows.Append({nullptr, bytes + "x", 1}));
  EXPECT_FALSE(rows.Append({nullptr, "\x7f\xff\xff\xff\0\0\0\0"sv, 1}));
  EXPECT_EQ(rows.size(), 0);
  EXPECT_TRUE(rows.Append({nullptr, bytes, 1}));
  EXPECT_EQ(rows.Integer(0, 1), 2);
  EXPECT_FALSE(Rows().Append({nullptr, bytes, 1}));
  EXPECT_TRUE(Rows().Append({nullptr, "", 0}));
}

}  // namespace
}  // namespace capi::cql
