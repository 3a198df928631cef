#include "capi/service/run_problems.h"

#include <gtest/gtest.h>

#include "capi/base/test_directory.h"
#include "capi/state/sqlite/sqlite_store.h"

namespace capi::service {
namespace {

constexpr int64_t kSecond = 1000000000;

workflow::RunSnapshot SnapshotOf(int64_t batches_done, state::NodeStatus status) {
  workflow::NodeSnapshot node;
  node.name = "read";
  node.batches_done = batches_done;
  node.status = status;
  workflow::RunSnapshot snapshot;
  snapshot.run_id = 3;
  snapshot.nodes = {node};
  return snapshot;
}
const workflow::RunSnapshot kNotBegun = SnapshotOf(0, state::NodeStatus::kNone);
const workflow::RunSnapshot kBegun = SnapshotOf(2, state::NodeStatus::kStart);

state::OwnerRecord Owner(int64_t id, const std::string& instance,
                         std::map<int64_t, std::string> problems) {
  return {id, instance, 0, std::move(problems)};
}

TEST(RunProblemsTest, ProcessesWithOneReasonAreToldTogether) {
  const std::vector<state::OwnerRecord> owners = {
      Owner(1, "a/1", {{3, "no script"}}), Owner(2, "b/2", {{4, "other run"}}),
      Owner(5, "c/3", {{3, "no script"}, {4, "x"}}), Owner(6, "d/4", {{3, "bad script"}})};
  EXPECT_EQ(ProblemsOf(owners, 3),
            (std::vector<std::string>{"bad script (d/4)", "no script (a/1, c/3)"}));
  EXPECT_TRUE(ProblemsOf(owners, 1).empty());
  EXPECT_TRUE(ProblemsOf({}, 3).empty());
}

TEST(RunProblemsTest, ReasonsTellWhetherAnyProcessIsLeft) {
  EXPECT_EQ(StandstillReason({}, kNotBegun),
            "no daemon has begun with the run yet; capi daemon executes runs");
  EXPECT_EQ(StandstillReason({Owner(1, "a/1", {{4, "other run"}})}, kBegun), "");
  EXPECT_EQ(StandstillReason({Owner(1, "a/1", {{3, "no script"}})}, kNotBegun),
            "no daemon can go on with the run now: no script (a/1)");
  EXPECT_EQ(StandstillReason({Owner(1, "a/1", {{3, "no script"}}), Owner(2, "b/2", {}),
                              Owner(5, "c/3", {{3, "bad script"}})},
                             kBegun),
            "2 of 3 daemons cannot go on with the run now: bad script (c/3); no script (a/1)");
}

TEST(RunProblemsTest, AWatchIsPatientAndTellsOnceUntilTheRunGoesOn) {
  const TestDirectory directory(testing::TempDir());
  state::SqliteOptions options;
  options.path = directory / "state.db";
  const auto state = state::OpenSqliteStore(Env::Default(), options).ValueOrDie();
  StandstillWatch watch(state.get(), 100 * kSecond);
  const auto look = [&](const workflow::RunSnapshot& snapshot, int64_t second) {
    return watch.Look(snapshot, second * kSecond).ValueOrDie();
  };
  EXPECT_EQ(look(kNotBegun, 101), "");
  EXPECT_EQ(look(kNotBegun, 114), "");
  EXPECT_NE(look(kNotBegun, 115), "");
  EXPECT_EQ(look(kNotBegun, 121), "");  // told
  EXPECT_EQ(look(kBegun, 122), "");
  // It began anew, as after a change of the script.
  EXPECT_EQ(look(kNotBegun, 130), "");
  EXPECT_EQ(look(kNotBegun, 144), "");
  EXPECT_NE(look(kNotBegun, 145), "");
}

}  // namespace
}  // namespace capi::service
