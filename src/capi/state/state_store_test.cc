// What every StateStore keeps, whatever is below. Tests of one kind share a keyspace, so they look
// at their own runs and owners only.

#include "capi/state/state_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/env.h"
#include "capi/state/test_stores.h"

namespace capi::state {
namespace {

class StateStoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    place_ = GetParam() == "sqlite" ? NewSqlitePlace()
                                    : NewCassandraPlace(GetParam() == "cassandra_lossy");
    if (place_ == nullptr) GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    store_ = place_->Open().ValueOrDie();
    me_ = NewOwner("me");
    other_ = NewOwner("other");
  }

  OwnerId NewOwner(const std::string& instance) {
    const auto owner = static_cast<OwnerId>(Env::Default()->Random() >> 1 | 1);
    const Status status = store_->RegisterOwner({owner, instance, 0, {}});
    EXPECT_TRUE(status.ok()) << status.ToString();
    return owner;
  }

  int64_t NewRun(std::vector<std::string> names = {"a", "b"}, int64_t batches = 4,
                 bool rerun_fails = false) {
    RunRecord run;
    run.script_hash = "s";
    run.script_url = "script.json";
    run.start_nodes = {names.front()};
    run.affected_nodes = names;
    run.description = "d";
    run.now_ms = 12345;
    std::vector<NodeRecord> nodes;
    for (const std::string& name : names) {
      NodeRecord node;
      node.name = name;
      node.type = "table_table";
      node.table = "t_" + name;
      node.depth = 2;
      node.batches_total = batches;
      node.rerun_fails = rerun_fails;
      nodes.push_back(node);
    }
    auto id = store_->CreateRun(run, nodes);
    EXPECT_TRUE(id.ok()) << id.status().ToString();
    return id.ValueOr(0);
  }

  std::vector<Claim> ClaimAll(const NodeId& node, int64_t begin, int64_t end, OwnerId owner) {
    auto claims = store_->ClaimBatches(node, begin, end, owner);
    EXPECT_TRUE(claims.ok()) << claims.status().ToString();
    return claims.ok() ? *claims : std::vector<Claim>();
  }

  AttemptEnd Success(const NodeId& node, const Claim& claim, OwnerId owner) {
    AttemptEnd end;
    end.id = {node, claim.batch_index};
    end.attempt = claim.attempt;
    end.owner = owner;
    end.manifest = "m" + std::to_string(node.run_id) + "." + std::to_string(node.node_index) + "." +
                   std::to_string(claim.batch_index);
    end.counts = R"({"in":1})";
    return end;
  }
  AttemptEnd Success(const NodeId& node, const Claim& claim) { return Success(node, claim, me_); }

  std::vector<bool> Commit(const std::vector<AttemptEnd>& ends, const Changes& changes = {}) {
    std::vector<bool> result;
    const Status status = store_->EndAttempts(ends, [&](const std::vector<bool>& committed) {
      result = committed;
      return changes;
    });
    EXPECT_TRUE(status.ok()) << status.ToString();
    return result;
  }

  NodeChange End(const NodeId& node, NodeStatus status) {
    NodeChange change;
    change.id = node;
    change.status = status;
    return change;
  }

  NodeRecord Node(const NodeId& id) {
    return store_->Nodes(id.run_id).ValueOrDie().at(static_cast<size_t>(id.node_index));
  }

  FileRecord File(const NodeId& node, int64_t batch) {
    FileRecord file;
    file.id = {node, batch};
    file.attempt = 1;
    file.target = "out.csv";
    file.temp_path = ".out.tmp";
    return file;
  }

  /// Files of that run, also found without naming it.
  std::vector<FileRecord> Files(int64_t run_id, std::optional<FileState> state) {
    std::vector<FileRecord> files = store_->Files(run_id, state).ValueOrDie();
    std::vector<FileRecord> all = store_->Files(std::nullopt, state).ValueOrDie();
    std::erase_if(all, [&](const FileRecord& file) { return file.id.node.run_id != run_id; });
    EXPECT_EQ(all.size(), files.size());
    return files;
  }

  std::unique_ptr<TestPlace> place_;
  std::unique_ptr<StateStore> store_;
  OwnerId me_ = 0;
  OwnerId other_ = 0;
};

TEST_P(StateStoreTest, RunsGetAscendingIdsAndKeepWhatTheyWereCreatedWith) {
  const int64_t first = NewRun();
  const int64_t second = NewRun({"x"});
  EXPECT_GT(second, first);
  auto runs = store_->Runs().ValueOrDie();
  EXPECT_TRUE(std::is_sorted(runs.begin(), runs.end(), [](const auto& left, const auto& right) {
    return left.run_id < right.run_id;
  }));
  std::erase_if(runs, [&](const RunRecord& run) { return run.run_id < first; });
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].status, RunStatus::kStart);
  EXPECT_EQ(runs[0].affected_nodes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(runs[0].script_url, "script.json");
  EXPECT_EQ(runs[0].now_ms, 12345);
  EXPECT_EQ(runs[0].ended_ms, 0);
  const auto nodes = store_->Nodes(first).ValueOrDie();
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[1].id, (NodeId{first, 1}));
  EXPECT_EQ(nodes[1].name, "b");
  EXPECT_EQ(nodes[1].table, "t_b");
  EXPECT_EQ(nodes[1].depth, 2);
  EXPECT_EQ(nodes[1].batches_total, 4);
  EXPECT_FALSE(nodes[1].pins.set);
  EXPECT_FALSE(store_->FindRun(second + 1000).ValueOrDie().has_value());
  EXPECT_TRUE(store_->Nodes(second + 1000).ValueOrDie().empty());
}

TEST_P(StateStoreTest, ARunKeepsWhatItsScriptWasLoadedWith) {
  RunRecord run;
  run.overrides = {{"z", "1"}, {"a", "x=y \"quoted\" \xe2\x82\xac"}, {"z", ""}};
  run.strict = true;
  NodeRecord node;
  node.name = "of " + std::to_string(me_);
  run.affected_nodes = {node.name};
  const int64_t run_id = store_->CreateRun(run, {node}).ValueOrDie();
  const auto expect_kept = [&](const RunRecord& kept) {
    EXPECT_EQ(kept.run_id, run_id);
    EXPECT_EQ(kept.overrides, run.overrides);
    EXPECT_TRUE(kept.strict);
  };
  expect_kept(*store_->FindRun(run_id).ValueOrDie());
  expect_kept(store_->Runs()->back());
  expect_kept(store_->NodesNamed({node.name})->at(0).second);
  const auto plain = store_->FindRun(NewRun()).ValueOrDie();
  EXPECT_TRUE(plain->overrides.empty());
  EXPECT_FALSE(plain->strict);
}

TEST_P(StateStoreTest, TheStoreChoosesTheRunsId) {
  RunRecord run;
  run.run_id = 1000000;
  const int64_t run_id = store_->CreateRun(run, {}).ValueOrDie();
  EXPECT_LT(run_id, run.run_id);
  EXPECT_TRUE(store_->FindRun(run_id).ValueOrDie().has_value());
}

TEST_P(StateStoreTest, NamesMayHoldQuotesAndAnyUnicode) {
  const std::vector<std::string> names = {"a \"quoted\", 'name'; DROP", "Größe \U0001F600 {}[]\\",
                                          std::string("nul\0nul", 7)};
  const int64_t run_id = NewRun(names);
  EXPECT_EQ(store_->FindRun(run_id).ValueOrDie()->affected_nodes, names);
  EXPECT_EQ(Node({run_id, 0}).name, names[0]);
  EXPECT_EQ(Node({run_id, 1}).name, names[1]);
  const NodeId node{run_id, 1};
  AttemptEnd end = Success(node, ClaimAll(node, 0, 1, me_).at(0));
  end.status = NodeStatus::kFail;
  end.error = {"user", "bad_row", "not UTF-8: '\xff', \"quoted\""};
  EXPECT_EQ(Commit({end}), std::vector<bool>{true});
  EXPECT_TRUE(store_->Batches(node)->at(0).error.text.starts_with("not UTF-8: '"));
}

TEST_P(StateStoreTest, ABatchIsClaimedOnce) {
  const NodeId node{NewRun(), 0};
  const auto first = ClaimAll(node, 0, 3, me_);
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(first[2].batch_index, 2);
  EXPECT_EQ(first[2].attempt, 1);
  const auto second = ClaimAll(node, 0, 4, other_);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].batch_index, 3);
  EXPECT_TRUE(ClaimAll(node, 0, 4, me_).empty());
  EXPECT_TRUE(ClaimAll(node, 2, 2, me_).empty());
  EXPECT_EQ(Node(node).status, NodeStatus::kStart);
  EXPECT_NE(Node(node).started_ms, 0);
  EXPECT_EQ(Node({node.run_id, 1}).status, NodeStatus::kNone);
}

TEST_P(StateStoreTest, ClaimNeedsAnOpenNodeARunningRunAndALivingOwner) {
  const NodeId node{NewRun(), 0};
  EXPECT_TRUE(ClaimAll(node, 0, 4, 99).empty());
  EXPECT_EQ(Node(node).status, NodeStatus::kNone);
  EXPECT_TRUE(ClaimAll({node.run_id, 7}, 0, 4, me_).empty());
  EXPECT_TRUE(ClaimAll({node.run_id + 1000, 0}, 0, 4, me_).empty());
  ASSERT_TRUE(store_->StopRun(node.run_id, "by operator").ok());
  EXPECT_TRUE(ClaimAll(node, 0, 4, me_).empty());
  const NodeId ended{NewRun(), 0};
  ASSERT_TRUE(store_->Apply({{End(ended, NodeStatus::kFail)}, {}}).ok());
  EXPECT_TRUE(ClaimAll(ended, 0, 4, me_).empty());
}

TEST_P(StateStoreTest, CommitDecidesABatchForGood) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 1, me_);
  EXPECT_EQ(Commit({Success(node, claims[0])}), std::vector<bool>{true});
  EXPECT_EQ(Commit({Success(node, claims[0])}), std::vector<bool>{false});
  const auto batches = store_->Batches(node).ValueOrDie();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].status, NodeStatus::kSuccess);
  EXPECT_EQ(batches[0].manifest, Success(node, claims[0]).manifest);
  EXPECT_EQ(batches[0].counts, R"({"in":1})");
  EXPECT_EQ(batches[0].attempt, 1);
  EXPECT_NE(batches[0].started_ms, 0);
  EXPECT_NE(batches[0].ended_ms, 0);
  EXPECT_TRUE(ClaimAll(node, 0, 1, me_).empty());
}

TEST_P(StateStoreTest, TheSameAttemptCommitsOnceInOneCall) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 2, me_);
  EXPECT_EQ(Commit({Success(node, claims[0]), Success(node, claims[0]), Success(node, claims[1])}),
            (std::vector<bool>{true, false, true}));
}

TEST_P(StateStoreTest, AWrongOwnerOrAttemptIsFenced) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 1, me_);
  EXPECT_EQ(Commit({Success(node, claims[0], other_)}), std::vector<bool>{false});
  EXPECT_EQ(Commit({Success(node, {0, 2})}), std::vector<bool>{false});
  EXPECT_EQ(Commit({Success(node, {1, 1})}), std::vector<bool>{false});
  const auto batches = store_->Batches(node).ValueOrDie();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].status, NodeStatus::kStart);
}

TEST_P(StateStoreTest, ATakenOverAttemptCannotCommit) {
  const NodeId node{NewRun(), 0};
  const auto old_claim = ClaimAll(node, 0, 1, other_);
  const auto lost = store_->ExpireOwner(other_, 0).ValueOrDie();
  ASSERT_TRUE(lost.has_value());
  ASSERT_EQ(lost->size(), 1u);
  EXPECT_EQ(lost->at(0).id, (BatchId{node, 0}));
  const auto claims = ClaimAll(node, 0, 1, me_);
  ASSERT_EQ(claims.size(), 1u);
  EXPECT_EQ(claims[0].attempt, 2);
  EXPECT_EQ(Commit({Success(node, old_claim[0], other_), Success(node, claims[0])}),
            (std::vector<bool>{false, true}));
  const auto attempts = store_->FormerAttempts(node).ValueOrDie();
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].outcome, "lost");
  EXPECT_EQ(attempts[0].owner, other_);
  EXPECT_FALSE(store_->RenewOwner(other_, {}).ValueOrDie());
}

TEST_P(StateStoreTest, ARenewedOwnerIsNotExpired) {
  EXPECT_TRUE(store_->RenewOwner(other_, {}).ValueOrDie());
  EXPECT_FALSE(store_->ExpireOwner(other_, 0).ValueOrDie().has_value());
  EXPECT_TRUE(store_->ExpireOwner(other_, 1).ValueOrDie().has_value());
  EXPECT_FALSE(store_->ExpireOwner(other_, 1).ValueOrDie().has_value());
  EXPECT_FALSE(store_->RenewOwner(12345, {}).ValueOrDie());
}

TEST_P(StateStoreTest, OwnersTellTheirInstanceAndRenewals) {
  ASSERT_TRUE(store_->RenewOwner(me_, {}).ValueOrDie());
  ASSERT_TRUE(store_->RenewOwner(me_, {}).ValueOrDie());
  std::map<OwnerId, OwnerRecord> owners;
  for (const OwnerRecord& owner : store_->Owners().ValueOrDie()) owners[owner.owner] = owner;
  ASSERT_EQ(owners.count(me_), 1u);
  EXPECT_EQ(owners[me_].instance, "me");
  EXPECT_EQ(owners[me_].renewals, 2);
  EXPECT_EQ(owners[other_].renewals, 0);
  EXPECT_FALSE(store_->RegisterOwner({me_, "me again", 0, {}}).ok());
}

TEST_P(StateStoreTest, ARenewalTellsWhatKeepsTheOwnerFromWorking) {
  if (!store_->IsShared()) GTEST_SKIP() << "nobody else is there to read it";
  const auto problems_of = [&](OwnerId id) {
    std::map<int64_t, std::string> problems;
    for (const OwnerRecord& owner : store_->Owners().ValueOrDie()) {
      if (owner.owner == id) problems = owner.problems;
    }
    return problems;
  };
  EXPECT_TRUE(problems_of(me_).empty());
  const std::map<int64_t, std::string> problems = {{1, "no \"script\""}, {12, "line\nbreak"}};
  ASSERT_TRUE(store_->RenewOwner(me_, problems).ValueOrDie());
  EXPECT_EQ(problems_of(me_), problems);
  EXPECT_TRUE(problems_of(other_).empty());
  ASSERT_TRUE(store_->RenewOwner(me_, {{3, "not UTF-8: \xff"}}).ValueOrDie());
  EXPECT_EQ(problems_of(me_), (std::map<int64_t, std::string>{{3, "not UTF-8: \xEF\xBF\xBD"}}));
  ASSERT_TRUE(store_->RenewOwner(me_, {}).ValueOrDie());
  EXPECT_TRUE(problems_of(me_).empty());
}

TEST_P(StateStoreTest, ExpiryFailsBatchesOfNodesThatMustNotBeRepeated) {
  const NodeId node{NewRun({"a"}, 2, /*rerun_fails=*/true), 0};
  ASSERT_EQ(ClaimAll(node, 0, 1, other_).size(), 1u);
  ASSERT_EQ(ClaimAll(node, kFinishBatch, 0, other_).size(), 1u);
  ASSERT_EQ(store_->ExpireOwner(other_, 0).ValueOrDie()->size(), 2u);
  const auto batches = store_->Batches(node).ValueOrDie();
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].id.batch_index, kFinishBatch);
  EXPECT_EQ(batches[0].status, NodeStatus::kNone);  // the finish task may be repeated
  EXPECT_EQ(batches[1].status, NodeStatus::kFail);
  EXPECT_EQ(batches[1].error.error_class, "interrupted_batch");
}

TEST_P(StateStoreTest, ReleaseGivesTheBatchBack) {
  const NodeId node{NewRun(), 0};
  ASSERT_EQ(ClaimAll(node, 0, 2, me_).size(), 2u);
  ASSERT_TRUE(store_
                  ->ReleaseAttempts({{{node, 0}, 1, me_, "retried", "timeout"},
                                     {{node, 1}, 1, other_, "retried", "not mine"}})
                  .ok());
  const auto again = ClaimAll(node, 0, 2, me_);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 2);
  const auto attempts = store_->FormerAttempts(node).ValueOrDie();
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_EQ(attempts[0].text, "timeout");
  EXPECT_EQ(attempts[0].attempt, 1);
}

TEST_P(StateStoreTest, BatchesInGivesARange) {
  const NodeId node{NewRun({"a"}, 200), 0};
  ASSERT_EQ(ClaimAll(node, 60, 140, me_).size(), 80u);
  ASSERT_EQ(ClaimAll(node, kFinishBatch, 0, me_).size(), 1u);
  EXPECT_EQ(store_->Batches(node)->size(), 81u);
  const auto some = store_->BatchesIn(node, 50, 130).ValueOrDie();
  ASSERT_EQ(some.size(), 70u);
  for (size_t i = 0; i < some.size(); ++i) {
    EXPECT_EQ(some[i].id, (BatchId{node, 60 + static_cast<int64_t>(i)}));
    EXPECT_EQ(some[i].owner, me_);
  }
  EXPECT_EQ(store_->BatchesIn(node, kFinishBatch, 61)->size(), 2u);
  EXPECT_TRUE(store_->BatchesIn(node, 140, 200)->empty());
  EXPECT_TRUE(store_->BatchesIn(node, 5, 5)->empty());
}

TEST_P(StateStoreTest, DerivedChangesAreInTheCommit) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 1, me_);
  NodeChange change = End(node, NodeStatus::kSuccess);
  change.manifest = "table";
  change.counts = "{}";
  Commit({Success(node, claims[0])}, {{change}, {{node.run_id, "done"}}});
  EXPECT_EQ(Node(node).manifest, "table");
  EXPECT_EQ(Node(node).counts, "{}");
  const auto run = store_->FindRun(node.run_id).ValueOrDie();
  EXPECT_EQ(run->status, RunStatus::kComplete);
  EXPECT_EQ(run->comment, "done");
  EXPECT_NE(run->ended_ms, 0);
  // An end is final.
  change.status = NodeStatus::kFail;
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  EXPECT_EQ(Node(node).status, NodeStatus::kSuccess);
}

TEST_P(StateStoreTest, AnErrorStaysWithItsNode) {
  const NodeId node{NewRun(), 1};
  NodeChange change = End(node, NodeStatus::kFail);
  change.error = {"user", "bad_value", "no number: \xe2\x82\xac"};
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  EXPECT_EQ(Node(node).error.kind, "user");
  EXPECT_EQ(Node(node).error.error_class, "bad_value");
  EXPECT_EQ(Node(node).error.text, change.error.text);
  EXPECT_NE(Node(node).started_ms, 0);
  EXPECT_TRUE(store_->Apply({}).ok());
}

TEST_P(StateStoreTest, StopIsKeptAndNotOverwrittenByCompletion) {
  const int64_t run_id = NewRun();
  ASSERT_TRUE(store_->StopRun(run_id, "operator").ok());
  ASSERT_TRUE(store_->StopRun(run_id, "again").ok());
  ASSERT_TRUE(store_->Apply({{}, {{run_id, "done"}}}).ok());
  const auto run = store_->FindRun(run_id).ValueOrDie();
  EXPECT_EQ(run->status, RunStatus::kStop);
  EXPECT_EQ(run->comment, "operator");
  EXPECT_EQ(InfoOf(store_->StopRun(run_id + 1000, "")).error_class, "unknown_run");
  const int64_t complete = NewRun();
  ASSERT_TRUE(store_->Apply({{}, {{complete, "done"}}}).ok());
  ASSERT_TRUE(store_->StopRun(complete, "late").ok());
  EXPECT_EQ(store_->FindRun(complete).ValueOrDie()->status, RunStatus::kStop);
}

TEST_P(StateStoreTest, PinsAreSetOnce) {
  const NodeId node{NewRun(), 0};
  NodeChange change;
  change.id = node;
  change.pins = Pins{true, 3, 4, "fingerprint"};
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  change.pins = Pins{true, 5, 6, "other"};
  ASSERT_TRUE(store_->Apply({{change}, {}}).ok());
  const NodeRecord record = Node(node);
  EXPECT_TRUE(record.pins.set);
  EXPECT_EQ(record.pins.reader_run, 3);
  EXPECT_EQ(record.pins.lookup_run, 4);
  EXPECT_EQ(record.pins.inputs, "fingerprint");
  EXPECT_EQ(record.status, NodeStatus::kNone);
}

TEST_P(StateStoreTest, InputFilesStayWithTheirRunsAndBatches) {
  RunRecord run;
  run.affected_nodes = {"a", "b"};
  NodeRecord with_patterns;
  with_patterns.name = "a";
  with_patterns.urls = {"in/1.csv", "in/\"2\".csv"};
  with_patterns.batches_total = 2;
  NodeRecord without;
  without.name = "b";
  const NodeId node{store_->CreateRun(run, {with_patterns, without}).ValueOrDie(), 0};
  EXPECT_EQ(Node(node).urls, with_patterns.urls);
  EXPECT_TRUE(Node({node.run_id, 1}).urls.empty());
  const auto claims = ClaimAll(node, 0, 2, me_);
  AttemptEnd end = Success(node, claims[0]);
  end.input = R"({"url":"in/1.csv"})";
  Commit({end, Success(node, claims[1])});
  const auto batches = store_->Batches(node).ValueOrDie();
  EXPECT_EQ(batches[0].input, end.input);
  EXPECT_EQ(batches[1].input, "");
}

TEST_P(StateStoreTest, FilesGoFromPlannedToPublished) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 2, me_);
  FileRecord file = File(node, 0);
  const FileRecord other = File(node, 1);
  FileRecord dropped = file;
  dropped.target = "not sealed.csv";
  for (const FileRecord& each : {file, other, dropped}) ASSERT_TRUE(store_->PlanFile(each).ok());
  EXPECT_EQ(Files(node.run_id, FileState::kPlanned).size(), 3u);

  AttemptEnd end = Success(node, claims[0]);
  file.size = 10;
  file.rows = 2;
  end.files = {file};
  Commit({end});
  // Only that of the batch without end is still planned.
  EXPECT_EQ(Files(node.run_id, FileState::kPlanned).size(), 1u);
  auto pending = Files(node.run_id, FileState::kPending);
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].size, 10);
  EXPECT_EQ(pending[0].rows, 2);
  EXPECT_EQ(pending[0].temp_path, ".out.tmp");
  // What is pending is not forgotten.
  ASSERT_TRUE(store_->ForgetPlannedFiles(pending).ok());
  ASSERT_TRUE(store_->MarkPublished(pending, {}).ok());
  EXPECT_EQ(Files(node.run_id, FileState::kPublished).size(), 1u);
  ASSERT_TRUE(store_->ForgetPlannedFiles({other, file}).ok());
  EXPECT_EQ(Files(node.run_id, std::nullopt).size(), 1u);
}

TEST_P(StateStoreTest, FilesOfAFencedAttemptNeverBecomePending) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 1, me_);
  const FileRecord file = File(node, 0);
  ASSERT_TRUE(store_->PlanFile(file).ok());
  AttemptEnd end = Success(node, claims[0], other_);
  end.files = {file};
  EXPECT_EQ(Commit({end}), std::vector<bool>{false});
  EXPECT_TRUE(Files(node.run_id, FileState::kPending).empty());
  EXPECT_EQ(Files(node.run_id, FileState::kPlanned).size(), 1u);
  // Marks of files that are not pending change nothing.
  ASSERT_TRUE(store_->MarkPublished({file}, {}).ok());
  EXPECT_TRUE(Files(node.run_id, FileState::kPublished).empty());
  ASSERT_TRUE(store_->ForgetPlannedFiles({file}).ok());
  EXPECT_TRUE(Files(node.run_id, std::nullopt).empty());
}

TEST_P(StateStoreTest, LostFilesAreNoLongerPending) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 1, me_);
  const FileRecord file = File(node, 0);
  ASSERT_TRUE(store_->PlanFile(file).ok());
  AttemptEnd end = Success(node, claims[0]);
  end.files = {file};
  Commit({end});
  NodeChange failure = End(node, NodeStatus::kFail);
  failure.error = {"environment", "output_lost", "gone"};
  ASSERT_TRUE(store_->MarkLost({file}, {{failure}, {}}).ok());
  EXPECT_TRUE(Files(node.run_id, FileState::kPending).empty());
  EXPECT_TRUE(Files(node.run_id, FileState::kPublished).empty());
  EXPECT_EQ(Files(node.run_id, FileState::kLost).size(), 1u);
  EXPECT_EQ(Node(node).status, NodeStatus::kFail);
  EXPECT_EQ(Node(node).error.error_class, "output_lost");
}

TEST_P(StateStoreTest, EventsTellEveryChange) {
  const NodeId node{NewRun(), 0};
  const auto claims = ClaimAll(node, 0, 1, me_);
  Commit({Success(node, claims[0])}, {{End(node, NodeStatus::kSuccess)}, {{node.run_id, "done"}}});
  auto all = store_->EventsAfter(0, 1000000).ValueOrDie();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](const Event& left, const Event& right) {
    return left.number < right.number;
  }));
  auto events = all;
  std::erase_if(events, [&](const Event& event) { return event.run_id != node.run_id; });
  std::vector<std::string> told;
  for (const Event& event : events) {
    told.push_back(std::to_string(static_cast<int>(event.kind)) + event.node +
                   std::to_string(event.status));
    EXPECT_NE(event.ts_ms, 0);
  }
  std::sort(told.begin(), told.end());
  EXPECT_EQ(told, (std::vector<std::string>{"01", "02", "1a1", "1a2", "2a1", "2a2"}));
  EXPECT_EQ(events.front().kind, EventKind::kRun);
  EXPECT_EQ(events.back().comment, "done");
  const auto next = store_->EventsAfter(events[3].number, 1).ValueOrDie();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].number, events[4].number);
  EXPECT_TRUE(store_->EventsAfter(all.back().number, 10)->empty());
}

TEST_P(StateStoreTest, LiveManifestsAreThoseStillNeeded) {
  const NodeId node{NewRun({"a", "b", "c"}), 0};
  for (int64_t i = 0; i < 3; ++i) {
    const NodeId each{node.run_id, i};
    Commit({Success(each, ClaimAll(each, 0, 1, me_).at(0))});
  }
  NodeChange success = End(node, NodeStatus::kSuccess);
  success.manifest = "frozen" + std::to_string(node.run_id);
  ASSERT_TRUE(store_->Apply({{success, End({node.run_id, 1}, NodeStatus::kFail)}, {}}).ok());
  const std::string prefix = "m" + std::to_string(node.run_id) + ".";
  const auto live = [&] {
    auto manifests = store_->LiveManifests().ValueOrDie();
    std::erase_if(manifests, [&](const std::string& manifest) {
      return manifest != success.manifest && !manifest.starts_with(prefix);
    });
    std::sort(manifests.begin(), manifests.end());
    return manifests;
  };
  EXPECT_EQ(live(), (std::vector<std::string>{success.manifest, prefix + "2.0"}));
  ASSERT_TRUE(store_->StopRun(node.run_id, "").ok());
  EXPECT_EQ(live(), (std::vector<std::string>{success.manifest}));
}

TEST_P(StateStoreTest, TablesAndNodesAreFoundByName) {
  const std::string name = "n" + std::to_string(me_);
  const int64_t first = NewRun({"a", name});
  EXPECT_EQ(store_->NodeOfTable(first, "t_" + name).ValueOrDie()->name, name);
  EXPECT_FALSE(store_->NodeOfTable(first, "t_x").ValueOrDie().has_value());
  EXPECT_FALSE(store_->NodeOfTable(first + 1000, "t_a").ValueOrDie().has_value());
  const int64_t second = NewRun({name});
  ASSERT_TRUE(store_->StopRun(second, "").ok());
  const auto found = store_->NodesNamed({name, "nobody's"}).ValueOrDie();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].first.id, (NodeId{first, 1}));
  EXPECT_EQ(found[0].second.status, RunStatus::kStart);
  EXPECT_EQ(found[1].first.id, (NodeId{second, 0}));
  EXPECT_EQ(found[1].second.status, RunStatus::kStop);
}

TEST_P(StateStoreTest, NothingIsLeftToFinishAfterAnOrdinaryStart) {
  const int64_t run_id = NewRun();
  EXPECT_TRUE(store_->FinishStarts().ok());
  EXPECT_EQ(store_->Nodes(run_id)->size(), 2u);
  EXPECT_EQ(store_->IsShared(), GetParam() != "sqlite");
  EXPECT_TRUE(store_->Sync().ok());
}

TEST_P(StateStoreTest, ManyThreadsClaimAndCommitEachBatchOnce) {
  constexpr int64_t kBatches = 400;
  const NodeId node{NewRun({"a"}, kBatches), 0};
  std::atomic<int64_t> committed{0};
  const auto work = [&](OwnerId owner) {
    for (int64_t begin = 0; begin < kBatches; begin += 16) {
      std::vector<AttemptEnd> ends;
      for (const Claim& claim : ClaimAll(node, begin, begin + 16, owner)) {
        ends.push_back(Success(node, claim, owner));
      }
      const Status status = store_->EndAttempts(ends, [&](const std::vector<bool>& won) {
        committed += std::count(won.begin(), won.end(), true);
        return Changes{};
      });
      EXPECT_TRUE(status.ok()) << status.ToString();
    }
  };
  std::thread mine(work, me_);
  std::thread others(work, other_);
  std::thread reader([&] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(store_->Batches(node).ok());
  });
  mine.join();
  others.join();
  reader.join();
  EXPECT_EQ(committed, kBatches);
  EXPECT_EQ(store_->Batches(node).ValueOrDie().size(), static_cast<size_t>(kBatches));
}

INSTANTIATE_TEST_SUITE_P(Stores, StateStoreTest,
                         testing::Values("sqlite", "cassandra", "cassandra_lossy"),
                         [](const testing::TestParamInfo<std::string>& tested) {
                           return tested.param;
                         });

}  // namespace
}  // namespace capi::state
