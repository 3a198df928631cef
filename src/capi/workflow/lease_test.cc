#include "capi/workflow/lease.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "capi/state/sqlite/sqlite_store.h"
#include "capi/workflow/keyspace_lock.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::workflow {
namespace {

/// An Env whose monotonic clock is set by the test.
class LeaseTest : public testing::Test {
 protected:
  void SetUp() override {
    state::SqliteOptions options;
    options.path = directory_.Path("state.db");
    state_ = state::OpenSqliteStore(Env::Default(), options).ValueOrDie();
  }
  TestFiles directory_;
  std::unique_ptr<state::StateStore> state_;
};

TEST_F(LeaseTest, AKeeperRenews) {
  ExecutionCounters counters;
  auto keeper = LeaseKeeper::Start(
                    Env::Default(), state_.get(), 15, [](const Status&) {}, &counters)
                    .ValueOrDie();
  EXPECT_GT(keeper->owner(), 0);
  for (int i = 0; i < 200 && state_->Owners()->at(0).renewals < 2; ++i) {
    Env::Default()->SleepMillis(5);
  }
  EXPECT_GE(state_->Owners()->at(0).renewals, 2);
  ASSERT_TRUE(keeper->Close().ok());
  EXPECT_GE(counters.lease_renewals, 2);
  EXPECT_TRUE(state_->Owners()->empty());
}

TEST_F(LeaseTest, AKeeperIsToldThatItLostItsLease) {
  std::atomic<bool> lost{false};
  auto keeper = LeaseKeeper::Start(Env::Default(), state_.get(), 15, [&](const Status& reason) {
                  EXPECT_EQ(KindOf(reason), ErrorKind::kCancelled);
                  lost = true;
                }).ValueOrDie();
  for (int i = 0; i < 200 && !lost; ++i) {
    ASSERT_TRUE(state_->Owners().ok());
    for (const auto& owner : *state_->Owners()) {
      ASSERT_TRUE(state_->ExpireOwner(owner.owner, owner.renewals).ok());
    }
    Env::Default()->SleepMillis(5);
  }
  EXPECT_TRUE(lost);
  EXPECT_TRUE(keeper->Close().ok());
}

TEST_F(LeaseTest, AWatcherExpiresOnlyAfterALeaseTimeWithoutRenewal) {
  constexpr state::OwnerId kSelf = 1;
  constexpr state::OwnerId kOther = 2;
  ASSERT_TRUE(state_->RegisterOwner({kSelf, "self", 0, {}}).ok());
  ASSERT_TRUE(state_->RegisterOwner({kOther, "other", 0, {}}).ok());
  LeaseWatcher watcher(Env::Default(), state_.get(), kSelf, 30);
  EXPECT_EQ(watcher.Observe().ValueOrDie(), 0);
  EXPECT_EQ(state_->Owners()->size(), 2u);
  Env::Default()->SleepMillis(40);
  ASSERT_TRUE(state_->RenewOwner(kOther, {}).ValueOrDie());
  EXPECT_EQ(watcher.Observe().ValueOrDie(), 0);
  EXPECT_EQ(state_->Owners()->size(), 2u);
  Env::Default()->SleepMillis(40);
  EXPECT_EQ(watcher.Observe().ValueOrDie(), 0);  // no claims
  ASSERT_EQ(state_->Owners()->size(), 1u);
  EXPECT_EQ(state_->Owners()->at(0).owner, kSelf);
}

TEST(KeyspaceLockTest, SecondHolderIsRefusedAndNamesTheFirst) {
  const TestFiles directory;
  EXPECT_FALSE(KeyspaceLock::IsHeld(directory.Path()).ValueOrDie());
  {
    const auto lock = KeyspaceLock::Acquire(directory.Path()).ValueOrDie();
    EXPECT_TRUE(KeyspaceLock::IsHeld(directory.Path()).ValueOrDie());
    const Status second = KeyspaceLock::Acquire(directory.Path()).status();
    EXPECT_EQ(InfoOf(second).error_class, "keyspace_in_use");
    EXPECT_NE(second.message().find(ProcessInstance()), std::string::npos);
  }
  EXPECT_FALSE(KeyspaceLock::IsHeld(directory.Path()).ValueOrDie());
  EXPECT_TRUE(KeyspaceLock::Acquire(directory.Path()).ok());
}

TEST(KeyspaceLockTest, AMissingDirectoryIsAnEnvironmentError) {
  const TestFiles directory;
  EXPECT_EQ(KindOf(KeyspaceLock::Acquire(directory.Path("missing")).status()),
            ErrorKind::kEnvironment);
}

}  // namespace
}  // namespace capi::workflow
