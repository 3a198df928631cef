#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "capi/data/datetime.h"

namespace capi::data {
namespace {

constexpr int kValues = 4096;
constexpr const char* kLayouts[] = {"2006-01-02 15:04:05", "2006-01-02T15:04:05.000", "2006-01-02",
                                    "Jan _2 2006 3:04PM"};

std::vector<int64_t> MakeMillis() {
  std::mt19937_64 random(1);
  std::vector<int64_t> values(kValues);
  for (int64_t& value : values) {
    value = static_cast<int64_t>(random() % 1700000000000);
  }
  return values;
}

void ParseMillis(benchmark::State& state) {
  const TimeLayout layout = TimeLayout::Compile(kLayouts[state.range(0)]);
  std::string bytes;
  std::vector<size_t> ends;
  for (const int64_t value : MakeMillis()) {
    layout.FormatMillis(value, &bytes);
    ends.push_back(bytes.size());
    bytes.push_back(',');
  }
  for (auto _ : state) {
    const char* begin = bytes.data();
    int64_t sum = 0;
    for (const size_t end : ends) {
      int64_t millis = 0;
      if (!layout.TryParseMillis(begin, bytes.data() + end, &millis)) {
        millis =
            layout.Parse(std::string_view(begin, static_cast<size_t>(bytes.data() + end - begin)))
                ->ToMillisFloor();
      }
      sum += millis;
      begin = bytes.data() + end + 1;
    }
    benchmark::DoNotOptimize(sum);
  }
  state.SetItemsProcessed(state.iterations() * kValues);
  state.SetLabel(layout.text());
}
BENCHMARK(ParseMillis)->DenseRange(0, 3);

void FormatMillis(benchmark::State& state) {
  const TimeLayout layout = TimeLayout::Compile(kLayouts[state.range(0)]);
  const std::vector<int64_t> values = MakeMillis();
  std::string out;
  for (auto _ : state) {
    out.clear();
    for (const int64_t value : values) {
      layout.FormatMillis(value, &out);
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * kValues);
  state.SetLabel(layout.text());
}
BENCHMARK(FormatMillis)->DenseRange(0, 3);

void Civil(benchmark::State& state) {
  int64_t days = 0;
  for (auto _ : state) {
    int64_t year = 0;
    int month = 0;
    int day = 0;
    CivilFromDays(days % 40000, &year, &month, &day);
    days += DaysFromCivil(year, month, day) + 1;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Civil);

}  // namespace
}  // namespace capi::data
