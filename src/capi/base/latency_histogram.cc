#include "capi/base/latency_histogram.h"

#include <algorithm>
#include <cstddef>

namespace capi {

namespace {

constexpr double kNanosPerSecond = 1e9;

}  // namespace

void LatencyHistogram::Add(int64_t nanos) {
  const double seconds = static_cast<double>(nanos) / kNanosPerSecond;
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  buckets_[static_cast<size_t>(bound - kBounds.begin())].fetch_add(1, std::memory_order_relaxed);
  nanos_.fetch_add(nanos, std::memory_order_relaxed);
}

LatencyHistogram::Snapshot LatencyHistogram::snapshot() const {
  Snapshot snapshot;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    snapshot.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
    snapshot.count += snapshot.buckets[i];
  }
  snapshot.seconds = static_cast<double>(nanos_.load(std::memory_order_relaxed)) / kNanosPerSecond;
  return snapshot;
}

}  // namespace capi
