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
    ASSERT_TRUE(store_->RegisterOwner({kMe, "me", 0}).ok());
    ASSERT_TRUE(store_->RegisterOwner({kOther, "other", 0}).ok());
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

TEST_F(SqliteStoreTest, RunsGetAscendingIdsAndKeepWhatTheyWereCreatedWith) {
  EXPECT_EQ(NewRun(), 1);
  EXPECT_EQ(NewRun({"x"}), 2);
  const auto runs = store_->Runs().ValueOrDie();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].status, RunStatus::kStart);
  EXPECT_EQ(runs[0].affected_nodes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(runs[0].now_ms, 12345);
  const auto nodes = store_->Nodes(1).ValueOrDie();
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[1].id, (NodeId{1, 1}));
  EXPECT_EQ(nodes[1].name, "b");
  EXPECT_FALSE(nodes[1].pins.set);
  EXPECT_FALSE(store_->FindRun(9).ValueOrDie().has_value());
}

TEST_F(SqliteStoreTest, NamesMayHoldAnyBytes) {
  NewRun({"a \"quoted\", name", "\xff"});
  const auto run = store_->FindRun(1).ValueOrDie();
  ASSERT_EQ(run->affected_nodes.size(), 2u);
  EXPECT_EQ(run->affected_nodes[0], "a \"quoted\", name");
}

TEST_F(SqliteStoreTest, ABatchIsClaimedOnce) {
  const NodeId node{NewRun(), 0};
  const auto first = store_->ClaimBatches(node, 0, 3, kMe).ValueOrDie();
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(first[2].batch_index, 2);
  EXPECT_EQ(first[2].attempt, 1);
  const auto second = store_->ClaimBatches(node, 0, 4, kOther).ValueOrDie();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].batch_index, 3);
  EXPECT_EQ(store_->Nodes(1).ValueOrDie()[0].status, NodeStatus::kStart);
  EXPECT_EQ(store_->Nodes(1).ValueOrDie()[1].status, NodeStatus::kNone);
}

TEST_F(SqliteStoreTest, ClaimNeedsAnOpenNodeARunningRunAndALivingOwner) {
  const NodeId node{NewRun(), 0};
  EXPECT_TRUE(store_->ClaimBatches(node, 0, 4, 99).ValueOrDie().empty());
  ASSERT_TRUE(store_->StopRun(1, "by operator").ok());
  EXPECT_TRUE(store_->ClaimBatches(node, 0, 4, kMe).ValueOrDie().empty());
  const NodeId ended{NewRun(), 0};
  NodeChange change;
  change.id = ended;
  change.status = NodeStatus::kFail;
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  EXPECT_TRUE(store_->ClaimBatches(ended, 0, 4, kMe).ValueOrDie().empty());
}

TEST_F(SqliteStoreTest, CommitDecidesTheBatchOnce) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie();
  EXPECT_EQ(Commit({Success(node, claims[0])}), std::vector<bool>{true});
  EXPECT_EQ(Commit({Success(node, claims[0])}), std::vector<bool>{false});
  const auto batches = store_->Batches(node).ValueOrDie();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].status, NodeStatus::kSuccess);
  EXPECT_EQ(batches[0].manifest, "m0");
  EXPECT_TRUE(store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie().empty());
}

TEST_F(SqliteStoreTest, AWrongOwnerOrAttemptIsFenced) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie();
  EXPECT_EQ(Commit({Success(node, claims[0], kOther)}), std::vector<bool>{false});
  EXPECT_EQ(Commit({Success(node, {0, 2})}), std::vector<bool>{false});
  EXPECT_EQ(store_->Batches(node).ValueOrDie()[0].status, NodeStatus::kStart);
}

TEST_F(SqliteStoreTest, ATakenOverAttemptCannotCommit) {
  const NodeId node{NewRun(), 0};
  const auto old_claim = store_->ClaimBatches(node, 0, 1, kOther).ValueOrDie();
  const auto lost = store_->ExpireOwner(kOther, 0).ValueOrDie();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->size(), 1u);
  const auto claims = store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie();
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].attempt, 2);
  EXPECT_EQ(Commit({Success(node, old_claim[0], kOther), Success(node, claims[0])}),
            (std::vector<bool>{false, true}));
  const auto attempts = store_->FormerAttempts(node).ValueOrDie();
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].outcome, "lost");
  EXPECT_FALSE(store_->RenewOwner(kOther).ValueOrDie());
}

TEST_F(SqliteStoreTest, ARenewedOwnerIsNotExpired) {
  EXPECT_TRUE(store_->RenewOwner(kOther).ValueOrDie());
  EXPECT_FALSE(store_->ExpireOwner(kOther, 0).ValueOrDie().has_value());
  EXPECT_TRUE(store_->ExpireOwner(kOther, 1).ValueOrDie().has_value());
  EXPECT_FALSE(store_->ExpireOwner(kOther, 1).ValueOrDie().has_value());
}

TEST_F(SqliteStoreTest, ExpiryFailsBatchesOfNodesThatMustNotBeRepeated) {
  const NodeId node{NewRun({"a"}, 2, /*rerun_fails=*/true), 0};
  ASSERT_EQ(store_->ClaimBatches(node, 0, 1, kOther).ValueOrDie().size(), 1u);
  ASSERT_EQ(store_->ClaimBatches(node, kFinishBatch, 0, kOther).ValueOrDie().size(), 1u);
  ASSERT_TRUE(store_->ExpireOwner(kOther, 0).ok());
  const auto batches = store_->Batches(node).ValueOrDie();
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].status, NodeStatus::kNone);  // the finish task may be repeated
  EXPECT_EQ(batches[1].status, NodeStatus::kFail);
  EXPECT_EQ(batches[1].error.error_class, "interrupted_batch");
}

TEST_F(SqliteStoreTest, ReleaseGivesTheBatchBack) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 2, kMe).ValueOrDie();
  ASSERT_TRUE(store_
                  ->ReleaseAttempts({{{node, 0}, 1, kMe, "retried", "timeout"},
                                     {{node, 1}, 1, kOther, "retried", "not mine"}})
                  .ok());
  const auto again = store_->ClaimBatches(node, 0, 2, kMe).ValueOrDie();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 2);
  EXPECT_EQ(store_->FormerAttempts(node).ValueOrDie()[0].text, "timeout");
}

TEST_F(SqliteStoreTest, BatchesAreReadInRanges) {
  const NodeId node{NewRun(), 0};
  ASSERT_EQ(store_->ClaimBatches(node, 0, 4, kMe).ValueOrDie().size(), 4u);
  ASSERT_EQ(store_->ClaimBatches(node, kFinishBatch, 0, kMe).ValueOrDie().size(), 1u);
  const auto some = store_->BatchesIn(node, 1, 3).ValueOrDie();
  ASSERT_EQ(some.size(), 2u);
  EXPECT_EQ(some[0].id.batch_index, 1);
  EXPECT_EQ(some[1].id.batch_index, 2);
  EXPECT_EQ(store_->BatchesIn(node, kFinishBatch, 0).ValueOrDie().size(), 1u);
  EXPECT_TRUE(store_->BatchesIn(node, 4, 9).ValueOrDie().empty());
  EXPECT_TRUE(store_->BatchesIn({node.run_id, 1}, 0, 4).ValueOrDie().empty());
  EXPECT_EQ(store_->Batches(node).ValueOrDie().size(), 5u);
}

TEST_F(SqliteStoreTest, DerivedChangesAreInTheCommit) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie();
  NodeChange change;
  change.id = node;
  change.status = NodeStatus::kSuccess;
  change.manifest = "table";
  Commit({Success(node, claims[0])}, {{change}, {{1, "done"}}});
  EXPECT_EQ(store_->Nodes(1).ValueOrDie()[0].manifest, "table");
  EXPECT_EQ(store_->FindRun(1).ValueOrDie()->status, RunStatus::kComplete);
  // An end is final.
  change.status = NodeStatus::kFail;
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  EXPECT_EQ(store_->Nodes(1).ValueOrDie()[0].status, NodeStatus::kSuccess);
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

TEST_F(SqliteStoreTest, StopIsKeptAndNotOverwrittenByCompletion) {
  NewRun();
  ASSERT_TRUE(store_->StopRun(1, "operator").ok());
  ASSERT_TRUE(store_->Apply({{}, {{1, "done"}}}).ok());
  EXPECT_EQ(store_->FindRun(1).ValueOrDie()->status, RunStatus::kStop);
  EXPECT_EQ(InfoOf(store_->StopRun(7, "")).error_class, "unknown_run");
}

TEST_F(SqliteStoreTest, PinsAreSetOnce) {
  const NodeId node{NewRun(), 0};
  NodeChange change;
  change.id = node;
  change.pins = Pins{true, 3, 4, "fingerprint"};
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  change.pins = Pins{true, 5, 6, "other"};
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  const NodeRecord record = store_->Nodes(1).ValueOrDie()[0];
  EXPECT_TRUE(record.pins.set);
  EXPECT_EQ(record.pins.reader_run, 3);
  EXPECT_EQ(record.pins.inputs, "fingerprint");
}

TEST_F(SqliteStoreTest, InputFilesStayWithTheirRunsAndBatches) {
  RunRecord run;
  run.affected_nodes = {"a", "b"};
  NodeRecord with_patterns;
  with_patterns.name = "a";
  with_patterns.urls = {"in/1.csv", "in/\"2\".csv"};
  NodeRecord without;
  without.name = "b";
  const NodeId node{store_->CreateRun(run, {with_patterns, without}).ValueOrDie(), 0};
  const auto nodes = store_->Nodes(node.run_id).ValueOrDie();
  EXPECT_EQ(nodes[0].urls, with_patterns.urls);
  EXPECT_TRUE(nodes[1].urls.empty());
  const auto claims = store_->ClaimBatches(node, 0, 2, kMe).ValueOrDie();
  AttemptEnd end = Success(node, claims[0]);
  end.input = R"({"url":"in/1.csv"})";
  Commit({end, Success(node, claims[1])});
  const auto batches = store_->Batches(node).ValueOrDie();
  EXPECT_EQ(batches[0].input, end.input);
  EXPECT_EQ(batches[1].input, "");
}

TEST_F(SqliteStoreTest, FilesGoFromPlannedToPublished) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 2, kMe).ValueOrDie();
  FileRecord file;
  file.id = {node, 0};
  file.attempt = 1;
  file.target = "out.csv";
  file.temp_path = ".out.tmp";
  FileRecord other = file;
  other.id.batch_index = 1;
  ASSERT_TRUE(store_->PlanFile(file).ok());
  ASSERT_TRUE(store_->PlanFile(other).ok());
  EXPECT_EQ(store_->Files(1, FileState::kPlanned).ValueOrDie().size(), 2u);

  AttemptEnd end = Success(node, claims[0]);
  file.size = 10;
  file.rows = 2;
  end.files = {file};
  Commit({end});
  EXPECT_EQ(store_->Files(1, FileState::kPlanned).ValueOrDie().size(), 1u);
  auto pending = store_->Files(std::nullopt, FileState::kPending).ValueOrDie();
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].size, 10);
  ASSERT_TRUE(store_->MarkPublished(pending, {}).ok());
  EXPECT_EQ(store_->Files(1, FileState::kPublished).ValueOrDie().size(), 1u);
  ASSERT_TRUE(store_->ForgetPlannedFiles({other, file}).ok());
  EXPECT_EQ(store_->Files(std::nullopt, std::nullopt).ValueOrDie().size(), 1u);
}

TEST_F(SqliteStoreTest, LostFilesAreNoLongerPending) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, kMe).ValueOrDie();
  FileRecord file;
  file.id = {node, 0};
  file.attempt = 1;
  file.target = "out.csv";
  file.temp_path = ".out.tmp";
  ASSERT_TRUE(store_->PlanFile(file).ok());
  AttemptEnd end = Success(node, claims[0]);
  end.files = {file};
  Commit({end});
  NodeChange failure;
  failure.id = node;
  failure.status = NodeStatus::kFail;
  failure.error = {"environment", "output_lost", "gone"};
  ASSERT_TRUE(store_->MarkLost({file}, {{failure}, {}}).ok());
  EXPECT_TRUE(store_->Files(std::nullopt, FileState::kPending)->empty());
  EXPECT_TRUE(store_->Files(1, FileState::kPublished)->empty());
  EXPECT_EQ(store_->Files(1, FileState::kLost)->size(), 1u);
  EXPECT_EQ(store_->Nodes(1)->at(0).status, NodeStatus::kFail);
  EXPECT_EQ(store_->Nodes(1)->at(0).error.error_class, "output_lost");
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

TEST_F(SqliteStoreTest, LiveManifestsAreThoseStillNeeded) {
  const NodeId node{NewRun({"a", "b", "c"}), 0};
  for (int64_t i = 0; i < 3; ++i) {
    const NodeId each{node.run_id, i};
    Commit({Success(each, store_->ClaimBatches(each, 0, 1, kMe).ValueOrDie()[0])});
  }
  NodeChange success;
  success.id = {node.run_id, 0};
  success.status = NodeStatus::kSuccess;
  success.manifest = "frozen";
  NodeChange failed;
  failed.id = {node.run_id, 1};
  failed.status = NodeStatus::kFail;
  ASSERT_TRUE(store_->Apply({{success, failed}, {}}).ok());
  auto manifests = store_->LiveManifests().ValueOrDie();
  std::sort(manifests.begin(), manifests.end());
  EXPECT_EQ(manifests, (std::vector<std::string>{"frozen", "m0"}));
}

TEST_F(SqliteStoreTest, TablesAreFoundByRunAndName) {
  NewRun();
  EXPECT_EQ(store_->NodeOfTable(1, "t_b").ValueOrDie()->name, "b");
  EXPECT_FALSE(store_->NodeOfTable(2, "t_b").ValueOrDie().has_value());
  NewRun({"b"});
  EXPECT_EQ(store_->NodesNamed({"b"}).ValueOrDie().size(), 2u);
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
    EXPECT_TRUE((*store)->RegisterOwner({kMe, "me", 0}).ok());
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

TEST_F(SqliteStoreTest, ManyThreadsClaimAndCommitEachBatchOnce) {
  constexpr int64_t kBatches = 400;
  const NodeId node{NewRun({"a"}, kBatches), 0};
  std::atomic<int64_t> committed{0};
  const auto work = [&](OwnerId owner) {
    for (int64_t begin = 0; begin < kBatches; begin += 16) {
      const auto claims = store_->ClaimBatches(node, begin, begin + 16, owner).ValueOrDie();
      std::vector<AttemptEnd> ends;
      for (const Claim& claim : claims) ends.push_back(Success(node, claim, owner));
      const Status status = store_->EndAttempts(ends, [&](const std::vector<bool>& won) {
        committed += std::count(won.begin(), won.end(), true);
        return Changes{};
      });
      EXPECT_TRUE(status.ok()) << status.ToString();
    }
  };
  std::thread mine(work, kMe);
  std::thread others(work, kOther);
  std::thread reader([&] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(store_->Batches(node).ok());
  });
  mine.join();
  others.join();
  reader.join();
  EXPECT_EQ(committed, kBatches);
  EXPECT_EQ(store_->Batches(node).ValueOrDie().size(), static_cast<size_t>(kBatches));
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
