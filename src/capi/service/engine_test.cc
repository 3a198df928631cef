#include "capi/service/engine.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "arrow/record_batch.h"
#include "capi/base/fault_point.h"
#include "capi/data/column.h"
#include "capi/service/history.h"
#include "capi/service/keyspace.h"
#include "capi/service/preview.h"
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

constexpr int kRows = 500;

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_.Path("out"));
    std::string csv = "v\n";
    for (int i = 0; i < kRows; ++i) csv += std::to_string(i) + "\n";
    input_ = directory_.Write("in.csv", csv);
    expected_ = "v\r\n" + csv.substr(2);  // the header line ends with CR LF (spec/formats.md 3)
  }

  void UseChain(int64_t batches = 7) {
    script_ = ScriptText({ReadNode("read", {input_}), CopyNode("copy", "read", batches),
                          WriteNode("write", "copy", directory_.Path("out/out.csv"))});
    directory_.Write("chain.json", script_);
  }

  RunOptions Options() const {
    RunOptions options;
    options.script.script_url = directory_.Path("chain.json");
    return options;
  }

  std::unique_ptr<Engine> NewEngine(int threads = 2) {
    EngineOptions options;
    options.data_directory = directory_.Path("data");
    options.threads = threads;
    return Engine::Make(options).ValueOrDie();
  }

  KeyspaceOptions Location(const std::string& name = "chain") const {
    KeyspaceOptions options;
    options.env = Env::Default();
    options.data_directory = directory_.Path("data");
    options.name = name;
    return options;
  }

  RunSummary Run(const RunOptions& options, int threads = 2) {
    auto summary = NewEngine(threads)->RunScript(options, nullptr);
    EXPECT_TRUE(summary.ok()) << summary.status().ToString();
    return summary.ok() ? *summary : RunSummary{};
  }

  /// Runs the script in a process of its own with a fault armed; returns its exit status.
  int RunInChild(const std::string& fault) {
    const pid_t child = fork();
    if (child == 0) {
      if (!ArmFaultPoints(fault).ok()) _exit(9);
      const auto summary = NewEngine()->RunScript(Options(), nullptr);
      _exit(summary.ok() && summary->AllSucceeded() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TestFiles directory_;
  std::string input_;
  std::string script_;
  std::string expected_;
};

TEST_F(EngineTest, AScriptRunsEndToEnd) {
  UseChain();
  const RunSummary summary = Run(Options());
  EXPECT_TRUE(summary.AllSucceeded()) << Describe(summary.error);
  EXPECT_EQ(summary.run_id, 1);
  EXPECT_FALSE(summary.resumed);
  EXPECT_EQ(summary.keyspace, "chain");
  EXPECT_EQ(directory_.Read("out/out.csv"), expected_);
  ASSERT_EQ(summary.files.size(), 1u);
  EXPECT_EQ(summary.files[0].node, "write");
  EXPECT_EQ(summary.files[0].rows, kRows);
  EXPECT_EQ(summary.files[0].size, static_cast<int64_t>(expected_.size()));
  ASSERT_EQ(summary.nodes.size(), 3u);
  EXPECT_EQ(summary.nodes[1].counts.in, kRows);
  EXPECT_EQ(summary.nodes[1].batches_done, 7);
}

TEST_F(EngineTest, ResultsDoNotDependOnThreadsOrBatches) {
  for (const int64_t batches : {1, 10, 1000}) {
    UseChain(batches);
    for (const int threads : {1, 2, 7}) {
      EXPECT_TRUE(Run(Options(), threads).AllSucceeded());
      EXPECT_EQ(directory_.Read("out/out.csv"), expected_) << threads << " " << batches;
    }
  }
}

TEST_F(EngineTest, PatternsAreExpandedOnceAndRecorded) {
  directory_.Write("p2.csv", "v\n2\n");
  directory_.Write("p1.csv", "v\n1\n");
  script_ = ScriptText({ReadNode("read", {directory_.Path("p*.csv"), input_}),
                        WriteNode("write", "read", directory_.Path("out/out.csv"))});
  directory_.Write("chain.json", script_);
  ASSERT_EQ(RunInChild("service.after_create_run:kill"), kFaultExitStatus);
  directory_.Write("p3.csv", "v\n3\n");
  RunSummary summary = Run(Options());
  EXPECT_TRUE(summary.resumed);
  EXPECT_TRUE(summary.AllSucceeded());
  ASSERT_EQ(summary.inputs.size(), 3u);
  EXPECT_EQ(summary.inputs[0].node, "read");
  EXPECT_NE(summary.inputs[0].record.find("p1.csv"), std::string::npos);
  EXPECT_NE(summary.inputs[1].record.find("p2.csv"), std::string::npos);
  EXPECT_NE(summary.inputs[2].record.find("in.csv"), std::string::npos);
  EXPECT_NE(summary.inputs[2].record.find("\"sha256\""), std::string::npos);
  EXPECT_EQ(BatchesOf(Location(), 1, "read")->at(1).batch.input, summary.inputs[1].record);
  summary = Run(Options());
  EXPECT_FALSE(summary.resumed);
  EXPECT_EQ(summary.inputs.size(), 4u);
  EXPECT_EQ(NodesOf(Location(), 2)->at(0).node.urls.size(), 4u);
}

TEST_F(EngineTest, AFileNamedTwiceIsReadOnceByAPattern) {
  directory_.Write("p1.csv", "v\n1\n");
  script_ = ScriptText({ReadNode("read", {directory_.Path("p?.csv"), directory_.Path("p1.csv"),
                                          directory_.Path("*1.csv")}),
                        WriteNode("write", "read", directory_.Path("out/out.csv"))});
  directory_.Write("chain.json", script_);
  EXPECT_EQ(Run(Options()).inputs.size(), 1u);
  EXPECT_EQ(directory_.Read("out/out.csv"), "v\r\n1\n");
}

TEST_F(EngineTest, APatternWithoutMatchStartsNothing) {
  script_ = ScriptText({ReadNode("read", {directory_.Path("no*.csv")}),
                        WriteNode("write", "read", directory_.Path("out/out.csv"))});
  directory_.Write("chain.json", script_);
  const Status status = NewEngine()->RunScript(Options(), nullptr).status();
  EXPECT_EQ(InfoOf(status).error_class, "no_match");
  EXPECT_NE(status.message().find("no*.csv"), std::string::npos);
  EXPECT_NE(status.message().find("read"), std::string::npos);
  EXPECT_TRUE(RunsOf(Location())->empty());
}

TEST_F(EngineTest, ACompleteRunIsNotResumed) {
  UseChain();
  EXPECT_EQ(Run(Options()).run_id, 1);
  EXPECT_EQ(Run(Options()).run_id, 2);
}

TEST_F(EngineTest, AnInterruptedRunIsResumedByTheSameCommandOnly) {
  UseChain();
  const auto interrupt = [&] {
    const auto engine = NewEngine();
    const auto summary = engine->RunScript(
        Options(), [&](const RunSummary&) { engine->Cancel("interrupted by the test"); });
    ASSERT_TRUE(summary.ok());
    EXPECT_TRUE(summary->interrupted);
    EXPECT_EQ(KindOf(summary->error), ErrorKind::kCancelled);
    EXPECT_FALSE(summary->AllSucceeded());
  };
  interrupt();
  EXPECT_TRUE(RunsOf(Location())->at(0).interrupted);
  const RunSummary resumed = Run(Options());
  EXPECT_TRUE(resumed.resumed);
  EXPECT_EQ(resumed.run_id, 1);
  EXPECT_TRUE(resumed.AllSucceeded());

  interrupt();  // run 2
  RunOptions other = Options();
  other.new_run = true;
  EXPECT_EQ(Run(other).run_id, 3);

  interrupt();  // run 4
  other = Options();
  other.until_node = "copy";
  EXPECT_EQ(Run(other).run_id, 5);

  interrupt();  // run 6
  UseChain(3);
  EXPECT_EQ(Run(Options()).run_id, 7);
}

TEST_F(EngineTest, ARunIsExecutedWithTheSettingsItWasStartedWith) {
  script_ = ScriptText(
      {ReadNode("read", {"{input}"}), WriteNode("write", "read", directory_.Path("out/out.csv"))});
  directory_.Write("chain.json", script_);
  std::atomic<int> num_strict{0};
  RunOptions options = Options();
  options.script.overrides = {{"input", "elsewhere"}, {"input", input_}};
  const auto run = [&](bool interrupted) {
    EngineOptions engine_options;
    engine_options.data_directory = directory_.Path("data");
    engine_options.make_runner =
        [&](node::NodeSetup setup) -> Result<std::unique_ptr<node::NodeRunner>> {
      if (setup.strict) ++num_strict;
      return node::NodeRunner::Make(std::move(setup));
    };
    const auto engine = Engine::Make(engine_options).ValueOrDie();
    return engine
        ->RunScript(options,
                    [&](const RunSummary&) {
                      if (interrupted) engine->Cancel("by the test");
                    })
        .ValueOrDie();
  };
  options.script.strict = true;
  EXPECT_EQ(run(/*interrupted=*/true).run_id, 1);
  state::RunRecord record = RunsOf(Location())->at(0).run;
  EXPECT_EQ(record.overrides, options.script.overrides);
  EXPECT_TRUE(record.strict);
  const RunSummary resumed = run(/*interrupted=*/false);
  EXPECT_TRUE(resumed.resumed);
  EXPECT_TRUE(resumed.AllSucceeded()) << Describe(resumed.error);
  EXPECT_GT(num_strict, 0);

  // With other settings it is another run.
  EXPECT_EQ(run(/*interrupted=*/true).run_id, 2);
  num_strict = 0;
  options.script.strict = false;
  options.run_id = 2;
  const Status refused = NewEngine()->RunScript(options, nullptr).status();
  EXPECT_EQ(InfoOf(refused).error_class, "run_not_resumable");
  options.run_id = 0;
  EXPECT_EQ(run(/*interrupted=*/false).run_id, 3);
  EXPECT_EQ(num_strict, 0);
  EXPECT_FALSE(RunsOf(Location())->at(2).run.strict);
}

TEST_F(EngineTest, ResumesTheRunThatIsNamedAndNoOther) {
  UseChain();
  const auto interrupt = [&] {
    const auto engine = NewEngine();
    RunOptions options = Options();
    options.new_run = true;
    ASSERT_TRUE(
        engine->RunScript(options, [&](const RunSummary&) { engine->Cancel("by the test"); }).ok());
  };
  interrupt();
  interrupt();
  RunOptions named = Options();
  named.run_id = 1;
  const RunSummary resumed = Run(named);
  EXPECT_TRUE(resumed.resumed);
  EXPECT_EQ(resumed.run_id, 1);
  EXPECT_TRUE(resumed.AllSucceeded());

  const auto refused = [&](const RunOptions& options) {
    const Status status = NewEngine()->RunScript(options, nullptr).status();
    return InfoOf(status).error_class + ": " + status.message();
  };
  EXPECT_NE(refused(named).find("run_not_resumable: run 1 has ended"), std::string::npos);
  named.run_id = 3;
  EXPECT_EQ(refused(named), "unknown_run: no such run: 3");
  named.run_id = 2;
  named.until_node = "copy";
  EXPECT_NE(refused(named).find("run_not_resumable: run 2 was started with another script"),
            std::string::npos);
  EXPECT_EQ(RunsOf(Location())->size(), 2u);
}

TEST_F(EngineTest, WrongScriptsAndStartNodesCreateNothing) {
  directory_.Write("chain.json", "{\"nodes\": {");
  RunSummary summary = Run(Options());
  EXPECT_FALSE(summary.script_errors.empty());
  EXPECT_EQ(summary.run_id, 0);
  UseChain();
  RunOptions options = Options();
  options.start_nodes = {"raed"};
  const Status status = NewEngine()->RunScript(options, nullptr).status();
  EXPECT_EQ(InfoOf(status).error_class, "unknown_node");
  options = Options();
  options.keyspace = "no/slashes";
  EXPECT_EQ(InfoOf(NewEngine()->RunScript(options, nullptr).status()).error_class,
            "bad_keyspace_name");
  EXPECT_FALSE(std::filesystem::exists(directory_.Path("data")));
}

TEST_F(EngineTest, ASecondEngineOnTheKeyspaceIsRefused) {
  UseChain();
  const auto first = NewEngine();
  const auto summary = first->RunScript(Options(), [&](const RunSummary&) {
    const Status second = NewEngine()->RunScript(Options(), nullptr).status();
    EXPECT_EQ(InfoOf(second).error_class, "keyspace_in_use");
    EXPECT_EQ(InfoOf(Keyspace::Drop(Location())).error_class, "keyspace_in_use");
    EXPECT_FALSE(RunsOf(Location())->at(0).interrupted);
  });
  ASSERT_TRUE(summary.ok());
  EXPECT_TRUE(summary->AllSucceeded());
}

TEST_F(EngineTest, BadDataFailsTheRunAtOnceAndSaysWhy) {
  UseChain();
  directory_.Write("in.csv", "v\n1\nx\n");
  const RunSummary summary = Run(Options());
  EXPECT_EQ(summary.status, RunStatus::kComplete);
  EXPECT_FALSE(summary.AllSucceeded());
  EXPECT_EQ(summary.nodes[0].status, NodeStatus::kFail);
  EXPECT_EQ(summary.nodes[0].error.kind, "user");
  EXPECT_NE(summary.nodes[0].error.text.find("in.csv:3"), std::string::npos)
      << summary.nodes[0].error.text;
  EXPECT_EQ(summary.nodes[2].status, NodeStatus::kFail);
  EXPECT_TRUE(directory_.List("out").empty());
}

TEST_F(EngineTest, AChangedInputOfAPinnedNodeIsAUserError) {
  UseChain();
  EXPECT_EQ(RunInChild("workflow.after_claim:kill"), kFaultExitStatus);
  directory_.Write("in.csv", "v\n1\n2\n");
  const RunSummary summary = Run(Options());
  EXPECT_TRUE(summary.resumed);
  EXPECT_EQ(summary.nodes[0].error.error_class, "input_changed");
}

class EngineKillTest : public EngineTest, public testing::WithParamInterface<const char*> {};

TEST_P(EngineKillTest, TheSameCommandFinishesTheRunAndLeavesNothingOver) {
  UseChain();
  ASSERT_EQ(RunInChild(std::string(GetParam()) + ":kill"), kFaultExitStatus);
  const RunSummary summary = Run(Options());
  EXPECT_TRUE(summary.resumed);
  EXPECT_TRUE(summary.AllSucceeded()) << Describe(summary.error);
  EXPECT_EQ(directory_.Read("out/out.csv"), expected_);
  EXPECT_EQ(directory_.List("out"), std::vector<std::string>{"out.csv"});
  EXPECT_TRUE(directory_.List("data/chain/spill").empty());
  for (const auto& file : FilesOf(Location(), 1).ValueOrDie()) {
    EXPECT_EQ(file.state, state::FileState::kPublished);
  }
}

INSTANTIATE_TEST_SUITE_P(FaultPoints, EngineKillTest,
                         testing::Values("service.after_create_run", "workflow.after_pin",
                                         "workflow.after_claim", "workflow.after_batch",
                                         "workflow.after_make_durable", "workflow.before_commit",
                                         "state.before_commit", "workflow.after_commit",
                                         "workflow.after_freeze", "workflow.after_plan_file",
                                         "workflow.before_publish", "workflow.after_publish"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) {
                             if (c == '.') c = '_';
                           }
                           return name;
                         });

TEST_F(EngineTest, EveryHitOfACommitMayBeTheLast) {
  for (int hit = 2; hit <= 5; ++hit) {
    UseChain(3);
    std::filesystem::remove_all(directory_.Path("data"));
    std::filesystem::remove(directory_.Path("out/out.csv"));
    const int status = RunInChild("workflow.after_commit:kill:" + std::to_string(hit));
    ASSERT_TRUE(status == kFaultExitStatus || status == 0);
    const RunSummary summary = Run(Options());
    EXPECT_TRUE(summary.AllSucceeded());
    EXPECT_EQ(directory_.Read("out/out.csv"), expected_);
    EXPECT_EQ(directory_.List("out"), std::vector<std::string>{"out.csv"});
  }
}

TEST_F(EngineTest, AnErrorOfTheEngineItselfLeavesTheRunResumable) {
  UseChain();
  EXPECT_EQ(RunInChild("workflow.before_publish:error"), 1);
  EXPECT_TRUE(RunsOf(Location())->at(0).interrupted);
  const RunSummary summary = Run(Options());
  EXPECT_TRUE(summary.resumed);
  EXPECT_TRUE(summary.AllSucceeded());
  EXPECT_EQ(directory_.Read("out/out.csv"), expected_);
}

TEST_F(EngineTest, HistoryTellsRunsNodesBatchesAndFiles) {
  UseChain(3);
  Run(Options());
  EXPECT_EQ(ListKeyspaces(Location()).ValueOrDie(), std::vector<std::string>{"chain"});
  const auto runs = RunsOf(Location()).ValueOrDie();
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].run.status, RunStatus::kComplete);
  EXPECT_FALSE(runs[0].interrupted);
  const auto nodes = NodesOf(Location(), 1).ValueOrDie();
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes[1].counts.out, kRows);
  EXPECT_EQ(nodes[1].batches_succeeded, 3);
  const auto batches = BatchesOf(Location(), 1, "copy").ValueOrDie();
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[2].batch.id.batch_index, 2);
  EXPECT_GT(batches[2].counts.in, 0);
  EXPECT_EQ(FilesOf(Location(), 1)->size(), 1u);
  EXPECT_EQ(InfoOf(NodesOf(Location(), 5).status()).error_class, "unknown_run");
  const Status unknown = BatchesOf(Location(), 1, "cpoy").status();
  EXPECT_EQ(InfoOf(unknown).error_class, "unknown_node");
  EXPECT_NE(unknown.message().find("did you mean copy"), std::string::npos);
  EXPECT_EQ(InfoOf(RunsOf(Location("other")).status()).error_class, "unknown_keyspace");
}

TEST_F(EngineTest, PreviewShowsRowsOfTheNewestRun) {
  UseChain();
  Run(Options());
  PreviewOptions options;
  options.table = "t_copy";
  options.limit = 3;
  Preview preview = PreviewTable(Location(), options).ValueOrDie();
  EXPECT_EQ(preview.run_id, 1);
  EXPECT_EQ(preview.num_rows, 3);
  EXPECT_EQ(preview.table_rows, kRows);
  EXPECT_TRUE(preview.more);
  options.where = "r.v % 100 == 99";
  options.limit = 20;
  preview = PreviewTable(Location(), options).ValueOrDie();
  ASSERT_EQ(preview.num_rows, 5);
  EXPECT_FALSE(preview.more);
  EXPECT_EQ(std::get<int64_t>(*data::CellValue(*preview.batches[0]->column(0), 0)), 99);
  options.limit = 2;
  preview = PreviewTable(Location(), options).ValueOrDie();
  EXPECT_EQ(preview.num_rows, 2);
  EXPECT_TRUE(preview.more);
  options.limit = -1;
  options.where = "";
  EXPECT_EQ(PreviewTable(Location(), options)->num_rows, kRows);
}

TEST_F(EngineTest, PreviewRefusesWrongNamesAndExpressions) {
  UseChain();
  Run(Options());
  PreviewOptions options;
  options.table = "t_cpy";
  const Status status = PreviewTable(Location(), options).status();
  EXPECT_EQ(InfoOf(status).error_class, "table_not_found");
  EXPECT_NE(status.message().find("did you mean t_copy"), std::string::npos);
  options.table = "zzzzzzzz";
  EXPECT_NE(PreviewTable(Location(), options).status().message().find("there are: t_read, t_copy"),
            std::string::npos);
  options.table = "t_copy";
  options.run_id = 9;
  EXPECT_EQ(InfoOf(PreviewTable(Location(), options).status()).error_class, "table_not_found");
  options.run_id = 1;
  options.where = "r.w > 1";
  EXPECT_EQ(InfoOf(PreviewTable(Location(), options).status()).error_class, "unknown_variable");
  options.where = "r.v + 1";
  EXPECT_FALSE(PreviewTable(Location(), options).ok());
}

TEST_F(EngineTest, DropRemovesTheKeyspace) {
  UseChain();
  Run(Options());
  ASSERT_TRUE(Keyspace::Drop(Location()).ok());
  EXPECT_TRUE(directory_.List("data").empty());
  EXPECT_EQ(InfoOf(Keyspace::Drop(Location())).error_class, "unknown_keyspace");
  EXPECT_EQ(Run(Options()).run_id, 1);
}

TEST(KeyspaceNames, DefaultIsTheFileStem) {
  EXPECT_EQ(DefaultKeyspace("a/b/script_quick.yaml"), "script_quick");
  EXPECT_EQ(DefaultKeyspace("my-script.v2.json"), "my_script_v2");
  EXPECT_EQ(DefaultKeyspace("/x/system.json"), "ks_system");
  EXPECT_EQ(DefaultKeyspace(".json"), "ks_");
  EXPECT_TRUE(CheckKeyspaceName(DefaultKeyspace(std::string(100, 'a') + ".json")).ok());
}

TEST(KeyspaceNames, WholeNameIsChecked) {
  EXPECT_TRUE(CheckKeyspaceName("hour_2024").ok());
  for (const char* name : {"", "a b", "a-b", "../x", "system_auth", "ä"}) {
    EXPECT_EQ(InfoOf(CheckKeyspaceName(name)).error_class, "bad_keyspace_name") << name;
  }
  EXPECT_FALSE(CheckKeyspaceName(std::string(49, 'a')).ok());
}

}  // namespace
}  // namespace capi::service
