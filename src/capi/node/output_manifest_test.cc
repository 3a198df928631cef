#include "capi/node/output_manifest.h"

#include <gtest/gtest.h>

#include <limits>

#include "capi/node/node_testing_internal.h"

namespace capi::node {
namespace {

std::string SumOf(FieldType type, const std::vector<std::shared_ptr<arrow::Array>>& columns) {
  ColumnSum sum(type);
  for (const auto& column : columns) EXPECT_TRUE(sum.Add(column).ok());
  const auto [name, value] = sum.Summary();
  return name + " " + value;
}

std::shared_ptr<arrow::Array> Ints(const std::vector<int64_t>& values) {
  return FixedColumn<int64_t>(data::ArrowTypeOf(FieldType::kInt), values);
}

TEST(ColumnSumTest, ExactSums) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(SumOf(FieldType::kInt, {Ints({kMax, kMax}), Ints({kMax, 3})}),
            "sum 27670116110564327424");
  EXPECT_EQ(SumOf(FieldType::kInt, {Ints({-5, 3})}), "sum -2");
  EXPECT_EQ(SumOf(FieldType::kInt, {}), "sum 0");
  EXPECT_EQ(SumOf(FieldType::kInt, {Ints({1, 2, 4})->Slice(1)}), "sum 6");
}

TEST(ColumnSumTest, DecimalsOfBothLayoutsBeyond128Bits) {
  const auto narrow = FixedColumn<int64_t>(data::ArrowTypeOf(FieldType::kDecimal2), {1, -250, 99});
  EXPECT_EQ(SumOf(FieldType::kDecimal2, {narrow}), "sum -1.50");
  data::int128 most = 1;
  for (int i = 0; i < 38; ++i) most *= 10;
  most -= 1;  // 38 nines
  const auto wide = FixedColumn<data::int128>(data::WideDecimalArrowType(), {most, most, most, -5});
  EXPECT_EQ(SumOf(FieldType::kDecimal2, {narrow, wide, wide->Slice(2, 1)}),
            "sum 3999999999999999999999999999999999998.41");
}

TEST(ColumnSumTest, OtherTypes) {
  EXPECT_EQ(SumOf(FieldType::kFloat,
                  {FixedColumn<double>(data::ArrowTypeOf(FieldType::kFloat), {0.1, 0.2, 0.3})}),
            "sum 0.6000000000000001");
  EXPECT_EQ(SumOf(FieldType::kBool,
                  {ColumnOf(FieldType::kBool, {Value(true), Value(false), Value(true)})}),
            "true 2");
  EXPECT_EQ(SumOf(FieldType::kString, {ColumnOf(FieldType::kString, {Text("ab"), Text("é")})}),
            "bytes 4");
  EXPECT_EQ(SumOf(FieldType::kDatetime,
                  {FixedColumn<int64_t>(data::ArrowTypeOf(FieldType::kDatetime), {5, -1000, 0})}),
            "range 1969-12-31T23:59:59Z/1970-01-01T00:00:00.005Z");
  EXPECT_EQ(SumOf(FieldType::kDatetime, {}), "range ");
}

TEST(OutputManifestTest, NamesOfFiles) {
  EXPECT_EQ(OutputManifest::UrlOf("out/a.csv"), "out/a.csv.manifest.json");
}

}  // namespace
}  // namespace capi::node
