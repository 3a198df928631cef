#include "capi/state/sqlite/fault_vfs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "capi/base/test_directory.h"
#include "capi/state/sqlite/connection.h"
#include "capi/state/sqlite/sqlite_store.h"

namespace capi::state {
namespace {

constexpr uint64_t kSeeds = 400;

/// A store in a world of its own that loses its power again and again.
class CrashingStore {
 public:
  explicit CrashingStore(uint64_t seed)
      : directory_(MemoryDirectoryOr(testing::TempDir())), random_(seed) {
    env_ = FaultEnv::Make(Env::Default(), directory_ / "root", seed).ValueOrDie();
    vfs_ = FaultVfs::Register(env_.get(), directory_.path()).ValueOrDie();
  }

  uint64_t Below(uint64_t end) { return random_() % end; }
  FaultEnv* env() { return env_.get(); }
  std::string Path() const { return directory_ / "root/state.db"; }

  Result<std::unique_ptr<StateStore>> Open() {
    return OpenSqliteStore(env_.get(), {Path(), vfs_->name(), /*read_only=*/false});
  }
  Result<std::unique_ptr<Connection>> OpenConnection() {
    return Connection::Open({Path(), vfs_->name(), /*read_only=*/false});
  }

  /// Commits runs, syncs now and then, and has the log copied into the database, until something
  /// fails. Keeps count of what must have become durable.
  Status Work() {
    CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<StateStore> store, Open());
    CAPI_RETURN_NOT_OK(Look(store.get()));
    if (Below(3) == 0) CAPI_RETURN_NOT_OK(SyncSeen(store.get()));
    for (int i = 0; i < 12; ++i) {
      RunRecord run;
      run.script_hash = std::string(Below(6000), 'x');  // some are longer than a page
      ++begun_;
      CAPI_ASSIGN_OR_RETURN(const int64_t run_id, store->CreateRun(run, {}));
      EXPECT_LE(run_id, begun_);
      seen_ = run_id;
      if (Below(4) == 0) CAPI_RETURN_NOT_OK(SyncSeen(store.get()));
      if (Below(6) == 0) {
        CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> other, OpenConnection());
        CAPI_ASSIGN_OR_RETURN(Query query,
                              other->Select(Below(2) == 0 ? "PRAGMA wal_checkpoint(RESTART)"
                                                          : "PRAGMA wal_checkpoint(TRUNCATE)"));
        CAPI_RETURN_NOT_OK(query.Step().status());
      }
    }
    return SyncSeen(store.get());
  }

  Status SyncSeen(StateStore* store) {
    const int64_t covered = seen_;
    CAPI_RETURN_NOT_OK(store->Sync());
    durable_ = std::max(durable_, covered);
    return Status::OK();
  }

  /// What is there is a prefix of the commits and holds all that was synced.
  Status Look(StateStore* store) {
    CAPI_ASSIGN_OR_RETURN(const std::vector<RunRecord> runs, store->Runs());
    for (size_t i = 0; i < runs.size(); ++i) {
      EXPECT_EQ(runs[i].run_id, static_cast<int64_t>(i) + 1);
    }
    seen_ = static_cast<int64_t>(runs.size());
    EXPECT_GE(seen_, durable_);
    EXPECT_LE(seen_, begun_);
    begun_ = seen_;
    return Status::OK();
  }

  void CheckIntegrity() {
    const auto connection = OpenConnection().ValueOrDie();
    Query query = connection->Select("PRAGMA integrity_check").ValueOrDie();
    ASSERT_TRUE(query.Step().ok());
    EXPECT_EQ(query.Text(0), "ok");
  }

 private:
  const TestDirectory directory_;
  std::mt19937_64 random_;
  std::unique_ptr<FaultEnv> env_;
  std::unique_ptr<FaultVfs> vfs_;
  int64_t begun_ = 0;    ///< commits that were tried and not taken back since
  int64_t seen_ = 0;     ///< commits that succeeded or were read
  int64_t durable_ = 0;  ///< of them known to be durable
};

TEST(FaultVfsTest, SyncedCommitsSurviveEveryCrashAndUnsyncedOnesAreLostFromTheEnd) {
  for (uint64_t seed = 0; seed < kSeeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    CrashingStore world(seed);
    for (int life = 0; life < 4; ++life) {
      // The creation of the database is as interesting as all that follows.
      world.env()->StopAfter(static_cast<int64_t>(world.Below(world.Below(2) == 0 ? 12 : 200)));
      const Status status = world.Work();
      EXPECT_TRUE(status.ok() || KindOf(status) == ErrorKind::kEnvironment) << Describe(status);
      world.env()->StopAfter(-1);
      // A killed process leaves what it wrote; a power cut does not.
      if (world.Below(3) != 0) {
        ASSERT_TRUE(world.env()->Crash(seed * 10 + static_cast<uint64_t>(life)).ok());
      }
    }
    const Status status = world.Work();
    ASSERT_TRUE(status.ok()) << Describe(status);
    ASSERT_TRUE(world.env()->Crash(seed).ok());
    const auto store = world.Open().ValueOrDie();
    ASSERT_TRUE(world.Look(store.get()).ok());
    world.CheckIntegrity();
  }
}

TEST(FaultVfsTest, ACreationThatWasKilledAnywhereIsFinishedDurably) {
  constexpr int64_t kMoreThanACreation = 20;
  for (int64_t stop = 0; stop < kMoreThanACreation; ++stop) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      CrashingStore world(seed);
      world.env()->StopAfter(stop);
      (void)world.Open();
      world.env()->StopAfter(-1);
      {
        const auto store = world.Open().ValueOrDie();
        ASSERT_TRUE(store->CreateRun({}, {}).ok());
        ASSERT_TRUE(store->Sync().ok());
      }
      ASSERT_TRUE(world.env()->Crash(seed).ok());
      const auto store = world.Open().ValueOrDie();
      EXPECT_EQ(store->Runs().ValueOrDie().size(), 1) << stop << " " << seed;
    }
  }
}

TEST(FaultVfsTest, UnsyncedCommitsCanBeLost) {
  bool lost = false;
  for (uint64_t seed = 0; seed < 50 && !lost; ++seed) {
    CrashingStore world(seed);
    {
      const auto store = world.Open().ValueOrDie();
      ASSERT_TRUE(store->Sync().ok());
      ASSERT_TRUE(store->CreateRun({}, {}).ok());
    }
    ASSERT_TRUE(world.env()->Crash(seed).ok());
    const auto store = world.Open().ValueOrDie();
    lost = store->Runs().ValueOrDie().empty();
  }
  EXPECT_TRUE(lost);
}

TEST(FaultVfsTest, AFullDiskIsAnEnvironmentErrorThatNamesTheDatabase) {
  CrashingStore world(1);
  const auto store = world.Open().ValueOrDie();
  world.env()->FailAppend(1);
  const Status status = store->CreateRun({}, {}).status();
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << Describe(status);
  EXPECT_NE(status.message().find("full"), std::string::npos) << Describe(status);
  EXPECT_NE(status.message().find(world.Path()), std::string::npos) << Describe(status);
  world.env()->FailAppend(0);
  EXPECT_EQ(store->CreateRun({}, {}).ValueOrDie(), 1);
}

TEST(FaultVfsTest, AFailedSyncStaysFailed) {
  CrashingStore world(1);
  const auto store = world.Open().ValueOrDie();
  ASSERT_TRUE(store->CreateRun({}, {}).ok());
  world.env()->FailSync(1);
  const Status status = store->Sync();
  EXPECT_EQ(KindOf(status), ErrorKind::kEnvironment) << Describe(status);
  EXPECT_NE(status.message().find(world.Path()), std::string::npos) << Describe(status);
  EXPECT_FALSE(store->Sync().ok());
}

TEST(FaultVfsTest, NamesAreUnique) {
  CrashingStore world(1);
  const auto first = FaultVfs::Register(world.env(), "one").ValueOrDie();
  EXPECT_EQ(KindOf(FaultVfs::Register(world.env(), "one").status()), ErrorKind::kBug);
}

}  // namespace
}  // namespace capi::state
