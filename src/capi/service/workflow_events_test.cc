#include "capi/service/workflow_events.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "capi/service/engine.h"
#include "capi/service/history.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::service {
namespace {

using state::NodeStatus;
using state::RunStatus;
using workflow::CopyNode;
using workflow::ReadNode;
using workflow::ScriptText;
using workflow::TestFiles;
using workflow::WriteNode;

NodeEvent Event(int64_t ts, int64_t run_id, const std::string& node, int64_t batch,
                NodeStatus status) {
  return {ts, run_id, node, batch, status, ""};
}

/// "ts run node batch status" of each row.
std::vector<std::string> Texts(const std::vector<NodeEvent>& rows) {
  std::vector<std::string> texts;
  for (const NodeEvent& row : rows) {
    texts.push_back(std::to_string(row.ts_ms) + " " + std::to_string(row.run_id) + " " + row.node +
                    " " + std::to_string(row.written_by_batch) + " " +
                    std::string(NodeStatusName(row.status)));
  }
  return texts;
}

TEST(SelectNodeEventsTest, EarliestStartAndLatestEnds) {
  const auto rows = SelectNodeEvents(
      {Event(12, 1, "a", 1, NodeStatus::kStart), Event(10, 1, "a", 0, NodeStatus::kStart),
       Event(11, 1, "a", 2, NodeStatus::kStart), Event(20, 1, "a", 0, NodeStatus::kSuccess),
       Event(22, 1, "a", 1, NodeStatus::kSuccess), Event(21, 1, "a", 2, NodeStatus::kFail),
       Event(19, 1, "a", 2, NodeStatus::kFail), Event(23, 1, "a", 1, NodeStatus::kStopReceived),
       Event(24, 1, "a", 0, NodeStatus::kStopReceived)});
  EXPECT_EQ(Texts(rows), (std::vector<std::string>{"10 1 a 0 start", "21 1 a 2 fail",
                                                   "22 1 a 1 success", "24 1 a 0 stopreceived"}));
}

TEST(SelectNodeEventsTest, TheSmallestBatchWinsTies) {
  const auto rows = SelectNodeEvents(
      {Event(10, 1, "a", 2, NodeStatus::kStart), Event(10, 1, "a", 1, NodeStatus::kStart),
       Event(20, 1, "a", 1, NodeStatus::kSuccess), Event(20, 1, "a", 0, NodeStatus::kSuccess)});
  EXPECT_EQ(Texts(rows), (std::vector<std::string>{"10 1 a 1 start", "20 1 a 0 success"}));
}

TEST(SelectNodeEventsTest, SortedByTimeThenRunThenBatch) {
  const auto rows = SelectNodeEvents(
      {Event(10, 2, "a", 0, NodeStatus::kStart), Event(10, 1, "b", 3, NodeStatus::kStart),
       Event(10, 1, "c", 1, NodeStatus::kStart), Event(9, 3, "d", 9, NodeStatus::kStart)});
  EXPECT_EQ(Texts(rows), (std::vector<std::string>{"9 3 d 9 start", "10 1 c 1 start",
                                                   "10 1 b 3 start", "10 2 a 0 start"}));
  EXPECT_TRUE(SelectNodeEvents({}).empty());
}

class WorkflowEventsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_.Path("out"));
    const std::string input = directory_.Write("in.csv", "v\n1\n2\n3\n");
    directory_.Write("chain.json",
                     ScriptText({ReadNode("read", {input}), CopyNode("copy", "read", 4),
                                 WriteNode("write", "copy", directory_.Path("out/out.csv"))}));
    location_.env = Env::Default();
    location_.data_directory = directory_.Path("data");
    location_.name = "chain";
  }

  void Run() {
    EngineOptions options;
    options.data_directory = location_.data_directory;
    options.threads = 2;
    RunOptions run;
    run.script.script_url = directory_.Path("chain.json");
    run.start_comment = "begun";
    ASSERT_TRUE(Engine::Make(options).ValueOrDie()->RunScript(run, nullptr)->AllSucceeded());
  }

  TestFiles directory_;
  KeyspaceOptions location_;
};

TEST_F(WorkflowEventsTest, RowsOfARun) {
  Run();
  const std::vector<RunEvent> runs = RunEventsOf(location_).ValueOrDie();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].status, RunStatus::kStart);
  EXPECT_EQ(runs[0].comment, "begun");
  EXPECT_EQ(runs[1].status, RunStatus::kComplete);
  EXPECT_EQ(runs[1].comment, R"({"read":"success","copy":"success","write":"success"})");

  const std::vector<NodeEvent> nodes = NodeEventsOf(location_, {{1}, {"copy"}}).ValueOrDie();
  ASSERT_EQ(nodes.size(), 2u);
  EXPECT_EQ(nodes[0].status, NodeStatus::kStart);
  EXPECT_EQ(nodes[1].status, NodeStatus::kSuccess);

  const std::vector<BatchEvent> batches = BatchEventsOf(location_, {{1}, {"copy"}}).ValueOrDie();
  ASSERT_EQ(batches.size(), 8u);
  int64_t written = 0;
  for (const BatchEvent& batch : batches) {
    EXPECT_EQ(batch.batches_total, 4);
    EXPECT_LT(batch.first_token, batch.last_token);
    EXPECT_EQ(batch.instance, "");  // the process has gone
    EXPECT_EQ(batch.thread, std::nullopt);
    if (batch.status == NodeStatus::kSuccess) {
      ++written;
      EXPECT_TRUE(batch.comment.starts_with("row_reads: ")) << batch.comment;
    }
  }
  EXPECT_EQ(written, 4);
  const std::vector<BatchEvent> files = BatchEventsOf(location_, {{}, {"read"}}).ValueOrDie();
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[1].last_token, 0);
  EXPECT_EQ(files[1].comment, "row_reads: 3; row_writes: 3");
}

TEST_F(WorkflowEventsTest, FiltersAndStops) {
  Run();
  Run();
  EXPECT_EQ(NodeEventsOf(location_, {}).ValueOrDie().size(), 12u);
  EXPECT_EQ(NodeEventsOf(location_, {{2}, {}}).ValueOrDie().size(), 6u);
  EXPECT_EQ(BatchEventsOf(location_, {{1, 2}, {"read", "write"}}).ValueOrDie().size(), 8u);
  EXPECT_TRUE(NodeEventsOf(location_, {{9}, {}}).ValueOrDie().empty());
  EXPECT_TRUE(BatchEventsOf(location_, {{1}, {"raed"}}).ValueOrDie().empty());
  ASSERT_TRUE(StopRun(location_, 2, "wrong").ok());
  const std::vector<RunEvent> runs = RunEventsOf(location_).ValueOrDie();
  ASSERT_EQ(runs.size(), 5u);
  EXPECT_EQ(runs.back().status, RunStatus::kStop);
  EXPECT_EQ(runs.back().comment, "wrong");
}

TEST_F(WorkflowEventsTest, UnknownKeyspace) {
  EXPECT_EQ(InfoOf(RunEventsOf(location_).status()).error_class, "unknown_keyspace");
  EXPECT_EQ(InfoOf(NodeEventsOf(location_, {}).status()).error_class, "unknown_keyspace");
  location_.name = "system_x";
  EXPECT_EQ(InfoOf(BatchEventsOf(location_, {}).status()).error_class, "bad_keyspace_name");
}

}  // namespace
}  // namespace capi::service
