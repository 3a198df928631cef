// What only the store on Cassandra has: other processes beside it, crashes between writes that are
// not one transaction, lost answers, clocks.

#include "capi/state/cassandra/cassandra_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/fault_point.h"
#include "capi/state/cassandra/cassandra_store_testing_internal.h"

namespace capi::state {
namespace {

TEST_F(CassandraStoreTest, AStartThatWasCutOffIsFinishedByAnybody) {
  const std::vector<std::string> points = {"state.run_created", "state.nodes_created",
                                           "state.properties_written", "state.counter_raised",
                                           "state.start_told"};
  enum Way { kFinishStarts, kNodes, kFindRun, kClaim, kStop, kNumWays };
  for (const std::string& point : points) {
    for (int way = 0; way < kNumWays; ++way) {
      ASSERT_TRUE(ArmFaultPoints(point + ":error").ok());
      EXPECT_FALSE(TryNewRun(store_.get()).ok());
      ASSERT_TRUE(ArmFaultPoints("").ok());
      const int64_t run_id = witness_->Runs()->back().run_id;
      switch (way) {
        case kFinishStarts:
          ASSERT_TRUE(witness_->FinishStarts().ok());
          break;
        case kNodes:
          ASSERT_EQ(witness_->Nodes(run_id)->size(), 2u);
          break;
        case kFindRun:
          ASSERT_TRUE(witness_->FindRun(run_id)->has_value());
          break;
        case kClaim:
          ASSERT_EQ(witness_->ClaimBatches({run_id, 0}, 0, 4, other_)->size(), 4u);
          break;
        default:
          ASSERT_TRUE(witness_->StopRun(run_id, "").ok());
      }
      const std::string where = point + " " + std::to_string(way);
      EXPECT_EQ(witness_->Nodes(run_id)->size(), 2u) << where;
      EXPECT_EQ(Told("wf_run_properties", run_id, {"affected_nodes", "run_description"}),
                std::vector<std::string>{"a,b|it's a \"test\""})
          << where;
      EXPECT_EQ(Told("wf_run_history", run_id, {"status", "comment"}).at(0), "1|api.StartRun")
          << where;
      EXPECT_GE(Counter(), run_id) << where;
      // It is found finished the next time.
      ASSERT_TRUE(ArmFaultPoints("state.nodes_created:error").ok());
      EXPECT_TRUE(place_->Open().ValueOrDie()->FinishStarts().ok()) << where;
      ASSERT_TRUE(ArmFaultPoints("").ok());
    }
  }
}

TEST_F(CassandraStoreTest, AStartThatDidNotCreateItsRunLeavesNothing) {
  const size_t before = witness_->Runs()->size();
  RunRecord run;
  run.script_url = "not UTF-8 \xff";  // the server refuses it
  const auto created = store_->CreateRun(run, {});
  EXPECT_EQ(KindOf(created.status()), ErrorKind::kUser) << Describe(created.status());
  EXPECT_EQ(witness_->Runs()->size(), before);
}

TEST_F(CassandraStoreTest, RunsStartedAtOnceGetDifferentIds) {
  constexpr int kThreads = 4;
  constexpr int kRuns = 4;
  std::vector<std::unique_ptr<StateStore>> stores;
  for (int i = 0; i < kThreads; ++i) stores.push_back(place_->Open().ValueOrDie());
  std::mutex mutex;
  std::set<int64_t> ids;
  std::vector<std::thread> threads;
  for (auto& store : stores) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRuns; ++i) {
        const auto run_id = TryNewRun(store.get());
        ASSERT_TRUE(run_id.ok()) << Describe(run_id.status());
        const std::lock_guard lock(mutex);
        ids.insert(*run_id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ids.size(), static_cast<size_t>(kThreads * kRuns));
  for (const int64_t run_id : ids) EXPECT_EQ(witness_->Nodes(run_id)->size(), 2u);
  EXPECT_GE(Counter(), *ids.rbegin());
}

TEST_F(CassandraStoreTest, ManyProcessesClaimAndCommitEachBatchOnce) {
  constexpr int64_t kBatches = 600;
  constexpr int kProcesses = 3;
  constexpr int kThreads = 2;
  const NodeId node{NewRun(kBatches), 1};
  std::vector<std::unique_ptr<StateStore>> stores;
  for (int i = 0; i < kProcesses; ++i) stores.push_back(place_->Open().ValueOrDie());
  std::mutex mutex;
  std::map<int64_t, int> times;
  std::vector<std::thread> threads;
  for (auto& store : stores) {
    const OwnerId owner = NewOwner(store.get());
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, owner] {
        for (int64_t begin = 0; begin < kBatches; begin += 100) {
          const auto claims = store->ClaimBatches(node, begin, begin + 100, owner);
          ASSERT_TRUE(claims.ok()) << Describe(claims.status());
          std::vector<AttemptEnd> ends;
          for (const Claim& claim : *claims) ends.push_back(Success(node, claim, owner));
          std::vector<bool> committed;
          const Status status = Commit(store.get(), ends, &committed);
          ASSERT_TRUE(status.ok()) << Describe(status);
          const std::lock_guard lock(mutex);
          for (size_t k = 0; k < ends.size(); ++k) {
            EXPECT_TRUE(committed[k]);
            ++times[ends[k].id.batch_index];
          }
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(times.size(), static_cast<size_t>(kBatches));
  for (const auto& [batch, count] : times) EXPECT_EQ(count, 1) << batch;
  EXPECT_EQ(witness_->Batches(node)->size(), static_cast<size_t>(kBatches));
  EXPECT_EQ(Told("wf_batch_history", node.run_id, {"batch_idx"}).size(), 2u * kBatches);
}

TEST_F(CassandraStoreTest, WhatAnOutageLeftOpenIsFoundOutAfterwards) {
  Outage outage;
  const auto session = NewOutageSession(CassandraTestServer::Instance().session(), &outage);
  CassandraStoreOptions options;
  options.keyspace = CassandraTestServer::Instance().keyspace();
  const auto store = OpenCassandraStore(Env::Default(), session.get(), options).ValueOrDie();
  const OwnerId owner = NewOwner(store.get());
  const NodeId node{NewRun(200), 0};
  const auto held = store->ClaimBatches(node, 0, 2, owner).ValueOrDie();

  // A claim that nobody knows of is given back.
  outage.begins = true;
  EXPECT_FALSE(store->ClaimBatches(node, 100, 150, owner).ok());
  outage.lasts = false;
  EXPECT_FALSE(witness_->BatchesIn(node, 100, 150)->empty());
  EXPECT_TRUE(store->RenewOwner(owner, {}).ValueOrDie());
  EXPECT_EQ(witness_->ClaimBatches(node, 100, 150, other_)->size(), 50u);
  EXPECT_EQ(store->BatchesIn(node, 0, 1)->at(0).status, NodeStatus::kStart);  // held ones are not

  // A commit is recognised by him who repeats it, and is not made twice.
  std::vector<bool> committed;
  const std::vector<AttemptEnd> ends = {Success(node, held[0], owner)};
  outage.begins = true;
  EXPECT_FALSE(Commit(store.get(), ends, &committed).ok());
  EXPECT_TRUE(committed.empty());
  outage.lasts = false;
  ASSERT_TRUE(Commit(store.get(), ends, &committed).ok());
  EXPECT_EQ(committed, std::vector<bool>{true});
  ASSERT_TRUE(Commit(store.get(), ends, &committed).ok());
  EXPECT_EQ(committed, std::vector<bool>{false});

  // A run whose creation was not answered is found and finished.
  const int64_t newest = witness_->Runs()->back().run_id;
  outage.begins = true;
  EXPECT_FALSE(TryNewRun(store.get()).ok());
  outage.lasts = false;
  ASSERT_TRUE(store->FinishStarts().ok());
  EXPECT_EQ(witness_->Runs()->back().run_id, newest + 1);
  EXPECT_EQ(witness_->Nodes(newest + 1)->size(), 2u);
}

TEST_F(CassandraStoreTest, ClaimsOfAnOwnerWhoseExpiryWasCutOffAreTakenOver) {
  const NodeId node{NewRun(), 0};
  const auto claims = store_->ClaimBatches(node, 0, 3, me_).ValueOrDie();
  ASSERT_EQ(claims.size(), 3u);
  ASSERT_TRUE(ArmFaultPoints("state.owner_expired:error").ok());
  EXPECT_FALSE(witness_->ExpireOwner(me_, 0).ok());
  ASSERT_TRUE(ArmFaultPoints("").ok());
  EXPECT_EQ(witness_->Batches(node)->at(0).owner, me_);  // nobody gave it back
  const auto taken = witness_->ClaimBatches(node, 0, 4, other_).ValueOrDie();
  ASSERT_EQ(taken.size(), 4u);
  EXPECT_EQ(taken[0].attempt, 2);
  EXPECT_EQ(taken[3].attempt, 1);
  std::vector<bool> committed;
  ASSERT_TRUE(Commit(store_.get(), {Success(node, claims[0], me_)}, &committed).ok());
  EXPECT_EQ(committed, std::vector<bool>{false});
  const auto former = witness_->FormerAttempts(node).ValueOrDie();
  ASSERT_EQ(former.size(), 3u);
  EXPECT_EQ(former[0].outcome, "lost");
  EXPECT_EQ(former[0].owner, me_);
}

TEST_F(CassandraStoreTest, InterruptedBatchesThatMustNotBeRepeatedFailWhenSomebodyWantsThem) {
  const NodeId node{NewRun(4, /*rerun_fails=*/true), 0};
  ASSERT_EQ(store_->ClaimBatches(node, 0, 1, me_)->size(), 1u);
  ASSERT_EQ(store_->ClaimBatches(node, kFinishBatch, 0, me_)->size(), 1u);
  ASSERT_TRUE(ArmFaultPoints("state.owner_expired:error").ok());
  EXPECT_FALSE(witness_->ExpireOwner(me_, 0).ok());
  ASSERT_TRUE(ArmFaultPoints("").ok());
  const auto taken = witness_->ClaimBatches(node, kFinishBatch, 2, other_).ValueOrDie();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].batch_index, kFinishBatch);
  EXPECT_EQ(taken[0].attempt, 2);
  EXPECT_EQ(taken[1].batch_index, 1);
  const auto batches = witness_->BatchesIn(node, 0, 1).ValueOrDie();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].status, NodeStatus::kFail);
  EXPECT_EQ(batches[0].error.error_class, "interrupted_batch");
}

TEST_F(CassandraStoreTest, AnExpiredOwnerDoesNotComeBack) {
  ASSERT_TRUE(witness_->ExpireOwner(me_, 0)->has_value());
  EXPECT_FALSE(store_->RegisterOwner({me_, "late", 0, {}}).ok());
  EXPECT_FALSE(store_->RenewOwner(me_, {}).ValueOrDie());
  for (const OwnerRecord& owner : witness_->Owners().ValueOrDie()) EXPECT_NE(owner.owner, me_);
  // Its row is removed when it is old.
  CassandraTestServer& server = CassandraTestServer::Instance();
  const std::string row = server.keyspace() + ".wf_capi_owner ";
  const std::string key = " WHERE part = 0 AND owner = " + std::to_string(me_);
  cql::Request age;
  age.statement = server.session()
                      ->Prepare("UPDATE " + row + "SET gone_ms = 1" + key + " IF EXISTS", false)
                      .ValueOrDie();
  ASSERT_TRUE(server.session()->ExecuteConditional({age})->applied);
  ASSERT_TRUE(store_->ExpireOwner(other_, 0)->has_value());
  cql::Request select;
  select.statement = server.session()->Prepare("SELECT owner FROM " + row + key, true).ValueOrDie();
  EXPECT_TRUE(server.session()->Execute(select)->empty());
}

TEST_F(CassandraStoreTest, AClaimMadeAfterTheOwnersExpiryIsTakenOver) {
  const NodeId node{NewRun(), 0};
  ASSERT_EQ(store_->ClaimBatches(node, 0, 1, me_)->size(), 1u);  // it has read the owners now
  ASSERT_TRUE(witness_->ExpireOwner(me_, 0)->has_value());
  const auto late = store_->ClaimBatches(node, 1, 2, me_).ValueOrDie();
  const auto taken = witness_->ClaimBatches(node, 0, 2, other_).ValueOrDie();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].attempt, 2);
  EXPECT_EQ(taken[1].attempt, late.empty() ? 1 : 2);
  EXPECT_FALSE(store_->RenewOwner(me_, {}).ValueOrDie());
}

TEST_F(CassandraStoreTest, NoPlanHidesTheFileThatWasSealed) {
  const NodeId node{NewRun(1), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, me_).ValueOrDie();
  FileRecord file;
  file.id = {node, 0};
  file.attempt = 1;
  file.target = "out";
  file.temp_path = "plan";
  ASSERT_TRUE(store_->PlanFile(file).ok());
  // A server whose clock is an hour ahead took an earlier plan.
  CassandraTestServer& server = CassandraTestServer::Instance();
  const int64_t ahead = (Env::Default()->NowMillis() + 3600000) * 1000;
  cql::Request plan;
  plan.statement =
      server.session()
          ->Prepare(
              "UPDATE " + server.keyspace() + ".wf_capi_file USING TIMESTAMP " +
                  std::to_string(ahead) +
                  " SET temp_path = 'earlier plan' WHERE run_id = " + std::to_string(node.run_id) +
                  " AND node_index = 0 AND batch_index = 0 AND attempt = 1 AND target = 'out'",
              true)
          .ValueOrDie();
  ASSERT_TRUE(server.session()->Execute(plan).ok());
  EXPECT_EQ(store_->Files(node.run_id, FileState::kPlanned)->at(0).temp_path, "earlier plan");
  AttemptEnd end = Success(node, claims[0], me_);
  file.temp_path = "sealed";
  end.files = {file};
  ASSERT_TRUE(Commit(store_.get(), {end}).ok());
  const auto pending = witness_->Files(node.run_id, FileState::kPending).ValueOrDie();
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].temp_path, "sealed");
}

TEST_F(CassandraStoreTest, AnOtherProcessSeesWhatHappensWithinASecond) {
  const NodeId node{NewRun(), 0};
  ASSERT_EQ(witness_->ClaimBatches(node, 0, 1, other_)->size(), 1u);  // it has read the node now
  ASSERT_TRUE(store_->StopRun(node.run_id, "").ok());
  EXPECT_EQ(witness_->FindRun(node.run_id).ValueOrDie()->status, RunStatus::kStop);
  // What it read before may count for a second.
  const int64_t begin = Env::Default()->MonotonicNanos();
  while (true) {
    const auto claims = witness_->ClaimBatches(node, 1, 2, other_).ValueOrDie();
    if (claims.empty()) break;
    const int64_t attempt = claims[0].attempt;
    ASSERT_TRUE(witness_->ReleaseAttempts({{{node, 1}, attempt, other_, "cancelled", ""}}).ok());
    ASSERT_LT(Env::Default()->MonotonicNanos() - begin, int64_t{30} * 1000000000);
  }
  EXPECT_EQ(witness_->BatchesIn(node, 1, 2)->at(0).status, NodeStatus::kNone);
}

TEST_F(CassandraStoreTest, LongTextsAndManyFilesFit) {
  RunRecord run;
  run.affected_nodes = {"a", "b", "c"};
  std::vector<NodeRecord> nodes(3);
  for (size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].name = run.affected_nodes[i];
    nodes[i].batches_total = 100;
    for (int k = 0; k < 10000; ++k) {
      nodes[i].urls.push_back("https://example.com/a/long/folder/file_" + std::to_string(k));
    }
  }
  const auto run_id = store_->CreateRun(run, nodes);
  ASSERT_TRUE(run_id.ok()) << Describe(run_id.status());
  EXPECT_EQ(witness_->Nodes(*run_id)->at(2).urls, nodes[2].urls);
  const NodeId node{*run_id, 1};
  std::vector<AttemptEnd> ends;
  for (const Claim& claim : store_->ClaimBatches(node, 0, 60, me_).ValueOrDie()) {
    ends.push_back(Success(node, claim, me_));
    ends.back().manifest = std::string(100000, 'x');
  }
  std::vector<bool> committed;
  const Status status = Commit(store_.get(), ends, &committed);
  ASSERT_TRUE(status.ok()) << Describe(status);
  EXPECT_EQ(committed, std::vector<bool>(60, true));
  EXPECT_EQ(witness_->Batches(node)->at(59).manifest.size(), 100000u);
}

TEST_F(CassandraStoreTest, ANodeMayHaveAHundredThousandBatches) {
  constexpr int64_t kBatches = 100000;
  const NodeId node{NewRun(kBatches), 1};
  // The whole of it is measured by the benchmark; here its ends and its middle.
  for (const int64_t begin : {int64_t{0}, kBatches / 2, kBatches - 256}) {
    const auto claims = store_->ClaimBatches(node, begin, begin + 256, me_);
    ASSERT_TRUE(claims.ok()) << Describe(claims.status());
    EXPECT_EQ(claims->size(), 256u);
    EXPECT_EQ(claims->front().batch_index, begin);
  }
  EXPECT_EQ(witness_->Batches(node)->size(), 768u);
  EXPECT_EQ(witness_->BatchesIn(node, kBatches - 10, kBatches)->size(), 10u);
  const auto lost = witness_->ExpireOwner(me_, 0);
  ASSERT_TRUE(lost.ok()) << Describe(lost.status());
  EXPECT_EQ(lost->value().size(), 768u);
  ASSERT_TRUE(store_->StopRun(node.run_id, "").ok());  // other tests need not look at it
}

}  // namespace
}  // namespace capi::state
