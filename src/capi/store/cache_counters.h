#pragma once

// What the caches of shared table stores of this process do, for metrics.

#include <atomic>
#include <cstdint>

namespace capi::store {

/// Thread-safe.
struct CacheCounters {
  /// Reads (of a column of a chunk, of a part of an index) that found everything on this machine.
  std::atomic<int64_t> hits{0};
  std::atomic<int64_t> misses{0};  ///< those that had to wait for the cluster
  std::atomic<int64_t> bytes{0};   ///< in the caches now
};

}  // namespace capi::store
