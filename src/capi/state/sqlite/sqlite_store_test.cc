#include "capi/state/sqlite/sqlite_store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/fault_point.h"
#include "capi/state/sqlite/connection.h"
#include "capi/state/sqlite/schema.h"

namespace capi::state {
namespace {

constexpr OwnerId kMe = 11;
constexpr OwnerId kOther = 22;

class SqliteStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() /
                 ("capi_state_test_" + std::to_string(getpid()) + "_" +
                  testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    store_ = Open();
    ASSERT_TRUE(store_->RegisterOwner({kMe, "me", 0, {}}).ok());
    ASSERT_TRUE(store_->RegisterOwner({kOther, "other", 0, {}}).ok());
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string Path() const { return (directory_ / "state.db").string(); }

  std::unique_ptr<StateStore> Open(bool read_only = false) {
    SqliteOptions options;
    options.path = Path();
    options.read_only = read_only;
    auto store = OpenSqliteStore(Env::Default(), options);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    return store.ok() ? std::move(*store) : nullptr;
  }

  int64_t NewRun(std::vector<std::string> names = {"a", "b"}, int64_t batches = 4,
                 bool rerun_fails = false) {
    RunRecord run;
    run.script_hash = "s";
    run.start_nodes = {names.front()};
    run.affected_nodes = names;
    run.now_ms = 12345;
    std::vector<NodeRecord> nodes;
    for (const std::string& name : names) {
      NodeRecord node;
      node.name = name;
      node.type = "table_table";
      node.table = "t_" + name;
      node.batches_total = batches;
      node.rerun_fails = rerun_fails;
      nodes.push_back(node);
    }
    auto id = store_->CreateRun(run, nodes);
    EXPECT_TRUE(id.ok()) << id.status().ToString();
    return id.ValueOr(0);
  }

  AttemptEnd Success(const NodeId& node, const Claim& claim, OwnerId owner = kMe) {
    AttemptEnd end;
    end.id = {node, claim.batch_index};
    end.attempt = claim.attempt;
    end.owner = owner;
    end.manifest = "m" + std::to_string(claim.batch_index);
    end.counts = R"({"in":1})";
    return end;
  }

  std::vector<bool> Commit(const std::vector<AttemptEnd>& ends, const Changes& changes = {}) {
    std::vector<bool> result;
    const Status status = store_->EndAttempts(ends, [&](const std::vector<bool>& committed) {
      result = committed;
      return changes;
    });
    EXPECT_TRUE(status.ok()) << status.ToString();
    return result;
  }

  std::filesystem::path directory_;
  std::unique_ptr<StateStore> store_;
};

TEST_F(SqliteStoreTest, NamesMayHoldAnyBytes) {
  NewRun({"a \"quoted\", name", "\xff"});
  const auto run = store_->FindRun(1).ValueOrDie();
  ASSERT_EQ(run->affected_nodes.size(), 2u);
  EXPECT_EQ(run->affected_nodes[0], "a \"quoted\", name");
}

TEST_F(SqliteStoreTest, AFailedCommitLeavesNothing) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie();
  ASSERT_TRUE(ArmFaultPoints("state.before_commit:error").ok());
  const Status status = store_->EndAttempts({Success(node, claims[0])},
                                            [](const std::vector<bool>&) { return Changes{}; });
  ASSERT_TRUE(ArmFaultPoints("").ok());
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(store_->Batches(node).ValueOrDie()[0].status, NodeStatus::kStart);
  EXPECT_EQ(Commit({Success(node, claims[0])}), std::vector<bool>{true});
}

TEST_F(SqliteStoreTest, EventsTellEveryChangeInOrder) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie();
  NodeChange change;
  change.id = node;
  change.status = NodeStatus::kSuccess;
  Commit({Success(node, claims[0])}, {{change}, {{1, ""}}});
  const auto events = store_->EventsAfter(0, 100).ValueOrDie();
  std::vector<std::string> told;
  for (const Event& event : events) {
    told.push_back(std::to_string(static_cast<int>(event.kind)) + event.node +
                   std::to_string(event.status));
  }
  EXPECT_EQ(told, (std::vector<std::string>{"01", "2a1", "1a1", "2a2", "1a2", "02"}));
  EXPECT_EQ(store_->EventsAfter(events[3].number, 1).ValueOrDie().size(), 1u);
}

TEST_F(SqliteStoreTest, ReaderSeesCommittedStateBesideAWriter) {
  NewRun();
  const auto reader = Open(/*read_only=*/true);
  ASSERT_NE(reader, nullptr);
  EXPECT_EQ(reader->Runs().ValueOrDie().size(), 1u);
  NewRun();
  EXPECT_EQ(reader->Runs().ValueOrDie().size(), 2u);
  EXPECT_EQ(KindOf(reader->StopRun(1, "")), ErrorKind::kBug);
}

TEST_F(SqliteStoreTest, StateSurvivesReopening) {
  const NodeId node{NewRun(), 0};
  Commit({Success(node, store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie()[0])});
  store_.reset();
  store_ = Open();
  EXPECT_EQ(store_->Batches(node).ValueOrDie()[0].status, NodeStatus::kSuccess);
}

TEST_F(SqliteStoreTest, NewerDatabaseIsRefused) {
  store_.reset();
  {
    ConnectionOptions options;
    options.path = Path();
    auto connection = Connection::Open(options).ValueOrDie();
    ASSERT_TRUE(connection->ExecuteScript("PRAGMA user_version=999").ok());
  }
  SqliteOptions options;
  options.path = Path();
  EXPECT_EQ(InfoOf(OpenSqliteStore(Env::Default(), options).status()).error_class,
            "newer_database");
}

TEST_F(SqliteStoreTest, EmptyDatabaseIsMigratedAndRefusedForReading) {
  ConnectionOptions options;
  options.path = (directory_ / "empty.db").string();
  auto connection = Connection::Open(options).ValueOrDie();
  EXPECT_EQ(InfoOf(CheckSchema(connection.get())).error_class, "older_database");
  ASSERT_TRUE(MigrateSchema(connection.get()).ok());
  ASSERT_TRUE(MigrateSchema(connection.get()).ok());
  EXPECT_TRUE(CheckSchema(connection.get()).ok());
}

TEST_F(SqliteStoreTest, RunsOfAnOlderVersionAreKept) {
  const int64_t run_id = NewRun();
  store_.reset();
  {
    ConnectionOptions options;
    options.path = Path();
    auto connection = Connection::Open(options).ValueOrDie();
    ASSERT_TRUE(connection
                    ->ExecuteScript("ALTER TABLE runs DROP COLUMN overrides;"
                                    "ALTER TABLE runs DROP COLUMN strict;"
                                    "PRAGMA user_version=2")
                    .ok());
  }
  SqliteOptions options;
  options.path = Path();
  options.read_only = true;
  EXPECT_EQ(InfoOf(OpenSqliteStore(Env::Default(), options).status()).error_class,
            "older_database");
  store_ = Open();
  const auto run = store_->FindRun(run_id).ValueOrDie();
  ASSERT_TRUE(run.has_value());
  EXPECT_EQ(run->now_ms, 12345);
  EXPECT_TRUE(run->overrides.empty());
  EXPECT_FALSE(run->strict);
  EXPECT_EQ(store_->Nodes(run_id)->size(), 2u);
  EXPECT_EQ(NewRun(), run_id + 1);
}

TEST_F(SqliteStoreTest, DamagedDatabaseIsAnEnvironmentError) {
  const std::string path = (directory_ / "damaged.db").string();
  {
    auto file = Env::Default()->NewWritableFile(path).ValueOrDie();
    ASSERT_TRUE(file->Append(std::string(4096, 'x')).ok());
  }
  SqliteOptions options;
  options.path = path;
  EXPECT_EQ(KindOf(OpenSqliteStore(Env::Default(), options).status()), ErrorKind::kEnvironment);
}

TEST_F(SqliteStoreTest, ADatabaseWhoseCreationWasCutOffIsMadeAnew) {
  for (const std::string& left : {std::string(), std::string(4096, '\0'), std::string(100, '\0'),
                                  std::string("SQLite format 3\0\x10", 17)}) {
    const std::string path = (directory_ / "cut.db").string();
    {
      auto file = Env::Default()->NewWritableFile(path).ValueOrDie();
      ASSERT_TRUE(file->Append(left).ok());
    }
    SqliteOptions options;
    options.path = path;
    const auto store = OpenSqliteStore(Env::Default(), options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    EXPECT_TRUE((*store)->RegisterOwner({kMe, "me", 0, {}}).ok());
  }
}

TEST_F(SqliteStoreTest, WorkflowTablesOfTheOriginalAreViews) {
  const NodeId node{NewRun(), 0};
  Commit({Success(node, store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie()[0])});
  ConnectionOptions options;
  options.path = Path();
  auto connection = Connection::Open(options).ValueOrDie();
  const auto count = [&](const char* sql) {
    auto query = connection->Select(sql).ValueOrDie();
    EXPECT_TRUE(query.Step().ValueOrDie());
    return query.Int(0);
  };
  EXPECT_EQ(count("SELECT last_run FROM wf_run_counter"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM wf_run_properties"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM wf_run_history WHERE status = 1"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM wf_node_history WHERE script_node = 'a'"), 1);
  EXPECT_EQ(count("SELECT count(*) FROM wf_batch_history WHERE batches_total = 4"), 2);
}

TEST(StatusOfSqlite, KindsFollowTheCode) {
  EXPECT_EQ(KindOf(StatusOfSqlite(SQLITE_BUSY, "x", "")), ErrorKind::kRetriable);
  EXPECT_EQ(KindOf(StatusOfSqlite(SQLITE_BUSY_SNAPSHOT, "x", "")), ErrorKind::kRetriable);
  EXPECT_EQ(KindOf(StatusOfSqlite(SQLITE_FULL, "x", "")), ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(StatusOfSqlite(SQLITE_IOERR_FSYNC, "x", "")), ErrorKind::kEnvironment);
  EXPECT_EQ(KindOf(StatusOfSqlite(SQLITE_INTERRUPT, "x", "")), ErrorKind::kCancelled);
  EXPECT_EQ(KindOf(StatusOfSqlite(SQLITE_CONSTRAINT_UNIQUE, "x", "")), ErrorKind::kBug);
  EXPECT_EQ(KindOf(StatusOfSqlite(SQLITE_ERROR, "x", "")), ErrorKind::kBug);
}

}  // namespace
}  // namespace capi::state
