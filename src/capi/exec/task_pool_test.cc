#include "capi/exec/task_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace capi::exec {
namespace {

TEST(TaskPoolTest, RefusesLessThanOneThread) {
  for (const int threads : {0, -1}) {
    const auto pool = TaskPool::Make(threads);
    ASSERT_FALSE(pool.ok());
    EXPECT_EQ(KindOf(pool.status()), ErrorKind::kUser);
  }
}

TEST(TaskPoolTest, HelpersComeBeforeBatchesAndEachClassInOrder) {
  std::promise<void> gate;
  std::string order;
  auto pool = TaskPool::Make(1).ValueOrDie();
  pool->Submit(Priority::kBatch, [&] { gate.get_future().wait(); });
  for (const char name : {'a', 'b', 'c'}) {
    pool->Submit(Priority::kBatch, [&order, name] { order += name; });
  }
  for (const char name : {'1', '2'}) {
    pool->Submit(Priority::kHelper, [&order, name] { order += name; });
  }
  gate.set_value();
  pool.reset();
  EXPECT_EQ(order, "12abc");
}

TEST(TaskPoolTest, RunsEverythingSubmittedBeforeItEnds) {
  std::atomic<int> runs{0};
  auto pool = TaskPool::Make(3).ValueOrDie();
  for (int i = 0; i < 500; ++i) {
    pool->Submit(Priority::kBatch, [&] {
      ++runs;
      pool->Submit(Priority::kHelper, [&] { ++runs; });
    });
  }
  while (runs < 1000) std::this_thread::yield();
  pool.reset();
  EXPECT_EQ(runs, 1000);
}

TEST(TaskPoolTest, KnowsItsIdleThreads) {
  std::promise<void> gate;
  auto pool = TaskPool::Make(2).ValueOrDie();
  EXPECT_EQ(pool->num_threads(), 2);
  while (pool->idle_threads() != 2) std::this_thread::yield();
  pool->Submit(Priority::kBatch, [&] { gate.get_future().wait(); });
  while (pool->idle_threads() != 1) std::this_thread::yield();
  gate.set_value();
}

class ParallelForThreads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ParallelForThreads, testing::Values(1, 2, 7));

TEST_P(ParallelForThreads, CallsTheBodyOncePerIndex) {
  const auto pool = TaskPool::Make(GetParam()).ValueOrDie();
  for (const int64_t n : {0, 1, 2, 1000}) {
    std::vector<std::atomic<int>> calls(static_cast<size_t>(n));
    const Status status = ParallelFor(pool.get(), n, [&](int64_t i) {
      ++calls[static_cast<size_t>(i)];
      return Status::OK();
    });
    EXPECT_TRUE(status.ok());
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
}

TEST_P(ParallelForThreads, ReturnsTheErrorOfTheSmallestIndex) {
  const auto pool = TaskPool::Make(GetParam()).ValueOrDie();
  for (int round = 0; round < 50; ++round) {
    const Status status = ParallelFor(pool.get(), 100, [&](int64_t i) {
      if (i == 17 || i == 18 || i == 60) {
        if (i == 17) std::this_thread::yield();
        return UserError("test", std::to_string(i));
      }
      return Status::OK();
    });
    EXPECT_EQ(status.message(), "17");
  }
}

TEST_P(ParallelForThreads, WorksInsidePoolTasks) {
  const auto pool = TaskPool::Make(GetParam()).ValueOrDie();
  std::atomic<int64_t> sum{0};
  const Status status = ParallelFor(pool.get(), 20, [&](int64_t) {
    return ParallelFor(pool.get(), 20, [&](int64_t i) {
      sum += i;
      return Status::OK();
    });
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(sum, 20 * 190);
}

TEST(ParallelForTest, WorksWithoutAPool) {
  int64_t sum = 0;
  EXPECT_TRUE(ParallelFor(nullptr, 4, [&](int64_t i) {
                sum += i;
                return Status::OK();
              }).ok());
  EXPECT_EQ(sum, 6);
}

}  // namespace
}  // namespace capi::exec
