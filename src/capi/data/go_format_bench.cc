#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "capi/data/go_format.h"

namespace capi::data {
namespace {

constexpr int kValues = 4096;

std::vector<double> MakeFloats(bool few_decimals) {
  std::mt19937_64 random(1);
  std::vector<double> values(kValues);
  for (double& value : values) {
    value = static_cast<double>(random() % 10000000) / (few_decimals ? 100.0 : 317.0);
  }
  return values;
}

void PrintFloats(benchmark::State& state, const char* format_text, bool few_decimals) {
  const PrintFormat format = PrintFormat::Compile(format_text);
  const std::vector<double> values = MakeFloats(few_decimals);
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const double value : values) {
      format.PrintFloat(value, &out);
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}
BENCHMARK_CAPTURE(PrintFloats, fixed2, "%.2f", true);
BENCHMARK_CAPTURE(PrintFloats, fixed6, "%f", false);
BENCHMARK_CAPTURE(PrintFloats, shortest_money, "%v", true);
BENCHMARK_CAPTURE(PrintFloats, shortest_long, "%v", false);
BENCHMARK_CAPTURE(PrintFloats, padded, "%12.2f", true);
BENCHMARK_CAPTURE(PrintFloats, exponent, "%e", false);

void PrintInts(benchmark::State& state, const char* format_text) {
  const PrintFormat format = PrintFormat::Compile(format_text);
  std::mt19937_64 random(1);
  std::vector<int64_t> values(kValues);
  for (int64_t& value : values) {
    value = static_cast<int64_t>(random() % 10000000);
  }
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const int64_t value : values) {
      format.PrintInt(value, &out);
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}
BENCHMARK_CAPTURE(PrintInts, plain, "%d");
BENCHMARK_CAPTURE(PrintInts, padded, "%05d");

void PrintStrings(benchmark::State& state, const char* format_text) {
  const PrintFormat format = PrintFormat::Compile(format_text);
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (int i = 0; i < kValues; ++i) {
      format.PrintString("widget", &out);
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}
BENCHMARK_CAPTURE(PrintStrings, plain, "%s");
BENCHMARK_CAPTURE(PrintStrings, padded, "%10s");

void PrintManyArguments(benchmark::State& state) {
  const PrintFormat format = PrintFormat::Compile("%s-%05d:%.2f");
  const std::string name = "widget";
  const ValueView arguments[] = {std::string_view(name), int64_t{42}, 3.14159};
  std::string out;
  for (auto _ : state) {
    out.clear();
    format.Print(arguments, &out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(PrintManyArguments);

void ParseFloats(benchmark::State& state) {
  std::vector<std::string> texts;
  for (const double value : MakeFloats(true)) {
    texts.emplace_back();
    AppendFloatText(value, &texts.back());
  }
  for (auto _ : state) {
    double sum = 0;
    for (const std::string& text : texts) {
      sum += *ParseGoFloat(text);
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}
BENCHMARK(ParseFloats);

void ScanInts(benchmark::State& state) {
  const ScanFormat format = ScanFormat::Compile("$%d");
  for (auto _ : state) {
    bool left_over = false;
    benchmark::DoNotOptimize(*format.ScanInt("$12345", &left_over));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(ScanInts);

}  // namespace
}  // namespace capi::data
