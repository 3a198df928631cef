#include "capi/expr/evaluator.h"

#include <numeric>

#include "capi/data/column.h"
#include "capi/expr/evaluator_test_columns.h"
#include "capi/expr/vector_internal.h"
#include "gtest/gtest.h"

namespace capi::expr {
namespace {

using test::NamedColumn;

std::unique_ptr<Evaluator> MakeEvaluator(const std::string& text,
                                         const std::vector<NamedColumn>& columns,
                                         ContextKind context = ContextKind::kField) {
  const auto expression = test::CompileOver(text, columns, context);
  EXPECT_TRUE(expression.ok()) << expression.status();
  if (!expression.ok()) return nullptr;
  auto evaluator = Evaluator::Make(*expression, test::VariablesOf(columns), Environment());
  EXPECT_TRUE(evaluator.ok()) << evaluator.status();
  return *std::move(evaluator);
}

Outcome Evaluate(const std::string& text, const std::vector<NamedColumn>& columns,
                 ContextKind context = ContextKind::kField) {
  const auto evaluator = MakeEvaluator(text, columns, context);
  return evaluator->Evaluate(test::ArraysOf(columns), columns[0].column->length());
}

/// The values as text, comma separated, or the error with its row and offset.
std::string Show(const Outcome& outcome) {
  if (!outcome.error.ok()) {
    const ErrorInfo info = InfoOf(outcome.error);
    return info.error_class + " row " + std::to_string(outcome.error_row) + " offset " +
           std::to_string(info.expression_offset);
  }
  std::string text;
  for (int64_t i = 0; i < outcome.values->length(); ++i) {
    if (i > 0) text += ",";
    text += data::ValueToText(*data::CellValue(*outcome.values, i));
  }
  return text;
}

std::string Filter(const std::string& text, const std::vector<NamedColumn>& columns) {
  std::vector<int32_t> selected;
  const Outcome outcome =
      MakeEvaluator(text, columns, ContextKind::kCond)
          ->Filter(test::ArraysOf(columns), columns[0].column->length(), &selected);
  if (!outcome.error.ok()) return Show(outcome);
  std::string rows;
  for (const int32_t row : selected) rows += std::to_string(row) + " ";
  return rows;
}

TEST(Evaluator, BareVariableIsTheColumnItself) {
  for (const test::Column& column :
       {test::Ints({1, 2}), test::Strings({"a", "b"}), test::Dictionary({"a"}, {0, 0}),
        test::Decimals({100, 200}), test::Bools({true, false})}) {
    EXPECT_EQ(Evaluate("r.x", {{"x", column}}).values, column);
    EXPECT_EQ(Evaluate("(r.x)", {{"x", column}}).values, column);
  }
}

TEST(Evaluator, BareWideDecimalIsNarrowedWhenItFits) {
  const Outcome narrow = Evaluate("r.x", {{"x", test::WideDecimals({100, -5})}});
  EXPECT_EQ(narrow.values->type_id(), arrow::Type::DECIMAL64);
  EXPECT_EQ(Show(narrow), "1,-0.05");
  const __int128 large = static_cast<__int128>(10000000000000000) * 10000;
  const Outcome wide = Evaluate("r.x", {{"x", test::WideDecimals({100, large})}});
  EXPECT_EQ(wide.values->type_id(), arrow::Type::DECIMAL128);
}

TEST(Evaluator, ConstantsFillTheColumn) {
  const std::vector<NamedColumn> columns = {{"x", test::Ints({1, 2, 3})}};
  EXPECT_EQ(Show(Evaluate("7", columns)), "7,7,7");
  EXPECT_EQ(Show(Evaluate("\"a\"", columns)), "a,a,a");
  EXPECT_EQ(Show(Evaluate("decimal2(\"1.005\")", columns)), "1.01,1.01,1.01");
  EXPECT_EQ(Show(Evaluate("true", columns)), "true,true,true");
}

TEST(Evaluator, EmptyInputGivesEmptyColumn) {
  EXPECT_EQ(Evaluate("r.x + 1", {{"x", test::Ints({})}}).values->length(), 0);
  EXPECT_EQ(Evaluate("r.x + \"a\"", {{"x", test::Strings({})}}).values->length(), 0);
  EXPECT_EQ(Evaluate("1", {{"x", test::Ints({})}}).values->length(), 0);
  EXPECT_EQ(Filter("r.x > 1", {{"x", test::Ints({})}}), "");
}

TEST(Evaluator, Operators) {
  const std::vector<NamedColumn> columns = {{"i", test::Ints({7, -7, 9223372036854775807})},
                                            {"f", test::Floats({0.5, -0.0, 2})},
                                            {"d", test::Decimals({10, 1000, -1})},
                                            {"s", test::Strings({"a", "", "xyz"})},
                                            {"b", test::Bools({true, false, true})}};
  EXPECT_EQ(Show(Evaluate("r.i + 1", columns)), "8,-6,-9223372036854775808");
  EXPECT_EQ(Show(Evaluate("r.i % 2", columns)), "1,-1,1");
  EXPECT_EQ(Show(Evaluate("-r.f", columns)), "-0.5,0,-2");
  EXPECT_EQ(Show(Evaluate("r.f / 0.0", columns)), "+Inf,NaN,+Inf");
  EXPECT_EQ(Show(Evaluate("r.d * r.d", columns)), "0.01,100,0");
  EXPECT_EQ(Show(Evaluate("r.d / 3", columns)), "0.03,3.33,0");
  EXPECT_EQ(Show(Evaluate("r.s + \"-\" + r.s", columns)), "a-a,-,xyz-xyz");
  EXPECT_EQ(Show(Evaluate("!r.b || r.i > 100", columns)), "false,true,true");
  EXPECT_EQ(Show(Evaluate("len(r.s)", columns)), "1,0,3");
  EXPECT_EQ(Show(Evaluate("string(r.d)", columns)), "0.1,10,-0.01");
}

TEST(Evaluator, RightSideOnlyWhereNeeded) {
  const std::vector<NamedColumn> columns = {{"n", test::Ints({0, 2, 0, 10})}};
  EXPECT_EQ(Show(Evaluate("r.n != 0 && 10 / r.n > 1", columns)), "false,true,false,false");
  EXPECT_EQ(Show(Evaluate("r.n == 0 || 10 / r.n > 1", columns)), "true,true,true,false");
  EXPECT_EQ(Show(Evaluate("int.iif(r.n == 0, -1, 10 / r.n)", columns)), "-1,5,-1,1");
  EXPECT_EQ(Show(Evaluate("r.n == 0 && 10 / r.n > 1", columns)),
            "division_by_zero row 0 offset 15");
}

TEST(Evaluator, FirstErrorIsThatOfTheSmallestRowThenOfTheSource) {
  const std::vector<NamedColumn> columns = {{"a", test::Ints({1, 1, 0, 0})},
                                            {"s", test::Strings({"1", "2", "3", "x"})}};
  // Row 3 fails at the left operand, row 2 at the right one.
  EXPECT_EQ(Show(Evaluate("int(r.s) + 1 / r.a", columns)), "division_by_zero row 2 offset 13");
  const std::vector<NamedColumn> both = {{"a", test::Ints({1, 0})},
                                         {"s", test::Strings({"1", "x"})}};
  EXPECT_EQ(Show(Evaluate("int(r.s) + 1 / r.a", both)), "bad_number_text row 1 offset 0");
}

TEST(Evaluator, ErrorsBehindTheFirstBlock) {
  std::vector<int64_t> values(3 * kBlockRows, 1);
  values[2 * kBlockRows + 5] = 0;
  const std::vector<NamedColumn> columns = {{"a", test::Ints(values)}};
  const Outcome outcome = Evaluate("1 / r.a", columns);
  EXPECT_EQ(outcome.error_row, 2 * kBlockRows + 5);
  EXPECT_EQ(outcome.values, nullptr);
}

TEST(Evaluator, DecimalBeyondAColumnNamesItsRow) {
  const __int128 large = static_cast<__int128>(10000000000000000) * 1000000000000000000;
  const std::vector<NamedColumn> columns = {{"d", test::WideDecimals({100, large, large})}};
  EXPECT_EQ(Show(Evaluate("r.d * 100", columns)).substr(0, 3), "100");
  EXPECT_EQ(Show(Evaluate("r.d * r.d", columns)), "number_out_of_range row 1 offset 4");
  EXPECT_EQ(Show(Evaluate("r.d * r.d > 0", columns)), "true,true,true");
}

TEST(Evaluator, DecimalRoundingByContext) {
  const std::vector<NamedColumn> columns = {{"d", test::Decimals({100, -500})}};
  EXPECT_EQ(Show(Evaluate("r.d / 3 * 3", columns)), "0.99,-5.01");
  EXPECT_EQ(Show(Evaluate("r.d / 3 * 3 == r.d", columns, ContextKind::kCond)), "false,false");
  EXPECT_EQ(Filter("r.d / 3 > decimal2(\"0.33333333333333329\")", columns), "0 ");
}

TEST(Evaluator, DecimalFormsMeetWithoutLoss) {
  std::vector<int64_t> values = {999999999999999999, 1, -999999999999999999};
  const std::vector<NamedColumn> columns = {{"d", test::Decimals(values)}};
  EXPECT_EQ(Show(Evaluate("r.d * r.d", columns)),
            "99999999999999999800000000000000,0,99999999999999999800000000000000");
  EXPECT_EQ(Show(Evaluate("r.d + r.d - r.d", columns)),
            "9999999999999999.99,0.01,-9999999999999999.99");
  EXPECT_EQ(Evaluate("r.d + r.d - r.d", columns).values->type_id(), arrow::Type::DECIMAL64);
}

TEST(Evaluator, DictionaryIsEvaluatedPerValue) {
  const std::vector<NamedColumn> columns = {
      {"s", test::Dictionary({"a", "bb", "12"}, {2, 0, 1, 1, 2, 0})}};
  const Outcome text = Evaluate("r.s + \"!\"", columns);
  EXPECT_EQ(Show(text), "12!,a!,bb!,bb!,12!,a!");
  EXPECT_EQ(text.values->type_id(), arrow::Type::DICTIONARY);
  EXPECT_EQ(Show(Evaluate("r.s == \"bb\"", columns)), "false,false,true,true,false,false");
  EXPECT_EQ(Show(Evaluate("len(r.s)", columns)), "2,1,2,2,2,1");
  EXPECT_EQ(Show(Evaluate("re.MatchString(\"^[0-9]+$\", r.s)", columns)),
            "true,false,false,false,true,false");
}

TEST(Evaluator, UnusedDictionaryValuesDoNotFail) {
  const std::vector<NamedColumn> columns = {{"s", test::Dictionary({"1", "x"}, {0, 0, 0})}};
  EXPECT_EQ(Show(Evaluate("int(r.s)", columns)), "1,1,1");
  const std::vector<NamedColumn> used = {{"s", test::Dictionary({"1", "x"}, {0, 0, 1})}};
  EXPECT_EQ(Show(Evaluate("int(r.s)", used)), "bad_number_text row 2 offset 0");
}

TEST(Evaluator, ResultsOfOneDictionaryAreNotUsedForAnother) {
  const std::vector<NamedColumn> first = {{"s", test::Dictionary({"a", "b"}, {0, 1, 1})}};
  const std::vector<NamedColumn> second = {{"s", test::Dictionary({"c", "d"}, {0, 1, 1})}};
  const auto evaluator = MakeEvaluator("r.s + r.s", first);
  EXPECT_EQ(Show(evaluator->Evaluate(test::ArraysOf(first), 3)), "aa,bb,bb");
  EXPECT_EQ(Show(evaluator->Evaluate(test::ArraysOf(second), 3)), "cc,dd,dd");
}

TEST(Evaluator, OuterQuotesDoNotCount) {
  const std::vector<NamedColumn> columns = {
      {"a", test::Strings({"\"abc\"", "abc", "\"", "x\\\"y", "\"b", "abcdefghijklmnopq\""})},
      {"b", test::Strings({"abc", "\"\"abc", "", "x\\\"y", "a\"", "abcdefghijklmnopq"})}};
  EXPECT_EQ(Show(Evaluate("r.a == r.b", columns)), "true,true,true,true,false,true");
  EXPECT_EQ(Show(Evaluate("r.a > r.b", columns)), "false,false,false,false,true,false");
  EXPECT_EQ(Show(Evaluate("r.a == \"abc\"", columns)), "true,true,false,false,false,false");
}

TEST(Evaluator, DatetimesKeepZonesAndNarrowWhenPossible) {
  const std::vector<NamedColumn> columns = {
      {"t", test::Millis({1704164645678, -1})},
      {"w", test::WideDatetimes(
                {{1704164645, 678000000, data::WideDatetime::kNoOffset}, {-1, 999000001, 3600}})}};
  EXPECT_EQ(Show(Evaluate("r.t == r.w", columns)), "true,false");
  EXPECT_EQ(Show(Evaluate("time.Format(r.w, \"15:04:05.000000000 -0700\")", columns)),
            "03:04:05.678000000 +0000,00:59:59.999000001 +0100");
  EXPECT_EQ(Show(Evaluate("time.UnixMilli(r.w)", columns)), "1704164645678,-1");
  const Outcome parsed = Evaluate("time.Parse(\"2006-01-02\", \"2024-01-0\" + string(1 + r.i))",
                                  {{"i", test::Ints({1, 2})}});
  EXPECT_EQ(parsed.values->type_id(), arrow::Type::TIMESTAMP);
  EXPECT_EQ(Evaluate("time.iif(r.t > r.w, r.t, r.w)", columns).values->type_id(),
            arrow::Type::FIXED_SIZE_BINARY);
}

TEST(Evaluator, ParsedFractionsAreKept) {
  const std::vector<NamedColumn> columns = {
      {"s", test::Strings({"2024-01-02T03:04:05.123456", "2024-01-02T03:04:05.123000"})}};
  EXPECT_EQ(Show(Evaluate("time.Format(time.Parse(\"2006-01-02T15:04:05.000000\", r.s), "
                          "\"05.000000000\")",
                          columns)),
            "05.123456000,05.123000000");
}

TEST(Evaluator, SlicedColumns) {
  const std::vector<NamedColumn> columns = {{"i", test::Ints({1, 2, 3, 4})->Slice(1)},
                                            {"b", test::Bools({true, false, true, true})->Slice(1)},
                                            {"s", test::Strings({"a", "b", "c", "d"})->Slice(1)}};
  EXPECT_EQ(Show(Evaluate("r.i * 2", columns)), "4,6,8");
  EXPECT_EQ(Show(Evaluate("!r.b", columns)), "true,false,false");
  EXPECT_EQ(Show(Evaluate("r.s + string(r.i)", columns)), "b2,c3,d4");
}

TEST(Evaluator, FilterCollectsTrueRowsOverBlocks) {
  std::vector<int64_t> values(2 * kBlockRows + 10);
  std::iota(values.begin(), values.end(), 0);
  const std::vector<NamedColumn> columns = {{"i", test::Ints(values)}};
  EXPECT_EQ(Filter("r.i == 3 || r.i == 5000 || r.i == 8195", columns), "3 5000 8195 ");
  EXPECT_EQ(Filter("10 / r.i > 1", columns), "division_by_zero row 0 offset 3");
  EXPECT_EQ(Filter("r.b", {{"b", test::Bools({false, true, true})}}), "1 2 ");
  EXPECT_EQ(Filter("true", {{"i", test::Ints({5, 6})}}), "0 1 ");
  std::vector<int32_t> selected = {99};
  MakeEvaluator("r.i < 2", columns)->Filter(test::ArraysOf(columns), 5, &selected);
  EXPECT_EQ(selected, (std::vector<int32_t>{99, 0, 1}));
}

TEST(Evaluator, StringsOverSeveralBlocks) {
  std::vector<std::string> values;
  for (int64_t i = 0; i < kBlockRows + 3; ++i) values.push_back(std::to_string(i));
  const Outcome outcome =
      Evaluate("string.iif(r.s == \"5\", \"five\", r.s + \"x\")", {{"s", test::Strings(values)}});
  ASSERT_TRUE(outcome.error.ok());
  EXPECT_EQ(data::ValueToText(*data::CellValue(*outcome.values, 5)), "five");
  EXPECT_EQ(data::ValueToText(*data::CellValue(*outcome.values, kBlockRows + 2)),
            std::to_string(kBlockRows + 2) + "x");
}

TEST(Evaluator, CloneIsIndependent) {
  const std::vector<NamedColumn> columns = {{"i", test::Ints({1, 2})}};
  const auto evaluator = MakeEvaluator("r.i + 1", columns);
  const auto clone = evaluator->Clone();
  const std::vector<NamedColumn> other = {{"i", test::Ints({5, 6})}};
  EXPECT_EQ(Show(clone->Evaluate(test::ArraysOf(other), 2)), "6,7");
  EXPECT_EQ(Show(evaluator->Evaluate(test::ArraysOf(columns), 2)), "2,3");
}

TEST(Evaluator, WrongUseIsABug) {
  const std::vector<NamedColumn> columns = {{"i", test::Ints({1})}, {"d", test::Decimals({1})}};
  const auto evaluator = MakeEvaluator("r.i + 1", columns);
  EXPECT_EQ(KindOf(evaluator->Evaluate({nullptr, nullptr}, 1).error), ErrorKind::kBug);
  EXPECT_EQ(KindOf(evaluator->Evaluate({test::Strings({"a"}), nullptr}, 1).error), ErrorKind::kBug);
  EXPECT_EQ(KindOf(evaluator->Evaluate(test::ArraysOf(columns), 2).error), ErrorKind::kBug);
  std::vector<int32_t> selected;
  EXPECT_EQ(KindOf(evaluator->Filter(test::ArraysOf(columns), 1, &selected).error),
            ErrorKind::kBug);
  EXPECT_EQ(KindOf(MakeEvaluator("r.d + 1", columns)
                       ->Evaluate(test::ArraysOf(columns), 1, /*store=*/false)
                       .error),
            ErrorKind::kBug);
  const auto expression = test::CompileOver("r.i + 1", columns);
  EXPECT_EQ(KindOf(Evaluator::Make(*expression, {{"r", "other"}}, Environment()).status()),
            ErrorKind::kBug);
  EXPECT_EQ(
      KindOf(Aggregator::Make(*expression, test::VariablesOf(columns), Environment()).status()),
      ErrorKind::kBug);
}

TEST(EvaluateOnce, SingleValues) {
  const auto value =
      EvaluateOnce("r.a + 1", ContextKind::kField, {{{{"r", "a"}, data::NativeInt{4}}}},
                   std::nullopt, Environment());
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(std::get<int64_t>(*value), 5);
  const auto unrounded =
      EvaluateOnce("sum(decimal2(l.x))", ContextKind::kGroup,
                   {{{{"l", "x"}, std::string("1.005")}}}, std::nullopt, Environment());
  ASSERT_TRUE(unrounded.ok()) << unrounded.status();
  EXPECT_EQ(data::ValueToText(*unrounded), "1.005");
}

TEST(EvaluateOnce, LastRowOfAGroupWins) {
  const std::vector<std::vector<NamedValue>> rows = {{{{"l", "x"}, int64_t{1}}},
                                                     {{{"l", "x"}, int64_t{5}}}};
  const auto value =
      EvaluateOnce("l.x + 1", ContextKind::kGroup, rows, std::nullopt, Environment());
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(std::get<int64_t>(*value), 6);
}

TEST(EvaluateOnce, WrongRows) {
  const auto mixed =
      EvaluateOnce("l.x", ContextKind::kGroup, {{{{"l", "x"}, int64_t{1}}}, {{{"l", "x"}, 1.5}}},
                   std::nullopt, Environment());
  EXPECT_EQ(InfoOf(mixed.status()).error_class, "type_mismatch");
  const auto missing = EvaluateOnce("l.x", ContextKind::kGroup, {{{{"l", "x"}, int64_t{1}}}, {}},
                                    std::nullopt, Environment());
  EXPECT_EQ(InfoOf(missing.status()).error_class, "unknown_variable");
  const auto nothing =
      EvaluateOnce("1", ContextKind::kGroup, {}, data::FieldType::kString, Environment());
  EXPECT_EQ(data::ValueToText(*nothing), "");
  EXPECT_FALSE(EvaluateOnce("1", ContextKind::kGroup, {}, std::nullopt, Environment()).ok());
}

}  // namespace
}  // namespace capi::expr
