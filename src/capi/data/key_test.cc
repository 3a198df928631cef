#include "capi/data/key.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/data/values_testing.h"
#include "gtest/gtest.h"

namespace capi::data {
namespace {

KeyComponent Component(FieldType type, bool descending = false, bool ignore_case = false) {
  KeyComponent component;
  component.field = "k";
  component.type = type;
  component.descending = descending;
  component.ignore_case = ignore_case;
  return component;
}

std::vector<uint64_t> Hashes(const KeyComponent& component, const ArrayPtr& column) {
  std::vector<uint64_t> hashes(static_cast<size_t>(column->length()));
  EXPECT_TRUE(HashKeys({component}, {column}, column->length(), hashes.data()).ok());
  return hashes;
}

std::vector<std::string> SortKeys(const KeyComponent& component, const ArrayPtr& column) {
  std::string bytes;
  std::vector<int64_t> ends;
  EXPECT_TRUE(EncodeSortKeys({component}, {column}, column->length(), &bytes, &ends).ok());
  std::vector<std::string> keys;
  int64_t begin = 0;
  for (const int64_t end : ends) {
    keys.push_back(bytes.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    begin = end;
  }
  return keys;
}

/// Values in strictly ascending order: comparator, sort keys and (as far as equality goes) hashes
/// agree.
void CheckAscending(FieldType type, const std::vector<Value>& values, bool ignore_case = false) {
  const ArrayPtr column = Column(type, values);
  for (const bool descending : {false, true}) {
    const KeyComponent component = Component(type, descending, ignore_case);
    const auto comparator = *KeyComparator::Make({component}, {column}, {column});
    const std::vector<std::string> keys = SortKeys(component, column);
    for (size_t i = 0; i < values.size(); ++i) {
      for (size_t j = 0; j < values.size(); ++j) {
        const int wanted = (i < j ? -1 : i > j ? 1 : 0) * (descending ? -1 : 1);
        const int found = comparator->Compare(static_cast<int64_t>(i), static_cast<int64_t>(j));
        EXPECT_EQ((found > 0) - (found < 0), wanted) << i << " " << j;
        const int bytes = keys[i].compare(keys[j]);
        EXPECT_EQ((bytes > 0) - (bytes < 0), wanted) << i << " " << j;
        EXPECT_EQ(comparator->Equal(static_cast<int64_t>(i), static_cast<int64_t>(j)), i == j);
      }
    }
  }
}

Value Text(const std::string& text) { return text; }

TEST(Key, OrderOfEveryType) {
  CheckAscending(FieldType::kInt, {std::numeric_limits<int64_t>::min(), int64_t{-1}, int64_t{0},
                                   int64_t{7}, std::numeric_limits<int64_t>::max()});
  CheckAscending(FieldType::kFloat, {-HUGE_VAL, -1.5, 0.0, 1e-300, 2.0, HUGE_VAL, std::nan("")});
  CheckAscending(FieldType::kBool, {false, true});
  CheckAscending(FieldType::kDecimal2, {Decimal("-1e30"), Decimal("-0.01"), Decimal("0"),
                                        Decimal("0.01"), Decimal("99999999999999999.99")});
  CheckAscending(FieldType::kDatetime,
                 {Moment("0001-01-01T00:00:00Z"), Moment("1969-12-31T23:59:59.999Z"),
                  Moment("2024-01-02T05:04:05+02:00"), Moment("2024-01-02T03:04:05.0000001Z")});
  CheckAscending(FieldType::kString,
                 {Text(""), Text(std::string("\0", 1)), Text(std::string("\0a", 2)), Text("a"),
                  Text(std::string("a\0", 2)), Text("aa"), Text("b"), Text("\xff")});
  CheckAscending(FieldType::kString, {Text("a"), Text("B"), Text("c")}, /*ignore_case=*/true);
}

TEST(Key, IgnoreCaseUsesTheSimpleMapping) {
  const KeyComponent component = Component(FieldType::kString, false, true);
  const ArrayPtr column = Column(
      FieldType::kString, {Text("straße"), Text("STRAßE"), Text("STRASSE"), Text("É"), Text("é")});
  const auto comparator = *KeyComparator::Make({component}, {column}, {column});
  EXPECT_TRUE(comparator->Equal(0, 1));
  EXPECT_FALSE(comparator->Equal(0, 2));
  EXPECT_TRUE(comparator->Equal(3, 4));
  const std::vector<uint64_t> hashes = Hashes(component, column);
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[3], hashes[4]);
}

TEST(Key, HashesDoNotDependOnTheLayout) {
  const KeyComponent decimal = Component(FieldType::kDecimal2);
  EXPECT_EQ(Hashes(decimal, Column(FieldType::kDecimal2, {Decimal("-1.25")}))[0],
            Hashes(decimal, Column(FieldType::kDecimal2, {Decimal("-1.25"), Decimal("1e30")}))[0]);
  const KeyComponent moment = Component(FieldType::kDatetime);
  EXPECT_EQ(Hashes(moment, Column(FieldType::kDatetime, {Moment("2024-01-02T03:04:05Z")}))[0],
            Hashes(moment, Column(FieldType::kDatetime, {Moment("2024-01-02T05:04:05+02:00")}))[0]);
  const KeyComponent text = Component(FieldType::kString);
  const ArrayPtr dictionary = *ConstantColumn(FieldType::kString, Text("x"), 3);
  EXPECT_EQ(Hashes(text, dictionary)[2], Hashes(text, *ToPlainString(dictionary))[2]);
  const KeyComponent number = Component(FieldType::kFloat);
  const std::vector<uint64_t> zeros =
      Hashes(number, Column(FieldType::kFloat, {0.0, -0.0, std::nan("1"), std::nan("2")}));
  EXPECT_EQ(zeros[0], zeros[1]);
  EXPECT_EQ(zeros[2], zeros[3]);
}

TEST(Key, SeveralComponentsAreHashedInOrder) {
  const ArrayPtr a = Column(FieldType::kInt, {int64_t{1}, int64_t{2}});
  const ArrayPtr b = Column(FieldType::kInt, {int64_t{2}, int64_t{1}});
  const std::vector<KeyComponent> both = {Component(FieldType::kInt), Component(FieldType::kInt)};
  std::vector<uint64_t> hashes(2);
  ASSERT_TRUE(HashKeys(both, {a, b}, 2, hashes.data()).ok());
  EXPECT_NE(hashes[0], hashes[1]);
  EXPECT_EQ(DescribeKey(both, {a, b}, 0), "k=1, k=2");
}

TEST(Key, EqualManyComparesAllComponents) {
  const ArrayPtr numbers = Column(FieldType::kInt, {int64_t{1}, int64_t{1}, int64_t{2}});
  const ArrayPtr texts = Column(FieldType::kString, {Text("a"), Text("b"), Text("a")});
  const std::vector<KeyComponent> both = {Component(FieldType::kInt),
                                          Component(FieldType::kString)};
  const auto comparator = *KeyComparator::Make(both, {numbers, texts}, {numbers, texts});
  const std::vector<int64_t> left = {0, 0, 0, 2};
  const std::vector<int64_t> right = {0, 1, 2, 2};
  std::vector<uint8_t> equal(4);
  comparator->EqualMany(left.data(), right.data(), 4, equal.data());
  EXPECT_EQ(equal, (std::vector<uint8_t>{1, 0, 0, 1}));
}

TEST(Key, AColumnOfAnotherTypeIsABug) {
  uint64_t hash = 0;
  const Status status =
      HashKeys({Component(FieldType::kInt)}, {Column(FieldType::kString, {Text("a")})}, 1, &hash);
  EXPECT_EQ(KindOf(status), ErrorKind::kBug);
}

TEST(Key, DescribeQuotesStrings) {
  EXPECT_EQ(
      DescribeKey({Component(FieldType::kString)}, {Column(FieldType::kString, {Text("x")})}, 0),
      "k=\"x\"");
}

}  // namespace
}  // namespace capi::data
