// The tables of the original: what its tools read and write, and what is told late.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "capi/base/fault_point.h"
#include "capi/state/cassandra/cassandra_store_testing_internal.h"

namespace capi::state {
namespace {

TEST_F(CassandraStoreTest, ACommitWhoseConsequencesWereCutOffStands) {
  const NodeId node{NewRun(2), 0};
  const auto claims = store_->ClaimBatches(node, 0, 2, me_).ValueOrDie();
  FileRecord file;
  file.id = {node, 0};
  file.attempt = 1;
  file.target = "it's out.csv";
  file.temp_path = ".tmp";
  ASSERT_TRUE(store_->PlanFile(file).ok());
  AttemptEnd end = Success(node, claims[0], me_);
  end.files = {file};
  // Before the commit the file does not count ...
  ASSERT_TRUE(ArmFaultPoints("state.before_commit:error").ok());
  EXPECT_FALSE(Commit(store_.get(), {end}).ok());
  ASSERT_TRUE(ArmFaultPoints("").ok());
  EXPECT_TRUE(witness_->Files(node.run_id, FileState::kPending)->empty());
  EXPECT_EQ(witness_->Files(node.run_id, FileState::kPlanned)->size(), 1u);
  // ... and after it it does, whatever else is missing.
  ASSERT_TRUE(ArmFaultPoints("state.after_commit:error").ok());
  EXPECT_FALSE(Commit(store_.get(), {end}).ok());
  ASSERT_TRUE(ArmFaultPoints("").ok());
  EXPECT_EQ(witness_->Files(node.run_id, FileState::kPending)->size(), 1u);
  EXPECT_EQ(witness_->Batches(node)->at(0).status, NodeStatus::kSuccess);
  std::vector<bool> committed;
  ASSERT_TRUE(Commit(store_.get(), {Success(node, claims[1], me_)}, &committed).ok());
  EXPECT_EQ(committed, std::vector<bool>{true});
  EXPECT_EQ(Told("wf_batch_history", node.run_id, {"batch_idx", "status"}),
            (std::vector<std::string>{"0|1", "1|1", "1|2"}));
  // Who ends the node tells the end of the batch.
  ASSERT_TRUE(witness_->Apply({{End(node, NodeStatus::kSuccess)}, {}}).ok());
  EXPECT_EQ(Told("wf_batch_history", node.run_id, {"batch_idx", "status"}),
            (std::vector<std::string>{"0|1", "0|2", "1|1", "1|2"}));
}

TEST_F(CassandraStoreTest, EndsThatWereNotToldAreToldLater) {
  const NodeId node{NewRun(1), 0};
  const auto claims = store_->ClaimBatches(node, 0, 1, me_).ValueOrDie();
  ASSERT_TRUE(Commit(store_.get(), {Success(node, claims[0], me_)}).ok());
  NodeChange failure = End(node, NodeStatus::kFail);
  failure.error.text = "why";
  ASSERT_TRUE(ArmFaultPoints("state.node_ended:error").ok());
  EXPECT_FALSE(store_->Apply({{failure}, {}}).ok());
  ASSERT_TRUE(ArmFaultPoints("").ok());
  EXPECT_EQ(Told("wf_node_history", node.run_id, {"status"}), std::vector<std::string>{"1"});
  ASSERT_TRUE(ArmFaultPoints("state.run_ended:error").ok());
  EXPECT_FALSE(store_->Apply({{}, {{node.run_id, "done"}}}).ok());
  ASSERT_TRUE(ArmFaultPoints("").ok());
  EXPECT_EQ(Told("wf_run_history", node.run_id, {"status"}), std::vector<std::string>{"1"});
  ASSERT_TRUE(witness_->FinishStarts().ok());
  EXPECT_EQ(Told("wf_run_history", node.run_id, {"status", "comment"}),
            (std::vector<std::string>{"1|api.StartRun", "2|done"}));
  EXPECT_EQ(Told("wf_node_history", node.run_id, {"status", "comment"}),
            (std::vector<std::string>{"1|", "3|why"}));
  ASSERT_TRUE(ArmFaultPoints("state.run_ended:error").ok());
  EXPECT_FALSE(store_->StopRun(node.run_id, "late").ok());
  ASSERT_TRUE(ArmFaultPoints("").ok());
  ASSERT_TRUE(witness_->FinishStarts().ok());
  EXPECT_EQ(Told("wf_run_history", node.run_id, {"status"}),
            (std::vector<std::string>{"1", "2", "3"}));
}

TEST_F(CassandraStoreTest, ToolsOfTheOriginalFindWhatTheyExpect) {
  const int64_t run_id = NewRun(3);
  for (int64_t i = 0; i < 2; ++i) {
    const NodeId node{run_id, i};
    std::vector<AttemptEnd> ends;
    for (const Claim& claim : store_->ClaimBatches(node, 0, 3, me_).ValueOrDie()) {
      ends.push_back(Success(node, claim, me_));
    }
    ASSERT_TRUE(Commit(store_.get(), ends).ok());
    const auto finish = store_->ClaimBatches(node, kFinishBatch, 0, me_).ValueOrDie();
    ASSERT_TRUE(Commit(store_.get(), {Success(node, finish.at(0), me_)}, nullptr,
                       {{End(node, NodeStatus::kSuccess)}, {}})
                    .ok());
  }
  ASSERT_TRUE(store_->Apply({{}, {{run_id, "done"}}}).ok());
  EXPECT_EQ(Told("wf_run_properties", run_id,
                 {"start_nodes", "affected_nodes", "script_url", "script_params_url"}),
            std::vector<std::string>{"a,b|a,b|script.json|params.json"});
  EXPECT_EQ(Told("wf_run_history", run_id, {"status", "comment"}),
            (std::vector<std::string>{"1|api.StartRun", "2|done"}));
  EXPECT_EQ(Told("wf_node_history", run_id, {"script_node", "written_by_batch_idx", "status"}),
            (std::vector<std::string>{"a|0|1", "a|0|2", "b|0|1", "b|0|2"}));
  const std::string instance = "host/" + std::to_string(me_ % 1000);
  const std::string third = "-3074457345618258604";
  EXPECT_EQ(Told("wf_batch_history", run_id,
                 {"script_node", "batch_idx", "batches_total", "status", "first_token",
                  "last_token", "instance"}),
            (std::vector<std::string>{
                "a|0|3|1|0|0|" + instance, "a|0|3|2|0|0|" + instance, "a|1|3|1|1|1|" + instance,
                "a|1|3|2|1|1|" + instance, "a|2|3|1|2|2|" + instance, "a|2|3|2|2|2|" + instance,
                "b|0|3|1|-9223372036854775808|-3074457345618258605|" + instance,
                "b|0|3|2|-9223372036854775808|-3074457345618258605|" + instance,
                "b|1|3|1|" + third + "|3074457345618258599|" + instance,
                "b|1|3|2|" + third + "|3074457345618258599|" + instance,
                "b|2|3|1|3074457345618258600|9223372036854775807|" + instance,
                "b|2|3|2|3074457345618258600|9223372036854775807|" + instance}));
  for (const std::string& cells : Told("wf_batch_history", run_id, {"ts", "thread"})) {
    EXPECT_FALSE(cells.starts_with("|") || cells.ends_with("|")) << cells;
  }
}

TEST_F(CassandraStoreTest, AStopByToolsOfTheOriginalStopsARun) {
  CassandraTestServer& server = CassandraTestServer::Instance();
  const auto stop = [&](int64_t run_id) {
    const std::string cql = "INSERT INTO " + server.keyspace() +
                            ".wf_run_history (ts, run_id, status, comment) VALUES "
                            "(toTimestamp(now()), " +
                            std::to_string(run_id) + ", 3, 'by operator') IF NOT EXISTS";
    cql::Request request;
    request.statement = server.session()->Prepare(cql, false).ValueOrDie();
    EXPECT_TRUE(server.session()->ExecuteConditional({request})->applied);
  };
  const int64_t found = NewRun();
  stop(found);
  const auto run = witness_->FindRun(found).ValueOrDie();
  EXPECT_EQ(run->status, RunStatus::kStop);
  EXPECT_EQ(run->comment, "by operator");
  EXPECT_EQ(store_->FindRun(found).ValueOrDie()->comment, "by operator");

  const int64_t claimed = NewRun();
  stop(claimed);
  EXPECT_TRUE(store_->ClaimBatches({claimed, 0}, 0, 4, me_)->empty());

  const int64_t complete = NewRun();
  ASSERT_TRUE(store_->Apply({{}, {{complete, "done"}}}).ok());
  stop(complete);
  ASSERT_TRUE(witness_->FinishStarts().ok());
  EXPECT_EQ(witness_->Runs()->back().status, RunStatus::kStop);
  ASSERT_TRUE(witness_->FinishStarts().ok());
  EXPECT_EQ(Told("wf_run_history", complete, {"status", "comment"}),
            (std::vector<std::string>{"1|api.StartRun", "2|done", "3|by operator"}));
}

}  // namespace
}  // namespace capi::state
