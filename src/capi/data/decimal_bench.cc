#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "capi/data/decimal.h"

namespace capi::data {
namespace {

constexpr int kValues = 4096;

/// Texts of amounts in one buffer, as a CSV block has them.
struct Texts {
  std::string bytes;
  std::vector<size_t> ends;
};

Texts MakeTexts(int64_t limit) {
  std::mt19937_64 random(1);
  Texts texts;
  for (int i = 0; i < kValues; ++i) {
    char buffer[48];
    const auto value = static_cast<int64_t>(random() % static_cast<uint64_t>(limit));
    texts.bytes.append(buffer, static_cast<size_t>(FormatHundredths(value, buffer)));
    texts.ends.push_back(texts.bytes.size());
    texts.bytes.push_back(',');
  }
  return texts;
}

void ParseHundredthsFast(benchmark::State& state) {
  const Texts texts = MakeTexts(state.range(0));
  for (auto _ : state) {
    const char* begin = texts.bytes.data();
    int64_t sum = 0;
    for (const size_t end : texts.ends) {
      int64_t value = 0;
      benchmark::DoNotOptimize(TryParseHundredths(begin, texts.bytes.data() + end, &value));
      sum += value;
      begin = texts.bytes.data() + end + 1;
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}
BENCHMARK(ParseHundredthsFast)->Arg(100000)->Arg(100000000)->Arg(1000000000000);

void FormatHundredthsNarrow(benchmark::State& state) {
  std::mt19937_64 random(1);
  std::vector<int64_t> values(kValues);
  for (int64_t& value : values) {
    value = static_cast<int64_t>(random() % static_cast<uint64_t>(state.range(0)));
  }
  std::vector<char> out(kValues * 48);
  for (auto _ : state) {
    char* position = out.data();
    for (const int64_t value : values) {
      position += FormatHundredths(value, position);
    }
    benchmark::DoNotOptimize(position);
  }
  state.SetItemsProcessed(state.iterations() * kValues);
}
BENCHMARK(FormatHundredthsNarrow)->Arg(100000)->Arg(100000000);

void BigMultiplyRound(benchmark::State& state) {
  const BigDecimal left = *BigDecimal::Parse("1234567.89");
  const BigDecimal right = *BigDecimal::Parse("0.0825");
  for (auto _ : state) {
    benchmark::DoNotOptimize(left.Multiply(right)->Round(2));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BigMultiplyRound);

void BigDivide(benchmark::State& state) {
  const BigDecimal left = *BigDecimal::Parse("1234567.89");
  const BigDecimal right = *BigDecimal::Parse("3.07");
  for (auto _ : state) {
    benchmark::DoNotOptimize(left.Divide(right));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BigDivide);

}  // namespace
}  // namespace capi::data
