#include "capi/exec/ordered_pipeline.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace capi::exec {
namespace {

std::unique_ptr<TaskPool> MakePool(int num_threads) {
  return TaskPool::Make(num_threads).ValueOrDie();
}

/// Pseudo-random but fixed per item, so that runs differ only in timing.
void Delay(uint64_t seed, int64_t item) {
  std::minstd_rand random(static_cast<uint32_t>(seed * 1000003 + static_cast<uint64_t>(item)));
  random.discard(3);
  const auto choice = random() % 32;
  if (choice == 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100));
  } else if (choice < 8) {
    std::this_thread::yield();
  }
}

Status At(const char* stage, int64_t item) {
  return UserError("test", std::string(stage) + " " + std::to_string(item));
}

struct Scenario {
  int64_t num_items = 80;
  int window = 0;
  uint64_t seed = 0;
  std::set<int64_t> next_errors;
  std::set<int64_t> work_errors;
  std::set<int64_t> emit_errors;
};

struct Outcome {
  Status status;
  std::vector<int64_t> emitted;
  int64_t max_in_flight = 0;
};

Outcome RunScenario(TaskPool* pool, const Scenario& scenario, const CancelToken& cancel = {}) {
  Outcome outcome;
  int64_t taken = 0;
  std::atomic<int64_t> in_flight{0};
  std::atomic<int> in_next{0};
  std::atomic<int> in_emit{0};
  outcome.status = OrderedPipeline<int64_t, std::unique_ptr<int64_t>>(
      pool, cancel, scenario.window,
      [&]() -> Result<std::optional<int64_t>> {
        EXPECT_EQ(in_next.fetch_add(1), 0);
        Delay(scenario.seed, -taken);
        const int64_t item = taken;
        const bool fails = scenario.next_errors.count(item) > 0;
        if (item < scenario.num_items) ++taken;
        EXPECT_EQ(in_next.fetch_sub(1), 1);
        if (fails) return At("next", item);
        if (item == scenario.num_items) return std::nullopt;
        ++in_flight;
        return item;
      },
      [&](int64_t item) -> Result<std::unique_ptr<int64_t>> {
        Delay(scenario.seed + 1, item);
        if (scenario.work_errors.count(item) > 0) return At("work", item);
        return std::make_unique<int64_t>(item);
      },
      [&](std::unique_ptr<int64_t> item) -> Status {
        EXPECT_EQ(in_emit.fetch_add(1), 0);
        outcome.max_in_flight = std::max(outcome.max_in_flight, in_flight.load());
        Delay(scenario.seed + 2, *item);
        const bool fails = scenario.emit_errors.count(*item) > 0;
        if (!fails) outcome.emitted.push_back(*item);
        --in_flight;
        EXPECT_EQ(in_emit.fetch_sub(1), 1);
        return fails ? At("emit", *item) : Status::OK();
      });
  return outcome;
}

std::vector<int64_t> UpTo(int64_t end) {
  std::vector<int64_t> items;
  for (int64_t i = 0; i < end; ++i) items.push_back(i);
  return items;
}

class OrderedPipelineThreads : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, OrderedPipelineThreads, testing::Values(1, 2, 7));

TEST_P(OrderedPipelineThreads, EmitsAllItemsInOrder) {
  const auto pool = MakePool(GetParam());
  for (const int window : {0, 1, 2, 3, 50}) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      Scenario scenario;
      scenario.window = window;
      scenario.seed = seed;
      const Outcome outcome = RunScenario(pool.get(), scenario);
      ASSERT_TRUE(outcome.status.ok()) << outcome.status;
      EXPECT_EQ(outcome.emitted, UpTo(scenario.num_items));
      EXPECT_LE(outcome.max_in_flight, window > 0 ? window : 2 * GetParam() + 1);
    }
  }
}

TEST_P(OrderedPipelineThreads, SourceWithoutItems) {
  const auto pool = MakePool(GetParam());
  Scenario scenario;
  scenario.num_items = 0;
  EXPECT_TRUE(RunScenario(pool.get(), scenario).status.ok());
}

TEST_P(OrderedPipelineThreads, ReportsTheErrorOfTheSmallestSequenceNumber) {
  const auto pool = MakePool(GetParam());
  std::minstd_rand random(42);
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Scenario scenario;
    scenario.seed = seed;
    scenario.num_items = 60;
    scenario.window = static_cast<int>(random() % 9);
    for (int i = 0; i < 3; ++i) {
      std::set<int64_t>* stages[] = {&scenario.next_errors, &scenario.work_errors,
                                     &scenario.emit_errors};
      stages[random() % 3]->insert(static_cast<int64_t>(random() % 60));
    }
    int64_t smallest = scenario.num_items;
    const char* stage = "";
    for (const auto& [name, errors] :
         {std::pair("next", &scenario.next_errors), std::pair("work", &scenario.work_errors),
          std::pair("emit", &scenario.emit_errors)}) {
      if (!errors->empty() && *errors->begin() < smallest) {
        smallest = *errors->begin();
        stage = name;
      }
    }
    const Outcome outcome = RunScenario(pool.get(), scenario);
    EXPECT_EQ(outcome.status.message(), std::string(stage) + " " + std::to_string(smallest))
        << "seed " << seed;
    EXPECT_EQ(outcome.emitted, UpTo(smallest)) << "seed " << seed;
  }
}

TEST_P(OrderedPipelineThreads, NestedInsidePoolTasksOfASaturatedPool) {
  std::atomic<int> done{0};
  std::atomic<int> failed{0};
  const auto pool = MakePool(GetParam());
  constexpr int kTasks = 12;
  for (int task = 0; task < kTasks; ++task) {
    pool->Submit(Priority::kBatch, [&, task] {
      int64_t next_item = 0;
      int64_t expected = 0;
      const Status status = OrderedPipeline<int64_t, int64_t>(
          pool.get(), CancelToken(), 3,
          [&]() -> Result<std::optional<int64_t>> {
            if (next_item == 10) return std::nullopt;
            return next_item++;
          },
          [&](int64_t item) -> Result<int64_t> {
            Scenario inner;
            inner.num_items = 10;
            inner.seed = static_cast<uint64_t>(task * 100 + item);
            const Outcome outcome = RunScenario(pool.get(), inner);
            CAPI_RETURN_NOT_OK(outcome.status);
            return item + static_cast<int64_t>(outcome.emitted.size());
          },
          [&](int64_t value) -> Status {
            return value == expected++ + 10 ? Status::OK() : BugError("wrong order");
          });
      if (!status.ok()) ++failed;
      ++done;
    });
  }
  while (done < kTasks) std::this_thread::yield();
  EXPECT_EQ(failed, 0);
}

TEST_P(OrderedPipelineThreads, CancelledBeforeItBegins) {
  const auto pool = MakePool(GetParam());
  CancelToken cancel;
  cancel.Cancel(CancelledError("stopped by user"));
  const Outcome outcome = RunScenario(pool.get(), Scenario{}, cancel);
  EXPECT_EQ(outcome.status.message(), "stopped by user");
  EXPECT_EQ(KindOf(outcome.status), ErrorKind::kCancelled);
  EXPECT_TRUE(outcome.emitted.empty());
}

TEST_P(OrderedPipelineThreads, CancelledUnderWay) {
  const auto pool = MakePool(GetParam());
  const CancelToken cancel;
  int64_t taken = 0;
  int64_t emitted = 0;
  const Status status = OrderedPipeline<int64_t, int64_t>(
      pool.get(), cancel, 4, [&]() -> Result<std::optional<int64_t>> { return taken++; },
      [&](int64_t item) -> Result<int64_t> {
        if (item == 20) cancel.Cancel(CancelledError("drain"));
        return item;
      },
      [&](int64_t) {
        ++emitted;
        return Status::OK();
      });
  EXPECT_EQ(status.message(), "drain");
  EXPECT_LE(emitted, 21);
  EXPECT_LE(taken, 25);
}

TEST_P(OrderedPipelineThreads, DropsUnemittedResultsBeforeItReturns) {
  const auto pool = MakePool(GetParam());
  for (int round = 0; round < 20; ++round) {
    // Results refer to a variable of the caller, as reservations refer to their budget.
    std::atomic<int> alive{0};
    struct Counted {
      explicit Counted(std::atomic<int>* counter) : count(counter) { ++*count; }
      Counted(Counted&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
      Counted& operator=(Counted&&) = delete;
      ~Counted() {
        if (count != nullptr) --*count;
      }
      std::atomic<int>* count;
    };
    int64_t taken = 0;
    const Status status = OrderedPipeline<int64_t, Counted>(
        pool.get(), CancelToken(), 8, [&]() -> Result<std::optional<int64_t>> { return taken++; },
        [&](int64_t item) -> Result<Counted> {
          if (item == 5) {
            std::this_thread::yield();
            return At("work", item);
          }
          return Counted(&alive);
        },
        [&](Counted) { return Status::OK(); });
    EXPECT_EQ(status.message(), "work 5");
    EXPECT_EQ(alive, 0);
  }
}

TEST(OrderedPipelineTest, WorksWithoutAPool) {
  const Outcome outcome = RunScenario(nullptr, Scenario{});
  EXPECT_TRUE(outcome.status.ok());
  EXPECT_EQ(outcome.emitted, UpTo(Scenario{}.num_items));
}

TEST(OrderedPipelineTest, DoesNotNeedItsHelpers) {
  std::atomic<bool> release{false};
  std::atomic<int> blocked{0};
  const auto pool = MakePool(2);
  for (int i = 0; i < 2; ++i) {
    pool->Submit(Priority::kBatch, [&] {
      ++blocked;
      while (!release) std::this_thread::yield();
    });
  }
  while (blocked < 2) std::this_thread::yield();
  const Outcome outcome = RunScenario(pool.get(), Scenario{});
  EXPECT_EQ(outcome.emitted, UpTo(Scenario{}.num_items));
  // The helpers of the ended pipeline start now and must do nothing.
  release = true;
}

TEST(OrderedPipelineTest, UsesAllThreads) {
  const auto pool = MakePool(3);
  std::atomic<int> inside{0};
  int64_t taken = 0;
  // Each item waits until three of them are worked at the same time.
  const Status status = OrderedPipeline<int64_t, int64_t>(
      pool.get(), CancelToken(), 3,
      [&]() -> Result<std::optional<int64_t>> {
        if (taken == 3) return std::nullopt;
        return taken++;
      },
      [&](int64_t item) -> Result<int64_t> {
        ++inside;
        while (inside < 3) std::this_thread::yield();
        return item;
      },
      [](int64_t) { return Status::OK(); });
  EXPECT_TRUE(status.ok());
}

}  // namespace
}  // namespace capi::exec
