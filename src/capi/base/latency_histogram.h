#pragma once

// How long things take, counted for metrics: two additions each.

#include <array>
#include <atomic>
#include <cstdint>

namespace capi {

/// Thread-safe.
class LatencyHistogram {
 public:
  /// Upper bounds in seconds; the last bucket has none.
  static constexpr std::array<double, 12> kBounds = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3,
                                                     1,     3,     10,   30,   100, 300};
  void Add(int64_t nanos);

  struct Snapshot {
    std::array<int64_t, kBounds.size() + 1> buckets{};  ///< not cumulative
    int64_t count = 0;                                  ///< their sum
    double seconds = 0;
  };
  Snapshot snapshot() const;

 private:
  std::array<std::atomic<int64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<int64_t> nanos_{0};
};

}  // namespace capi
