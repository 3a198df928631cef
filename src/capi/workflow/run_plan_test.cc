#include "capi/workflow/run_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/files/files.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::workflow {
namespace {

class RunPlanTest : public testing::Test {
 protected:
  static RunRequest From(std::vector<std::string> start, std::string until = "") {
    RunRequest request;
    request.start_nodes = std::move(start);
    request.until_node = std::move(until);
    return request;
  }
  std::vector<std::string> Affected(const RunRequest& request) {
    auto plan = PlanRun(*script_, request);
    EXPECT_TRUE(plan.ok()) << plan.status().ToString();
    return plan.ok() ? plan->run.affected_nodes : std::vector<std::string>{};
  }
  std::string ErrorClass(const RunRequest& request) {
    return InfoOf(PlanRun(*script_, request).status()).error_class;
  }

  std::shared_ptr<const script::Script> script_ = ParseScript(
      ScriptText({ReadNode("a", {"1.csv", "2.csv"}), ReadNode("b", {"1.csv"}),
                  CopyNode("c", "a", 3), CopyNode("review", "c", 1, R"("start_policy":"manual",)"),
                  CopyNode("d", "review", 2), WriteNode("out", "c", "out.csv")}));
};

TEST_F(RunPlanTest, DefaultStartNodesAreThoseThatReadFiles) {
  const auto plan = PlanRun(*script_, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->run.start_nodes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(plan->run.affected_nodes, (std::vector<std::string>{"a", "b", "c", "out"}));
  EXPECT_EQ(plan->nodes[0].batches_total, 2);
  EXPECT_EQ(plan->nodes[2].depth, 1);
  EXPECT_EQ(plan->nodes[3].depth, 2);
  EXPECT_EQ(plan->nodes[3].table, "");
}

TEST_F(RunPlanTest, AManualNodeRunsOnlyWhenNamed) {
  EXPECT_EQ(Affected(From({"review"})), (std::vector<std::string>{"review", "d"}));
  EXPECT_EQ(Affected(From({"a", "review"})),
            (std::vector<std::string>{"a", "c", "review", "d", "out"}));
}

TEST_F(RunPlanTest, UntilKeepsWhatTheNodeNeeds) {
  EXPECT_EQ(Affected(From({}, "c")), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(Affected(From({}, "b")), (std::vector<std::string>{"b"}));
  EXPECT_EQ(Affected(From({"review"}, "review")), (std::vector<std::string>{"review"}));
}

TEST_F(RunPlanTest, WrongNames) {
  EXPECT_EQ(ErrorClass(From({"reviev"})), "unknown_node");
  EXPECT_NE(PlanRun(*script_, From({"reviev"})).status().message().find("did you mean review"),
            std::string::npos);
  const std::string all = PlanRun(*script_, From({"reviev", "a", "zzzzzz"})).status().message();
  EXPECT_TRUE(all.starts_with("node(s) reviev,zzzzzz missing from ")) << all;
  EXPECT_EQ(ErrorClass(From({}, "outt")), "unknown_node");
  EXPECT_EQ(ErrorClass(From({"b"}, "c")), "until_not_affected");
  EXPECT_EQ(ErrorClass(From({"", ""})), "no_start_nodes");
}

TEST_F(RunPlanTest, EmptyAndRepeatedNamesInTheListAreIgnored) {
  EXPECT_EQ(PlanRun(*script_, From({"a", "", "a"}))->run.start_nodes,
            std::vector<std::string>{"a"});
}

TEST_F(RunPlanTest, ResumesOnlyTheSameWork) {
  const RunPlan plan = *PlanRun(*script_, From({"a", "b"}));
  state::RunRecord run = PlanRun(*script_, From({"b", "a"}))->run;
  run.status = state::RunStatus::kStart;
  EXPECT_TRUE(MayResume(run, plan));
  run.status = state::RunStatus::kComplete;
  EXPECT_FALSE(MayResume(run, plan));
  run.status = state::RunStatus::kStop;
  EXPECT_FALSE(MayResume(run, plan));
  run.status = state::RunStatus::kStart;
  run.script_hash = "other";
  EXPECT_FALSE(MayResume(run, plan));
  run = PlanRun(*script_, From({"a"}))->run;
  run.status = state::RunStatus::kStart;
  EXPECT_FALSE(MayResume(run, plan));
  run = PlanRun(*script_, From({"a", "b"}, "c"))->run;
  run.status = state::RunStatus::kStart;
  EXPECT_FALSE(MayResume(run, plan));
  run = plan.run;
  run.status = state::RunStatus::kStart;
  EXPECT_TRUE(MayResume(run, plan));
  run.strict = true;
  EXPECT_FALSE(MayResume(run, plan));
}

TEST_F(RunPlanTest, WhoeverContinuesARunCanLoadItsScriptAgain) {
  TestFiles directory;
  script::LoadOptions options;
  options.script_url = directory.Write(
      "s.json", ScriptText({ReadNode("a", {"{dir}/1.csv"}), CopyNode("c", "a", 3)}));
  options.parameters_url = directory.Write("p.json", R"({"dir":"in"})");
  options.overrides = {{"dir", "first"}, {"dir", "last"}};
  options.strict = true;
  const auto files = files::Files::Make(Env::Default(), {}).ValueOrDie();
  const script::LoadResult loaded = script::LoadScript(options, files.get());
  ASSERT_NE(loaded.script, nullptr);
  const RunPlan plan = *PlanRun(*loaded.script, {});
  state::RunRecord run = plan.run;
  run.status = state::RunStatus::kStart;

  const script::LoadOptions again = LoadOptionsOf(run);
  EXPECT_EQ(again.overrides, options.overrides);
  EXPECT_TRUE(again.strict);
  const auto script = script::LoadScript(again, files.get()).script;
  ASSERT_NE(script, nullptr);
  EXPECT_EQ(script->FindNode("a")->file_reader->urls, (std::vector<std::string>{"last/1.csv"}));
  EXPECT_TRUE(MayResume(run, *PlanRun(*script, {})));
  // Files of its own are no other script.
  EXPECT_TRUE(MayResume(run, *PlanRun(*script::WithUrls(*script, {{"a", {"x.csv"}}}), {})));
  // In another order the last one would count.
  std::swap(run.overrides[0], run.overrides[1]);
  EXPECT_NE(script::LoadScript(LoadOptionsOf(run), files.get()).script->parameters_hash,
            run.parameters_hash);
}

TEST_F(RunPlanTest, RerunPolicyFailHasNoEffectOnDistinct) {
  const std::string index = R"json("idx_v":"unique(v)")json";
  std::string distinct = CopyNode("d", "a", 2, R"("rerun_policy":"fail",)", index);
  distinct.replace(distinct.find("table_table"), 11, "distinct_table");
  const auto script = ParseScript(ScriptText(
      {ReadNode("a", {"1.csv"}), distinct, CopyNode("c", "a", 2, R"("rerun_policy":"fail",)")}));
  const RunPlan plan = *PlanRun(*script, {});
  EXPECT_FALSE(plan.nodes[0].rerun_fails);
  EXPECT_FALSE(plan.nodes[1].rerun_fails);
  EXPECT_TRUE(plan.nodes[2].rerun_fails);
}

TEST_F(RunPlanTest, MoreThan32767BatchesWork) {
  const auto script =
      ParseScript(ScriptText({ReadNode("a", {"1.csv"}), CopyNode("c", "a", 1000000)}));
  EXPECT_EQ(PlanRun(*script, {})->nodes[1].batches_total, 1000000);
}

}  // namespace
}  // namespace capi::workflow
