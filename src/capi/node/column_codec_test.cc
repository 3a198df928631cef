#include "capi/node/column_codec.h"

#include <gtest/gtest.h>

#include <limits>

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

using Column = std::shared_ptr<arrow::Array>;

Column Coded(const std::vector<int32_t>& codes, const std::vector<Value>& entries) {
  const Column indexes = FixedColumn(arrow::int32(), codes);
  auto data = arrow::ArrayData::Make(data::DictionaryArrowType(), indexes->length(),
                                     indexes->data()->buffers, 0);
  data->dictionary = ColumnOf(FieldType::kString, entries)->data();
  return arrow::MakeArray(data);
}

/// Five rows of every layout of data/types.h.
Columns EveryLayout() {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  const data::int128 huge = (data::int128{1} << 120) + 7;
  return {
      FixedColumn<int64_t>(data::ArrowTypeOf(FieldType::kInt), {0, -1, kMin, ~kMin, 42}),
      FixedColumn<double>(data::ArrowTypeOf(FieldType::kFloat),
                          {0.0, -0.0, 1.5, std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::quiet_NaN()}),
      ColumnOf(FieldType::kBool,
               {Value(true), Value(false), Value(true), Value(true), Value(false)}),
      ColumnOf(FieldType::kString, {Text(""), Text(std::string("a\0b", 3)), Text("\xff\xfe"),
                                    Text(std::string(1000, 'x')), Text("é")}),
      Coded({2, 0, 1, 1, 2}, {Text("one"), Text(""), Text("three")}),
      FixedColumn<int64_t>(data::ArrowTypeOf(FieldType::kDecimal2), {0, 1, -1, 123456, -99}),
      FixedColumn<data::int128>(data::WideDecimalArrowType(), {0, huge, -huge, 1, -1}),
      FixedColumn<int64_t>(data::ArrowTypeOf(FieldType::kDatetime),
                           {0, -1, data::kZeroMomentMillis, 1600000000123, 5}),
      FixedColumn<data::WideDatetime>(data::WideDatetimeArrowType(),
                                      {{0, 0, data::WideDatetime::kNoOffset},
                                       {1600000000, 999999999, 3600},
                                       {-1, 1, -7200},
                                       {5, 0, 0},
                                       {6, 7, data::WideDatetime::kNoOffset}}),
  };
}

Texts Cells(const Column& column) {
  Texts cells;
  for (int64_t row = 0; row < column->length(); ++row) {
    cells.push_back(data::ValueToText(Must(data::CellValue(*column, row))));
  }
  return cells;
}

void ExpectEqual(const Columns& found, const Columns& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(Cells(found[i]), Cells(expected[i])) << "column " << i;
    // Also bits that texts do not show.
    if (expected[i]->type_id() != arrow::Type::DICTIONARY) {
      EXPECT_TRUE(found[i]->type()->Equals(expected[i]->type())) << "column " << i;
    } else {
      EXPECT_EQ(found[i]->type_id(), arrow::Type::STRING);
    }
  }
}

TEST(ColumnCodecTest, EveryLayoutComesBack) {
  const Columns columns = EveryLayout();
  std::string bytes;
  ASSERT_TRUE(AppendColumns(columns, 5, &bytes).ok());
  EXPECT_EQ(bytes.size() % 8, 0U);
  std::string_view rest = bytes;
  ExpectEqual(Must(ReadColumns(columns.size(), &rest)), columns);
  EXPECT_TRUE(rest.empty());
}

TEST(ColumnCodecTest, SlicesComeBackAsTheirRows) {
  const Columns whole = EveryLayout();
  for (int64_t begin = 0; begin <= 5; ++begin) {
    for (int64_t n = 0; begin + n <= 5; ++n) {
      Columns slices;
      for (const Column& column : whole) slices.push_back(column->Slice(begin, n));
      std::string bytes;
      ASSERT_TRUE(AppendColumns(slices, n, &bytes).ok());
      std::string_view rest = bytes;
      ExpectEqual(Must(ReadColumns(slices.size(), &rest)), slices);
      EXPECT_TRUE(rest.empty());
    }
  }
}

TEST(ColumnCodecTest, FirstRowsOfLongerColumns) {
  const Columns whole = EveryLayout();
  std::string bytes;
  ASSERT_TRUE(AppendColumns(whole, 3, &bytes).ok());
  Columns expected;
  for (const Column& column : whole) expected.push_back(column->Slice(0, 3));
  std::string_view rest = bytes;
  ExpectEqual(Must(ReadColumns(whole.size(), &rest)), expected);
}

TEST(ColumnCodecTest, ColumnsWithoutRows) {
  Columns columns;
  for (const FieldType type : {FieldType::kInt, FieldType::kFloat, FieldType::kString,
                               FieldType::kBool, FieldType::kDecimal2, FieldType::kDatetime}) {
    columns.push_back(ColumnOf(type, {}));
  }
  std::string bytes;
  ASSERT_TRUE(AppendColumns(columns, 0, &bytes).ok());
  std::string_view rest = bytes;
  ExpectEqual(Must(ReadColumns(columns.size(), &rest)), columns);
}

TEST(ColumnCodecTest, NoColumns) {
  std::string bytes;
  ASSERT_TRUE(AppendColumns({}, 7, &bytes).ok());
  EXPECT_EQ(bytes, "");
  std::string_view rest = bytes;
  EXPECT_TRUE(Must(ReadColumns(0, &rest)).empty());
}

TEST(ColumnCodecTest, SeveralSetsFollowEachOther) {
  const Columns first = {ColumnOf(FieldType::kString, {Text("abc")})};
  const Columns second = {ColumnOf(FieldType::kBool, {Value(true), Value(false)})};
  std::string bytes;
  ASSERT_TRUE(AppendColumns(first, 1, &bytes).ok());
  ASSERT_TRUE(AppendColumns(second, 2, &bytes).ok());
  bytes += "tail";
  std::string_view rest = bytes;
  ExpectEqual(Must(ReadColumns(1, &rest)), first);
  ExpectEqual(Must(ReadColumns(1, &rest)), second);
  EXPECT_EQ(rest, "tail");
}

TEST(ColumnCodecTest, CutBytesAreRefused) {
  const Columns columns = EveryLayout();
  std::string bytes;
  ASSERT_TRUE(AppendColumns(columns, 5, &bytes).ok());
  for (size_t length = 0; length < bytes.size(); length += 8) {
    std::string_view rest = std::string_view(bytes).substr(0, length);
    const Result<Columns> read = ReadColumns(columns.size(), &rest);
    ASSERT_FALSE(read.ok()) << length;
    EXPECT_EQ(KindOf(read.status()), ErrorKind::kBug);
  }
}

TEST(ColumnCodecTest, OtherLayoutsAreRefused) {
  std::string bytes;
  const Status status = AppendColumns({FixedColumn<float>(arrow::float32(), {1})}, 1, &bytes);
  EXPECT_EQ(KindOf(status), ErrorKind::kBug);
  EXPECT_NE(status.message().find("float"), std::string::npos);
}

}  // namespace
}  // namespace capi::node
