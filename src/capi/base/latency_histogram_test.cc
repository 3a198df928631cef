#include "capi/base/latency_histogram.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace capi {
namespace {

TEST(LatencyHistogramTest, ABoundBelongsToItsBucket) {
  LatencyHistogram histogram;
  histogram.Add(0);
  histogram.Add(1000000);  // 1 ms, the first bound
  histogram.Add(1000001);
  histogram.Add(int64_t{300} * 1000000000);
  histogram.Add(int64_t{301} * 1000000000);
  const LatencyHistogram::Snapshot snapshot = histogram.snapshot();
  EXPECT_EQ(snapshot.buckets[0], 2);
  EXPECT_EQ(snapshot.buckets[1], 1);
  EXPECT_EQ(snapshot.buckets[LatencyHistogram::kBounds.size() - 1], 1);
  EXPECT_EQ(snapshot.buckets[LatencyHistogram::kBounds.size()], 1);
  EXPECT_EQ(snapshot.count, 5);
  EXPECT_NEAR(snapshot.seconds, 601.002, 0.001);
}

TEST(LatencyHistogramTest, CountsOfSeveralThreadsAddUp) {
  LatencyHistogram histogram;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&histogram] {
      for (int n = 0; n < 10000; ++n) histogram.Add(5000000);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.snapshot().count, 40000);
  EXPECT_EQ(histogram.snapshot().buckets[2], 40000);
}

}  // namespace
}  // namespace capi
