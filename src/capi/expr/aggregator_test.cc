#include <limits>
#include <random>

#include "capi/data/column.h"
#include "capi/expr/evaluator.h"
#include "capi/expr/evaluator_test_columns.h"
#include "capi/expr/vector_internal.h"
#include "gtest/gtest.h"

namespace capi::expr {
namespace {

using test::NamedColumn;

std::unique_ptr<Aggregator> MakeAggregator(const std::string& text,
                                           const std::vector<NamedColumn>& columns) {
  const auto expression = test::CompileOver(text, columns, ContextKind::kGroup);
  EXPECT_TRUE(expression.ok()) << expression.status();
  if (!expression.ok()) return nullptr;
  auto aggregator = Aggregator::Make(*expression, test::VariablesOf(columns), Environment());
  EXPECT_TRUE(aggregator.ok()) << aggregator.status();
  return *std::move(aggregator);
}

std::string Show(const Result<std::shared_ptr<arrow::Array>>& values) {
  if (!values.ok()) return InfoOf(values.status()).error_class;
  std::string text;
  for (int64_t i = 0; i < (*values)->length(); ++i) {
    if (i > 0) text += ",";
    text += data::ValueToText(*data::CellValue(**values, i));
  }
  return text;
}

/// Feeds all rows in one call.
std::string Aggregate(const std::string& text, const std::vector<NamedColumn>& columns,
                      const std::vector<int32_t>& groups, int64_t num_groups) {
  const auto aggregator = MakeAggregator(text, columns);
  aggregator->Begin(num_groups);
  const Outcome outcome = aggregator->Update(test::ArraysOf(columns),
                                             static_cast<int64_t>(groups.size()), groups.data());
  if (!outcome.error.ok()) {
    return InfoOf(outcome.error).error_class + " row " + std::to_string(outcome.error_row);
  }
  return Show(aggregator->Finish());
}

const std::vector<int32_t> kGroups = {0, 0, 0, 2, 2};

TEST(Aggregator, Count) {
  const std::vector<NamedColumn> columns = {{"x", test::Ints({1, 2, 3, 4, 5})}};
  EXPECT_EQ(Aggregate("count()", columns, kGroups, 4), "3,0,2,0");
  EXPECT_EQ(Aggregate("count_if(r.x % 2 == 1)", columns, kGroups, 3), "2,0,1");
  EXPECT_EQ(Aggregate("count_if(false)", columns, kGroups, 3), "0,0,0");
  EXPECT_EQ(Aggregate("count_if(true)", columns, kGroups, 3), "3,0,2");
}

TEST(Aggregator, Sums) {
  const std::vector<NamedColumn> columns = {
      {"i", test::Ints({1, 2, -7, std::numeric_limits<int64_t>::max(), 1})},
      {"f", test::Floats({0.1, 0.2, 0.3, -0.0, -0.0})},
      {"d", test::Decimals({100, 250, -1, 999999999999999999, 999999999999999999})},
      {"b", test::Bools({true, false, true, false, false})}};
  EXPECT_EQ(Aggregate("sum(r.i)", columns, kGroups, 3), "-4,0,-9223372036854775808");
  EXPECT_EQ(Aggregate("sum(r.f)", columns, kGroups, 3), "0.6000000000000001,0,0");
  EXPECT_EQ(Aggregate("sum(r.d)", columns, kGroups, 3), "3.49,0,19999999999999999.98");
  EXPECT_EQ(Aggregate("sum_if(r.i, r.b)", columns, kGroups, 3), "-6,0,0");
  EXPECT_EQ(Aggregate("sum_if(r.f, r.b)", columns, kGroups, 3), "0.4,0,0");
  EXPECT_EQ(Aggregate("sum_if(r.d, r.b)", columns, kGroups, 3), "0.99,0,0");
  EXPECT_EQ(Aggregate("sum(1)", columns, kGroups, 3), "3,0,2");
}

TEST(Aggregator, Averages) {
  const std::vector<NamedColumn> columns = {
      {"i", test::Ints({-1, -2, -2, 7, 8})},
      {"f", test::Floats({1, 2, 6, 5, 5})},
      {"d", test::Decimals({100, 200, 200, -1, -2})},
      {"m", test::Ints({std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max(),
                        std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(),
                        std::numeric_limits<int64_t>::min()})}};
  EXPECT_EQ(Aggregate("avg(r.i)", columns, kGroups, 3), "-2,0,7");
  EXPECT_EQ(Aggregate("avg(r.f)", columns, kGroups, 3), "3,0,5");
  EXPECT_EQ(Aggregate("avg(r.d)", columns, kGroups, 3), "1.67,0,-0.02");
  EXPECT_EQ(Aggregate("avg(r.m)", columns, kGroups, 3),
            "9223372036854775807,0,-9223372036854775808");
  EXPECT_EQ(Aggregate("avg_if(r.d, false)", columns, kGroups, 3), "0,0,0");
  EXPECT_EQ(Aggregate("avg_if(r.f, r.i < -1)", columns, kGroups, 3), "4,0,0");
}

TEST(Aggregator, Extremes) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<NamedColumn> columns = {
      {"i", test::Ints({3, -1, 2, 9, 9})},
      {"f", test::Floats({nan, 1.5, -1e300, nan, nan})},
      {"d", test::Decimals({150, -50, 25, 7, 8})},
      {"s", test::Strings({"b", "", "c", "z", "a longer text than sixteen bytes"})}};
  EXPECT_EQ(Aggregate("min(r.i)", columns, kGroups, 3), "-1,0,9");
  EXPECT_EQ(Aggregate("max(r.i)", columns, kGroups, 3), "3,0,9");
  EXPECT_EQ(Aggregate("min(r.f)", columns, kGroups, 3), "-1e+300,0,1.7976931348623157e+308");
  EXPECT_EQ(Aggregate("max(r.f)", columns, kGroups, 3), "1.5,0,-3.4028234663852886e+38");
  EXPECT_EQ(Aggregate("max(-r.f * 1e10)", columns, kGroups, 3), "+Inf,0,-3.4028234663852886e+38");
  EXPECT_EQ(Aggregate("min(r.d)", columns, kGroups, 3), "-0.5,0,0.07");
  EXPECT_EQ(Aggregate("max(r.d)", columns, kGroups, 3), "1.5,0,0.08");
  EXPECT_EQ(Aggregate("min(r.s)", columns, kGroups, 3), ",,a longer text than sixteen bytes");
  EXPECT_EQ(Aggregate("max(r.s)", columns, kGroups, 3), "c,,z");
}

TEST(Aggregator, ExtremesWithoutAcceptedRow) {
  const std::vector<NamedColumn> columns = {{"i", test::Ints({3, 4, 5, 6, 7})},
                                            {"f", test::Floats({1, 2, 3, 4, 5})},
                                            {"d", test::Decimals({1, 2, 3, 4, 5})},
                                            {"s", test::Strings({"a", "b", "c", "d", "e"})}};
  EXPECT_EQ(Aggregate("min_if(r.i, false)", columns, kGroups, 3),
            "9223372036854775807,0,9223372036854775807");
  EXPECT_EQ(Aggregate("max_if(r.i, r.i > 5)", columns, kGroups, 3), "-9223372036854775808,0,7");
  EXPECT_EQ(Aggregate("min_if(r.f, false)", columns, kGroups, 1 + 2),
            "1.7976931348623157e+308,0,1.7976931348623157e+308");
  EXPECT_EQ(Aggregate("min_if(r.d, false)", columns, kGroups, 3), "0,0,0");
  EXPECT_EQ(Aggregate("min_if(r.d, r.i > 4)", columns, kGroups, 3), "0.03,0,0.04");
  EXPECT_EQ(Aggregate("max_if(r.s, r.s != \"c\")", columns, kGroups, 3), "b,,e");
}

TEST(Aggregator, StringAggregate) {
  const std::vector<NamedColumn> columns = {{"s", test::Strings({"", "b", "", "d", "e"})},
                                            {"i", test::Ints({1, 2, 3, 4, 5})}};
  EXPECT_EQ(Aggregate("string_agg(r.s, \",\")", columns, kGroups, 3), "b,,,d,e");
  EXPECT_EQ(Aggregate("string_agg_if(r.s, \"; \", r.i > 3)", columns, kGroups, 3), ",,d; e");
}

TEST(Aggregator, DictionaryArguments) {
  const std::vector<NamedColumn> columns = {{"s", test::Dictionary({"x", "y"}, {1, 0, 0, 1, 1})}};
  EXPECT_EQ(Aggregate("min(r.s)", columns, kGroups, 3), "x,,y");
  EXPECT_EQ(Aggregate("string_agg(r.s + \"!\", \"\")", columns, kGroups, 3), "y!x!x!,,y!y!");
}

TEST(Aggregator, DecimalSumsBeyond128Bits) {
  const __int128 large = static_cast<__int128>(1000000000000000000) * 90000000000000000;
  std::vector<__int128> values(3000, large);
  for (int i = 0; i < 1500; ++i) values.push_back(-large);
  for (int i = 0; i < 1500; ++i) values.push_back(-large);
  const std::vector<NamedColumn> columns = {{"d", test::WideDecimals(values)}};
  const std::vector<int32_t> groups(values.size(), 0);
  EXPECT_EQ(Aggregate("sum(r.d * 100)", columns, groups, 1), "0");
  const std::vector<NamedColumn> first = {
      {"d", test::WideDecimals(std::vector<__int128>(3000, large))}};
  EXPECT_EQ(Aggregate("sum(r.d * 100)", first, std::vector<int32_t>(3000, 0), 1),
            "number_out_of_range");
  EXPECT_EQ(Aggregate("avg(r.d * 100)", first, std::vector<int32_t>(3000, 0), 1),
            "90000000000000000000000000000000000");
  EXPECT_EQ(Aggregate("max(r.d * 100 * 100)", first, std::vector<int32_t>(3000, 0), 1),
            "number_out_of_range");
}

TEST(Aggregator, DecimalsOfSeveralScales) {
  const std::vector<NamedColumn> columns = {
      {"s", test::Strings({"1.005", "2", "-0.0005", "0.1", "100"})}};
  EXPECT_EQ(Aggregate("sum(decimal2(r.s))", columns, kGroups, 3), "3,0,100.1");
  EXPECT_EQ(Aggregate("max(decimal2(r.s))", columns, kGroups, 3), "2,0,100");
  EXPECT_EQ(Aggregate("min(decimal2(r.s))", columns, kGroups, 3), "0,0,0.1");
}

TEST(Aggregator, ErrorNamesTheSmallestRowAndTheArgumentFirst) {
  const std::vector<NamedColumn> columns = {{"i", test::Ints({1, 1, 0, 0, 1})},
                                            {"s", test::Strings({"1", "x", "1", "1", "1"})}};
  EXPECT_EQ(Aggregate("sum(1 / r.i)", columns, kGroups, 3), "division_by_zero row 2");
  EXPECT_EQ(Aggregate("sum_if(1 / r.i, int(r.s) > 0)", columns, kGroups, 3),
            "bad_number_text row 1");
  // The argument is evaluated for every row, also when the condition is false.
  EXPECT_EQ(Aggregate("sum_if(1 / r.i, r.i != 0)", columns, kGroups, 3), "division_by_zero row 2");
  EXPECT_EQ(Aggregate("sum_if(int.iif(r.i == 0, 0, 1 / r.i), r.i != 0)", columns, kGroups, 3),
            "2,0,1");
}

TEST(Aggregator, BeginForgetsAndCloneIsEmpty) {
  const std::vector<NamedColumn> columns = {{"i", test::Ints({1, 2, 3, 4, 5})}};
  const auto aggregator = MakeAggregator("sum(r.i)", columns);
  aggregator->Begin(3);
  ASSERT_TRUE(aggregator->Update(test::ArraysOf(columns), 5, kGroups.data()).error.ok());
  const auto clone = aggregator->Clone();
  clone->Begin(1);
  EXPECT_EQ(Show(clone->Finish()), "0");
  EXPECT_EQ(Show(aggregator->Finish()), "6,0,9");
  aggregator->Begin(2);
  EXPECT_EQ(Show(aggregator->Finish()), "0,0");
  aggregator->Begin(0);
  EXPECT_EQ(Show(aggregator->Finish()), "");
}

/// Any cut of the rows into calls gives the same as one call.
TEST(Aggregator, CallsDoNotMatter) {
  std::mt19937_64 random(7);
  constexpr int64_t kRows = 2 * kBlockRows + 77;
  std::vector<int64_t> ints(kRows);
  std::vector<double> floats(kRows);
  std::vector<std::string> strings(kRows);
  std::vector<int32_t> groups(kRows);
  int32_t group = 0;
  for (int64_t i = 0; i < kRows; ++i) {
    ints[i] = static_cast<int64_t>(random() % 2000) - 1000;
    floats[i] = static_cast<double>(ints[i]) / 7;
    strings[i] = std::to_string(ints[i]);
    groups[i] = group;
    if (random() % (1 + static_cast<uint64_t>(i) / 10) == 0) ++group;
  }
  const std::vector<NamedColumn> columns = {{"i", test::Ints(ints)},
                                            {"f", test::Floats(floats)},
                                            {"d", test::Decimals(ints)},
                                            {"s", test::Strings(strings)}};
  for (const char* text : {"count()", "sum(r.i)", "sum(r.f)", "sum(r.d)", "avg(r.i)", "avg(r.f)",
                           "avg(r.d)", "min(r.i)", "max(r.f)", "min(r.d)", "max(r.s)",
                           "string_agg(r.s, \",\")", "sum_if(r.d, r.i > 0)", "max_if(r.d, r.i < 0)",
                           "min_if(r.i, r.f > 1.0)", "avg_if(r.f, r.i > 500)", "sum(r.d / 3)"}) {
    const std::string expected = Aggregate(text, columns, groups, group + 1);
    const auto aggregator = MakeAggregator(text, columns);
    aggregator->Begin(group + 1);
    for (int64_t begin = 0; begin < kRows;) {
      const int64_t n = std::min<int64_t>(kRows - begin, 1 + static_cast<int64_t>(random() % 999));
      std::vector<test::Column> slices = test::ArraysOf(columns);
      for (test::Column& slice : slices) slice = slice->Slice(begin, n);
      ASSERT_TRUE(aggregator->Update(slices, n, groups.data() + begin).error.ok());
      begin += n;
    }
    EXPECT_EQ(Show(aggregator->Finish()), expected) << text;
  }
}

}  // namespace
}  // namespace capi::expr
