// Codecs on the pieces of a real segment file.

#include <benchmark/benchmark.h>

#include <filesystem>
#include <string>

#include "capi/store/shared/piece_codec_internal.h"
#include "capi/store/store_bench_internal.h"

namespace capi::store {
namespace {

constexpr size_t kSampleBytes = size_t{64} << 20;

/// The beginning of a segment file with an index.
const std::string& Sample() {
  static const std::string sample = [] {
    const std::string directory = std::filesystem::temp_directory_path() /
                                  ("capi_codec_bench_" + std::to_string(Env::Default()->Random()));
    const auto store = Must(TableStore::Open(Env::Default(), directory));
    World& world = World::Get();
    auto writer =
        Must(store->NewWriter(world.context_, {1, "items"}, world.ItemSchema(true), 0, {}));
    for (size_t b = 0; b < 12; ++b) Must(writer->Put(world.items()[b]));
    Must(writer->Finish());
    std::string bytes;
    for (const auto& entry : std::filesystem::directory_iterator(directory + "/segments")) {
      bytes = Must(Env::Default()->ReadFile(entry.path())).substr(0, kSampleBytes);
    }
    std::filesystem::remove_all(directory);
    return bytes;
  }();
  return sample;
}

/// Arguments: codec, KiB of a piece.
void EncodePieces(benchmark::State& state) {
  const std::string& sample = Sample();
  const auto codec = static_cast<PieceCodec>(state.range(0));
  const auto size = static_cast<size_t>(state.range(1)) << 10;
  size_t stored = 0;
  for (auto _ : state) {
    stored = 0;
    for (size_t at = 0; at < sample.size(); at += size) {
      stored +=
          Must(EncodePiece({1, 2, 3}, 0, std::string_view(sample).substr(at, size), codec)).size();
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(sample.size()));
  state.counters["ratio"] = static_cast<double>(sample.size()) / static_cast<double>(stored);
}
BENCHMARK(EncodePieces)->ArgsProduct({{0, 1, 2}, {64, 256, 1024}})->Unit(benchmark::kMillisecond);

void DecodePieces(benchmark::State& state) {
  const std::string& sample = Sample();
  const auto codec = static_cast<PieceCodec>(state.range(0));
  const auto size = static_cast<size_t>(state.range(1)) << 10;
  std::vector<std::pair<std::string, int64_t>> pieces;
  for (size_t at = 0; at < sample.size(); at += size) {
    const std::string_view piece = std::string_view(sample).substr(at, size);
    pieces.emplace_back(Must(EncodePiece({1, 2, 3}, 0, piece, codec)),
                        static_cast<int64_t>(piece.size()));
  }
  for (auto _ : state) {
    for (const auto& [stored, plain] : pieces) {
      benchmark::DoNotOptimize(Must(DecodePiece({1, 2, 3}, 0, stored, plain)));
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(sample.size()));
}
BENCHMARK(DecodePieces)->ArgsProduct({{0, 1, 2}, {64, 256, 1024}})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace capi::store
