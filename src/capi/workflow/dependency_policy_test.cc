#include "capi/workflow/dependency_policy.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "capi/workflow/workflow_testing_internal.h"

namespace capi::workflow {
namespace {

using script::RuleCommand;
using state::NodeStatus;
using state::RunStatus;

std::shared_ptr<const script::Script> WithPolicy(const std::string& order,
                                                 const std::string& rules) {
  return ParseScript(ScriptText({ReadNode("read", {"x.csv"}), CopyNode("copy", "read", 1)},
                                R"({"p":{"is_default":true,"event_priority_order":")" + order +
                                    R"(","rules":[)" + rules + "]}}"));
}

std::string Rule(const std::string& command, const std::string& expression) {
  return R"({"cmd":")" + command + R"(","expression":")" + expression + R"("})";
}

DependencyRecord Record(int64_t run_id, bool current, RunStatus run, NodeStatus node) {
  DependencyRecord record;
  record.run_id = run_id;
  record.run_is_current = current;
  record.run_status = run;
  record.node_status = node;
  return record;
}

class StockPolicyTest : public testing::Test {
 protected:
  DependencyDecision DecideOn(const std::vector<DependencyRecord>& records) {
    auto decision = Decide(*script_->policies[0], records, {});
    EXPECT_TRUE(decision.ok()) << decision.status().ToString();
    return decision.ValueOr(DependencyDecision{});
  }
  std::shared_ptr<const script::Script> script_ =
      ParseScript(ScriptText({ReadNode("read", {"x.csv"}), CopyNode("copy", "read", 1)}));
};

TEST_F(StockPolicyTest, EveryCombinationOfStatuses) {
  constexpr RunStatus kRunStatuses[] = {RunStatus::kNone, RunStatus::kStart, RunStatus::kComplete,
                                        RunStatus::kStop};
  constexpr NodeStatus kNodeStatuses[] = {NodeStatus::kNone, NodeStatus::kStart,
                                          NodeStatus::kSuccess, NodeStatus::kFail,
                                          NodeStatus::kStopReceived};
  // Rule numbers from 1, 0 = nothing matches; rows: run status, columns: node status.
  constexpr int kCurrent[4][5] = {
      {2, 3, 0, 0, 0}, {2, 3, 1, 4, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
  constexpr int kFormer[4][5] = {
      {6, 7, 0, 0, 0}, {6, 7, 5, 0, 0}, {0, 0, 8, 9, 0}, {10, 10, 10, 10, 10}};
  constexpr RuleCommand kCommands[] = {RuleCommand::kWait, RuleCommand::kGo,   RuleCommand::kWait,
                                       RuleCommand::kWait, RuleCommand::kNoGo, RuleCommand::kGo,
                                       RuleCommand::kWait, RuleCommand::kWait, RuleCommand::kGo,
                                       RuleCommand::kNoGo, RuleCommand::kNoGo};
  for (const bool current : {true, false}) {
    for (int r = 0; r < 4; ++r) {
      for (int n = 0; n < 5; ++n) {
        const int rule = current ? kCurrent[r][n] : kFormer[r][n];
        const DependencyDecision decision =
            DecideOn({Record(7, current, kRunStatuses[r], kNodeStatuses[n])});
        const std::string text = std::string(current ? "current " : "former ") +
                                 std::string(RunStatusName(kRunStatuses[r])) + " " +
                                 std::string(NodeStatusName(kNodeStatuses[n]));
        EXPECT_EQ(decision.rule + 1, rule) << text;
        EXPECT_EQ(decision.command, kCommands[rule]) << text;
        EXPECT_EQ(decision.run_id, 7) << text;
      }
    }
  }
}

TEST_F(StockPolicyTest, CurrentRunComesFirstThenTheNewest) {
  const auto former_success = Record(4, false, RunStatus::kComplete, NodeStatus::kSuccess);
  const auto newer_success = Record(5, false, RunStatus::kComplete, NodeStatus::kSuccess);
  EXPECT_EQ(DecideOn({former_success, newer_success}).run_id, 5);
  EXPECT_EQ(DecideOn({former_success, newer_success,
                      Record(6, true, RunStatus::kStart, NodeStatus::kStart)})
                .command,
            RuleCommand::kWait);
  EXPECT_EQ(
      DecideOn({Record(3, true, RunStatus::kStart, NodeStatus::kSuccess), newer_success}).run_id,
      3);
}

TEST_F(StockPolicyTest, ARecordWithoutRuleIsSkipped) {
  const auto decision = DecideOn({Record(9, false, RunStatus::kComplete, NodeStatus::kStopReceived),
                                  Record(4, false, RunStatus::kComplete, NodeStatus::kSuccess)});
  EXPECT_EQ(decision.command, RuleCommand::kGo);
  EXPECT_EQ(decision.run_id, 4);
}

TEST_F(StockPolicyTest, AStoppedNewerRunRefusesOlderResults) {
  EXPECT_EQ(DecideOn({Record(4, false, RunStatus::kComplete, NodeStatus::kSuccess),
                      Record(5, false, RunStatus::kStop, NodeStatus::kNone)})
                .command,
            RuleCommand::kNoGo);
}

TEST_F(StockPolicyTest, NothingMatchesWaitsForTheFirst) {
  const auto decision = DecideOn({Record(4, false, RunStatus::kComplete, NodeStatus::kNone),
                                  Record(5, false, RunStatus::kComplete, NodeStatus::kStart)});
  EXPECT_EQ(decision.command, RuleCommand::kWait);
  EXPECT_EQ(decision.run_id, 5);
  EXPECT_EQ(decision.rule, -1);
}

TEST_F(StockPolicyTest, NoRecordIsAUserError) {
  EXPECT_EQ(InfoOf(Decide(*script_->policies[0], {}, {}).status()).error_class,
            "dependency_never_started");
}

TEST(DependencyPolicyTest, WithoutOrderTheNewestRunIsFirst) {
  const auto script = WithPolicy("", Rule("go", "nrs.node_status == wfmodel.NodeBatchSuccess"));
  const auto decision = Decide(*script->policies[0],
                               {Record(1, true, RunStatus::kStart, NodeStatus::kSuccess),
                                Record(2, false, RunStatus::kComplete, NodeStatus::kSuccess)},
                               {});
  EXPECT_EQ(decision->run_id, 2);
}

TEST(DependencyPolicyTest, WithoutRulesItWaits) {
  const auto script = WithPolicy("run_id(asc)", "");
  const auto decision = Decide(*script->policies[0],
                               {Record(2, true, RunStatus::kStart, NodeStatus::kSuccess),
                                Record(1, false, RunStatus::kStart, NodeStatus::kSuccess)},
                               {});
  EXPECT_EQ(decision->command, RuleCommand::kWait);
  EXPECT_EQ(decision->run_id, 1);
}

TEST(DependencyPolicyTest, OldSpellingWithTimes) {
  const auto script =
      WithPolicy("run_is_current(desc),node_start_ts(desc)",
                 Rule("go",
                      "e.run_final_status == wfmodel.RunComplete && e.node_is_started && "
                      "e.run_completed_ts > e.run_start_ts") +
                     "," + Rule("nogo", "e.run_stopped_ts > e.run_start_ts"));
  auto older = Record(1, false, RunStatus::kComplete, NodeStatus::kSuccess);
  older.run_start_ms = 10;
  older.run_completed_ms = 20;
  older.node_start_ms = 100;
  auto newer = older;
  newer.run_id = 2;
  newer.node_start_ms = 50;
  EXPECT_EQ(Decide(*script->policies[0], {older, newer}, {})->run_id, 1);
  auto stopped = Record(3, true, RunStatus::kStop, NodeStatus::kNone);
  stopped.run_start_ms = 10;
  stopped.run_stopped_ms = 11;
  EXPECT_EQ(Decide(*script->policies[0], {older, stopped}, {})->command, RuleCommand::kNoGo);
}

TEST(DependencyPolicyTest, AFailingRuleNamesThePolicy) {
  const auto script = WithPolicy("", Rule("go", "10 / nrs.node_status > 1"));
  const Status status =
      Decide(*script->policies[0], {Record(1, true, RunStatus::kStart, NodeStatus::kNone)}, {})
          .status();
  EXPECT_EQ(InfoOf(status).error_class, "division_by_zero");
  EXPECT_NE(status.message().find("dependency policy p, rule 1"), std::string::npos);
}

TEST(DependencyPolicyTest, CombinationOfTwo) {
  using enum RuleCommand;
  EXPECT_EQ(Combine(kGo, kGo), kGo);
  EXPECT_EQ(Combine(kGo, kWait), kWait);
  EXPECT_EQ(Combine(kWait, kGo), kWait);
  EXPECT_EQ(Combine(kWait, kNoGo), kNoGo);
  EXPECT_EQ(Combine(kNoGo, kGo), kNoGo);
}

}  // namespace
}  // namespace capi::workflow
