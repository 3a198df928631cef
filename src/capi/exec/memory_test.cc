#include "capi/exec/memory.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <utility>
#include <vector>

namespace capi::exec {
namespace {

TEST(MemoryBudgetTest, HoldsTheLimit) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.TryReserve(60));
  EXPECT_FALSE(budget.TryReserve(41));
  EXPECT_FALSE(budget.TryReserve(std::numeric_limits<int64_t>::max()));
  EXPECT_TRUE(budget.TryReserve(40));
  EXPECT_TRUE(budget.TryReserve(0));
  budget.Release(100);
  EXPECT_EQ(budget.reserved_bytes(), 0);
  EXPECT_EQ(budget.peak_bytes(), 100);
}

TEST(MemoryBudgetTest, ForceReserveGoesBeyondTheLimit) {
  MemoryBudget budget(100);
  budget.ForceReserve(150);
  EXPECT_EQ(budget.peak_bytes(), 150);
  EXPECT_FALSE(budget.TryReserve(1));
  EXPECT_TRUE(budget.TryReserve(0));
  budget.Release(150);
}

TEST(MemoryBudgetTest, ZeroOrLessMeansUnlimited) {
  for (const int64_t limit : {0, -1}) {
    MemoryBudget budget(limit);
    EXPECT_TRUE(budget.TryReserve(int64_t{1} << 50));
  }
}

TEST(MemoryBudgetTest, ManyThreads) {
  MemoryBudget budget(1000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        if (budget.TryReserve(300)) budget.Release(300);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.reserved_bytes(), 0);
  EXPECT_LE(budget.peak_bytes(), 1000);
  EXPECT_GE(budget.peak_bytes(), 300);
}

TEST(ReservationTest, GivesBackWhatItHolds) {
  MemoryBudget budget(100);
  {
    Reservation reservation(&budget);
    EXPECT_TRUE(reservation.TryGrow(70));
    EXPECT_FALSE(reservation.TryGrow(70));
    reservation.ForceGrow(70);
    reservation.Shrink(20);
    EXPECT_EQ(reservation.bytes(), 120);
    EXPECT_EQ(budget.reserved_bytes(), 120);
  }
  EXPECT_EQ(budget.reserved_bytes(), 0);
}

TEST(ReservationTest, MovesOwnership) {
  MemoryBudget budget(100);
  Reservation first(&budget);
  EXPECT_TRUE(first.TryGrow(30));
  Reservation second(std::move(first));
  EXPECT_EQ(first.bytes(), 0);
  EXPECT_EQ(second.bytes(), 30);
  Reservation third(&budget);
  EXPECT_TRUE(third.TryGrow(50));
  third = std::move(second);
  EXPECT_EQ(budget.reserved_bytes(), 30);
  third.Clear();
  EXPECT_EQ(budget.reserved_bytes(), 0);
}

TEST(ReservationTest, WithoutABudgetItOnlyCounts) {
  Reservation reservation;
  EXPECT_TRUE(reservation.TryGrow(5));
  EXPECT_EQ(reservation.bytes(), 5);
}

}  // namespace
}  // namespace capi::exec
