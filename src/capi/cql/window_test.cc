#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "capi/cql/window_internal.h"

namespace capi::cql {
namespace {

/// A request that is admitted on a thread of its own.
class Waiting {
 public:
  Waiting(Window* window, int64_t bytes)
      : thread_([this, window, bytes] {
          window->Acquire(bytes);
          admitted_ = true;
        }) {}
  ~Waiting() { thread_.join(); }
  bool admitted() const { return admitted_; }
  void Await() const {
    while (!admitted_) std::this_thread::yield();
  }

 private:
  std::atomic<bool> admitted_{false};
  std::thread thread_;
};

TEST(WindowTest, BoundsRequests) {
  Window window(2, 1000);
  window.Acquire(1);
  window.Acquire(1);
  Waiting third(&window, 1);
  while (window.waiting() < 1) std::this_thread::yield();
  EXPECT_FALSE(third.admitted());
  EXPECT_EQ(window.in_flight(), 2);
  window.Release(1);
  third.Await();
  EXPECT_EQ(window.in_flight(), 2);
}

TEST(WindowTest, BoundsBytesAndLetsALargeRequestGoAlone) {
  Window window(100, 1000);
  window.Acquire(600);
  Waiting large(&window, 5000);
  while (window.waiting() < 1) std::this_thread::yield();
  // Small enough, but not before its turn.
  Waiting small(&window, 10);
  while (window.waiting() < 2) std::this_thread::yield();
  EXPECT_FALSE(large.admitted());
  EXPECT_FALSE(small.admitted());
  window.Release(600);
  large.Await();
  EXPECT_FALSE(small.admitted());
  window.Release(5000);
  small.Await();
  window.Release(10);
  EXPECT_EQ(window.in_flight(), 0);
}

TEST(WindowTest, ShrinksOncePerWindowAndGrowsBack) {
  Window window(64, 1000);
  const auto sent = Clock::now();
  window.Report(Window::Signal::kOverload, sent);
  EXPECT_EQ(window.size(), 32);
  // Sent before it shrank.
  window.Report(Window::Signal::kOverload, sent);
  EXPECT_EQ(window.size(), 32);
  window.Report(Window::Signal::kOverload, Clock::now());
  EXPECT_EQ(window.size(), 16);
  window.Report(Window::Signal::kSlow, Clock::now());
  EXPECT_EQ(window.size(), 14);
  // Not the window's limit: no reason to grow.
  for (int i = 0; i < 1000; ++i) window.Report(Window::Signal::kGood, Clock::now());
  EXPECT_EQ(window.size(), 14);
  for (int i = 0; i < 14; ++i) window.Acquire(1);
  for (int i = 0; i < 15; ++i) window.Report(Window::Signal::kGood, Clock::now());
  EXPECT_EQ(window.size(), 15);
}

TEST(WindowTest, HasLimits) {
  Window window(64, 1000);
  for (int i = 0; i < 20; ++i) window.Report(Window::Signal::kOverload, Clock::now());
  EXPECT_EQ(window.size(), 4);
  Window narrow(1, 1);
  narrow.Report(Window::Signal::kOverload, Clock::now());
  EXPECT_EQ(narrow.size(), 1);
  narrow.Acquire(1);
  for (int i = 0; i < 10; ++i) narrow.Report(Window::Signal::kGood, Clock::now());
  EXPECT_EQ(narrow.size(), 1);
  EXPECT_EQ(Window(0, 0).size(), 1);
}

TEST(WindowTest, ManyThreadsNeverExceedIt) {
  Window window(5, 100);
  std::atomic<int> inside{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 16; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        window.Acquire(1 + i % 30);
        if (++inside > 5) exceeded = true;
        --inside;
        window.Release(1 + i % 30);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(window.in_flight(), 0);
}

}  // namespace
}  // namespace capi::cql
