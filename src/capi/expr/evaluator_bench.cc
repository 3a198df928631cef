// Rows per second of whole expressions, one core, column to column.

#include <random>

#include "benchmark/benchmark.h"
#include "capi/expr/evaluator_test_columns.h"

namespace capi::expr {
namespace {

using test::NamedColumn;

constexpr int64_t kRows = data::kMorselRows;

std::vector<int64_t> RandomInts(int64_t low, int64_t high, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int64_t> distribution(low, high);
  std::vector<int64_t> values(kRows);
  for (int64_t& value : values) value = distribution(random);
  return values;
}

std::vector<std::string> RandomTexts(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::string> values(kRows);
  for (std::string& value : values) {
    for (size_t i = 0; i < size; ++i) value += static_cast<char>('a' + random() % 26);
  }
  return values;
}

const std::vector<NamedColumn>& Columns() {
  static const std::vector<NamedColumn> kColumns = [] {
    std::vector<std::string> left = RandomTexts(16, 1);
    std::vector<std::string> right = RandomTexts(16, 2);
    for (int64_t i = 0; i < kRows; i += 2) right[i] = left[i];
    std::vector<std::string> numbers;
    for (const int64_t value : RandomInts(0, 1000000, 9)) numbers.push_back(std::to_string(value));
    std::vector<double> floats;
    for (const int64_t value : RandomInts(-1000000, 1000000, 10)) {
      floats.push_back(static_cast<double>(value) / 64);
    }
    std::vector<int32_t> codes;
    for (const int64_t value : RandomInts(0, 99, 11)) codes.push_back(static_cast<int32_t>(value));
    std::vector<std::string> dictionary = RandomTexts(10, 12);
    dictionary.resize(100);
    std::vector<int64_t> positive = RandomInts(1, 1000, 13);
    return std::vector<NamedColumn>{{"a", test::Ints(RandomInts(-1000000, 1000000, 3))},
                                    {"b", test::Ints(RandomInts(-1000000, 1000000, 4))},
                                    {"c", test::Ints(positive)},
                                    {"t", test::Millis(RandomInts(0, 2000000000000, 5))},
                                    {"u", test::Millis(RandomInts(0, 2000000000000, 6))},
                                    {"d", test::Decimals(RandomInts(-10000000, 10000000, 7))},
                                    {"e", test::Decimals(RandomInts(1, 10000000, 8))},
                                    {"f", test::Floats(floats)},
                                    {"s", test::Strings(left)},
                                    {"v", test::Strings(right)},
                                    {"n", test::Strings(numbers)},
                                    {"k", test::Dictionary(dictionary, codes)}};
  }();
  return kColumns;
}

void BM_Evaluate(benchmark::State& state, const char* text, ContextKind context) {
  const std::vector<NamedColumn>& columns = Columns();
  const auto expression = test::CompileOver(text, columns, context);
  if (!expression.ok()) {
    state.SkipWithError(expression.status().ToString().c_str());
    return;
  }
  const auto evaluator =
      Evaluator::Make(*expression, test::VariablesOf(columns), Environment()).ValueOrDie();
  const std::vector<test::Column> arrays = test::ArraysOf(columns);
  for (auto _ : state) {
    const Outcome outcome = evaluator->Evaluate(arrays, kRows);
    if (!outcome.error.ok()) state.SkipWithError(outcome.error.ToString().c_str());
    benchmark::DoNotOptimize(outcome.values);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
#define CAPI_EVALUATE(name, text) BENCHMARK_CAPTURE(BM_Evaluate, name, text, ContextKind::kField)
// The five targets.
CAPI_EVALUATE(int_add_multiply, "r.a * r.b + r.c");
CAPI_EVALUATE(datetime_compare, "r.t < r.u");
CAPI_EVALUATE(decimal_add, "r.d + r.e");
CAPI_EVALUATE(decimal_multiply, "r.d * r.e");
CAPI_EVALUATE(string_equal_16, "r.s == r.v");
// What else scripts do often.
CAPI_EVALUATE(int_divide, "r.a / r.c");
CAPI_EVALUATE(float_multiply_add, "r.f * 2.5 + r.f");
CAPI_EVALUATE(decimal_times_constant, "r.d * decimal2(\"1.075\")");
CAPI_EVALUATE(decimal_divide, "r.d / r.e");
CAPI_EVALUATE(decimal_times_int, "r.d * r.c");
CAPI_EVALUATE(decimal_of_float, "decimal2(r.f)");
CAPI_EVALUATE(float_of_decimal, "float(r.d)");
CAPI_EVALUATE(int_of_string, "int(r.n)");
CAPI_EVALUATE(string_of_int, "string(r.a)");
CAPI_EVALUATE(string_of_decimal, "string(r.d)");
CAPI_EVALUATE(string_concatenate, "r.s + \"-\" + r.v");
CAPI_EVALUATE(string_equal_constant, "r.s == \"abcdefghijklmnop\"");
CAPI_EVALUATE(dictionary_equal, "r.k == \"abcdefghij\"");
CAPI_EVALUATE(dictionary_match, "re.MatchString(\"^[a-m]\", r.k)");
CAPI_EVALUATE(match, "re.MatchString(\"^[a-m]+x\", r.s)");
CAPI_EVALUATE(sprintf_int, "fmt.Sprintf(\"%08d\", r.a)");
CAPI_EVALUATE(time_format, "time.Format(r.t, \"2006-01-02\")");
CAPI_EVALUATE(time_parse, "time.Parse(\"2006-01-02\", time.Format(r.t, \"2006-01-02\"))");
CAPI_EVALUATE(iif_int, "int.iif(r.a > r.b, r.a, r.b)");
CAPI_EVALUATE(iif_lazy, "int.iif(r.a > 0, r.a / r.c, 0)");
BENCHMARK_CAPTURE(BM_Evaluate, quotient_compare, "r.d / r.e > 1.5", ContextKind::kCond);

void BM_Filter(benchmark::State& state, const char* text) {
  const std::vector<NamedColumn>& columns = Columns();
  const auto expression = test::CompileOver(text, columns, ContextKind::kCond).ValueOrDie();
  const auto evaluator =
      Evaluator::Make(expression, test::VariablesOf(columns), Environment()).ValueOrDie();
  const std::vector<test::Column> arrays = test::ArraysOf(columns);
  std::vector<int32_t> selected;
  for (auto _ : state) {
    selected.clear();
    benchmark::DoNotOptimize(evaluator->Filter(arrays, kRows, &selected));
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(BM_Filter, two_ranges, "r.a > 0 && r.b < 500000");
BENCHMARK_CAPTURE(BM_Filter, sparse_then_text, "r.a > 990000 && r.s != r.v");

void BM_Aggregate(benchmark::State& state, const char* text) {
  const std::vector<NamedColumn>& columns = Columns();
  const auto expression = test::CompileOver(text, columns, ContextKind::kGroup).ValueOrDie();
  const auto aggregator =
      Aggregator::Make(expression, test::VariablesOf(columns), Environment()).ValueOrDie();
  const std::vector<test::Column> arrays = test::ArraysOf(columns);
  const int64_t rows_per_group = state.range(0);
  std::vector<int32_t> groups(kRows);
  for (int64_t i = 0; i < kRows; ++i) groups[i] = static_cast<int32_t>(i / rows_per_group);
  aggregator->Begin(groups.back() + 1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(aggregator->Update(arrays, kRows, groups.data()));
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
#define CAPI_AGGREGATE(name, text) BENCHMARK_CAPTURE(BM_Aggregate, name, text)->Arg(4)->Arg(kRows)
CAPI_AGGREGATE(count, "count()");
CAPI_AGGREGATE(sum_decimal, "sum(r.d)");
CAPI_AGGREGATE(min_decimal, "min(r.d)");
CAPI_AGGREGATE(sum_float, "sum(r.f)");
CAPI_AGGREGATE(sum_if_decimal, "sum_if(r.d, r.a > 0)");
CAPI_AGGREGATE(max_string, "max(r.s)");
CAPI_AGGREGATE(sum_product, "sum(r.d * r.c)");

void BM_Finish(benchmark::State& state) {
  const std::vector<NamedColumn>& columns = Columns();
  const auto expression = test::CompileOver("avg(r.d)", columns, ContextKind::kGroup).ValueOrDie();
  const auto aggregator =
      Aggregator::Make(expression, test::VariablesOf(columns), Environment()).ValueOrDie();
  std::vector<int32_t> groups(kRows);
  for (int64_t i = 0; i < kRows; ++i) groups[i] = static_cast<int32_t>(i / 4);
  aggregator->Begin(groups.back() + 1);
  benchmark::DoNotOptimize(aggregator->Update(test::ArraysOf(columns), kRows, groups.data()));
  for (auto _ : state) benchmark::DoNotOptimize(aggregator->Finish());
  state.SetItemsProcessed(state.iterations() * kRows / 4);
}
BENCHMARK(BM_Finish);

}  // namespace
}  // namespace capi::expr
