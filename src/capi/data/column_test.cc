#include "capi/data/column.h"

#include <memory>
#include <string>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/record_batch.h"
#include "capi/data/values_testing.h"
#include "gtest/gtest.h"

namespace capi::data {
namespace {

ArrayPtr Constant(FieldType type, const Value& value, int64_t n = 1) {
  const Result<ArrayPtr> column = ConstantColumn(type, value, n);
  EXPECT_TRUE(column.ok()) << column.status().ToString();
  return *column;
}

std::vector<std::string> Texts(const ArrayPtr& column) {
  std::vector<std::string> texts;
  for (int64_t i = 0; i < column->length(); ++i) {
    texts.push_back(ValueToText(*CellValue(*column, i)));
  }
  return texts;
}

TEST(Column, ConstantsOfEveryType) {
  EXPECT_EQ(Texts(Constant(FieldType::kInt, int64_t{-5}, 2)),
            (std::vector<std::string>{"-5", "-5"}));
  EXPECT_EQ(Texts(Constant(FieldType::kFloat, 1.5, 1)), std::vector<std::string>{"1.5"});
  EXPECT_EQ(Texts(Constant(FieldType::kBool, true, 9)).back(), "true");
  EXPECT_EQ(Texts(Constant(FieldType::kString, std::string("x"), 3)),
            (std::vector<std::string>{"x", "x", "x"}));
  EXPECT_EQ(Texts(Constant(FieldType::kDecimal2, Decimal("1.005"))),
            std::vector<std::string>{"1.01"});
  EXPECT_EQ(Constant(FieldType::kString, std::string("x"), 0)->length(), 0);
}

TEST(Column, AConstantOfAnotherTypeIsABug) {
  EXPECT_EQ(KindOf(ConstantColumn(FieldType::kInt, 1.5, 1).status()), ErrorKind::kBug);
}

TEST(Column, WideDecimalsUseTheWideLayoutOnlyWhenNeeded) {
  EXPECT_EQ(Constant(FieldType::kDecimal2, Decimal("9999999999999999.99"))->type_id(),
            arrow::Type::DECIMAL64);
  const ArrayPtr wide = Constant(FieldType::kDecimal2, Decimal("10000000000000000.00"));
  EXPECT_EQ(wide->type_id(), arrow::Type::DECIMAL128);
  const ArrayPtr mixed = Column(FieldType::kDecimal2, {Decimal("-1"), Decimal("1e30")});
  EXPECT_EQ(Texts(mixed), (std::vector<std::string>{"-1", "1000000000000000000000000000000"}));
  const std::vector<int32_t> first = {0};
  EXPECT_EQ((*ToStored(*Take(mixed, first.data(), 1)))->type_id(), arrow::Type::DECIMAL64);
  EXPECT_EQ(InfoOf(ConstantColumn(FieldType::kDecimal2, Decimal("1e37"), 1).status()).error_class,
            "number_out_of_range");
}

TEST(Column, DatetimesAreFlooredToMillisecondsWhenStored) {
  const ArrayPtr column = Column(FieldType::kDatetime, {Moment("1969-12-31T23:59:59.9995Z"),
                                                        Moment("2024-01-02T05:04:05.678+02:00"),
                                                        Moment("0001-01-01T00:00:00Z")});
  EXPECT_EQ(column->type_id(), arrow::Type::FIXED_SIZE_BINARY);
  const ArrayPtr stored = *ToStored(column);
  EXPECT_EQ(stored->type_id(), arrow::Type::TIMESTAMP);
  EXPECT_EQ(std::get<Instant>(*CellValue(*stored, 0)).ToMillisFloor(), -1);
  EXPECT_EQ(DatetimeToRfc3339(std::get<Instant>(*CellValue(*stored, 1))),
            "2024-01-02T03:04:05.678Z");
  EXPECT_EQ(std::get<Instant>(*CellValue(*stored, 2)).ToMillisFloor(), kZeroMomentMillis);
}

TEST(Column, TakeKeepsTheLayoutAndWorksOnSlices) {
  const ArrayPtr strings = Column(FieldType::kString, {std::string("a"), std::string(""),
                                                       std::string("ccc"), std::string("d")});
  const std::vector<int32_t> rows = {2, 0, 2};
  EXPECT_EQ(Texts(*Take(strings, rows.data(), 3)), (std::vector<std::string>{"ccc", "a", "ccc"}));
  EXPECT_EQ(Texts(*Take(strings->Slice(1, 3), rows.data(), 2)),
            (std::vector<std::string>{"d", ""}));
  const ArrayPtr dictionary = Constant(FieldType::kString, std::string("x"), 4);
  EXPECT_EQ((*Take(dictionary, rows.data(), 3))->type_id(), arrow::Type::DICTIONARY);
  const ArrayPtr bools = Column(FieldType::kBool, {true, false, true, true});
  EXPECT_EQ(Texts(*Take(bools->Slice(1, 3), rows.data(), 2)),
            (std::vector<std::string>{"true", "false"}));
  EXPECT_EQ((*Take(strings, rows.data(), 0))->length(), 0);
}

TEST(Column, ConcatenateSlicesOfEveryLayout) {
  const ArrayPtr ints = Column(FieldType::kInt, {int64_t{1}, int64_t{2}, int64_t{3}});
  EXPECT_EQ(Texts(*Concatenate({ints->Slice(1), ints->Slice(0, 1)})),
            (std::vector<std::string>{"2", "3", "1"}));
  const ArrayPtr bools = Column(FieldType::kBool, {true, false, true});
  EXPECT_EQ(Texts(*Concatenate({bools->Slice(2), bools->Slice(1, 1)})),
            (std::vector<std::string>{"true", "false"}));
  const ArrayPtr strings = Column(FieldType::kString, {std::string("aa"), std::string("b")});
  EXPECT_EQ(Texts(*Concatenate({strings->Slice(1), strings})),
            (std::vector<std::string>{"b", "aa", "b"}));
}

TEST(Column, TakeRowsOfABatch) {
  const auto batch = MakeBatch({{"n", FieldType::kInt}, {"s", FieldType::kString}},
                               {Column(FieldType::kInt, {int64_t{1}, int64_t{2}}),
                                Constant(FieldType::kString, std::string("x"), 2)},
                               2);
  const std::vector<int32_t> rows = {1};
  const auto taken = *TakeRows(batch, rows.data(), 1);
  EXPECT_EQ(taken->num_rows(), 1);
  EXPECT_EQ(Texts(taken->column(0)), std::vector<std::string>{"2"});
}

TEST(Types, NamesGoBothWays) {
  for (const FieldType type : {FieldType::kInt, FieldType::kFloat, FieldType::kString,
                               FieldType::kBool, FieldType::kDecimal2, FieldType::kDatetime}) {
    EXPECT_EQ(ParseFieldType(FieldTypeName(type)), type);
    EXPECT_EQ(*FieldTypeOf(*ArrowTypeOf(type)), type);
  }
  EXPECT_EQ(ParseFieldType("Int"), std::nullopt);
}

TEST(RowIds, HoldManyBatchesAndRows) {
  const RowId row = MakeRowId(1'000'000 - 1, (int64_t{1} << kOrdinalBits) - 1);
  EXPECT_GT(row, 0);
  EXPECT_EQ(BatchOf(row), 999'999);
  EXPECT_EQ(OrdinalOf(row), (int64_t{1} << kOrdinalBits) - 1);
}

}  // namespace
}  // namespace capi::data
