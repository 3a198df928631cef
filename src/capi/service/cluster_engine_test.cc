#include "capi/service/cluster_engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "capi/base/fault_point.h"
#include "capi/service/cluster.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::service {
namespace {

using state::RunStatus;
using workflow::CopyNode;
using workflow::ReadNode;
using workflow::ScriptText;
using workflow::TestFiles;
using workflow::WriteNode;

/// Runs that this process executes on the server of CAPI_TEST_CASSANDRA (host:port), each test in a
/// keyspace of its own. There is no broker.
class ClusterEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* const address = std::getenv("CAPI_TEST_CASSANDRA");
    if (address == nullptr) GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    const std::string text = address;
    const size_t colon = text.rfind(':');
    config_.cassandra.hosts = {text.substr(0, colon)};
    config_.cassandra.port = std::stoi(text.substr(colon + 1));
    config_.data_dir = directory_.Path("data");
    config_.threads = 2;
    keyspace_ = "capi_engine_test_" + std::to_string(getpid());
    cluster_ = Cluster::Connect(Env::Default(), config_).ValueOrDie();
    std::filesystem::create_directories(directory_.Path("out"));
    directory_.Write("chain.json",
                     ScriptText({ReadNode("read", {directory_.Write("in.csv", "v\n1\n2\n3\n")}),
                                 CopyNode("copy", "read", 20),
                                 WriteNode("write", "copy", directory_.Path("out/out.csv"))}));
    options_.keyspace = keyspace_;
    options_.script.script_url = directory_.Path("chain.json");
  }
  void TearDown() override {
    EXPECT_TRUE(ArmFaultPoints("").ok());
    if (cluster_ != nullptr) (void)cluster_->Drop(keyspace_);  // some tests make none
  }

  std::unique_ptr<Engine> NewEngine() {
    return MakeEngine(config_, ExecutedBy::kThisProcess).ValueOrDie();
  }
  RunSummary Run(Engine* engine) {
    const auto summary = engine->RunScript(options_, nullptr);
    EXPECT_TRUE(summary.ok()) << Describe(summary.status());
    return summary.ok() ? *summary : RunSummary{};
  }
  void ExpectDone(const RunSummary& summary) {
    EXPECT_TRUE(summary.AllSucceeded()) << Describe(summary.error);
    EXPECT_EQ(directory_.Read("out/out.csv"), "v\r\n1\n2\n3\n");
    ExpectNothingLeft();
  }
  /// Of the process: neither claims that others must wait for nor caches.
  void ExpectNothingLeft() {
    const auto state = cluster_->OpenState(keyspace_, /*create=*/false).ValueOrDie();
    EXPECT_TRUE(state->Owners().ValueOrDie().empty());
    EXPECT_TRUE(directory_.List("data/.cluster").empty());
  }

  TestFiles directory_;
  config::Config config_;
  std::string keyspace_;
  std::shared_ptr<Cluster> cluster_;
  RunOptions options_;
};

TEST_F(ClusterEngineTest, ThisProcessExecutesTheRun) {
  const auto engine = NewEngine();
  EXPECT_EQ(engine->threads(), 2);
  EXPECT_GT(engine->memory_limit(), 0);
  const RunSummary summary = Run(engine.get());
  ExpectDone(summary);
  EXPECT_EQ(summary.run_id, 1);
  EXPECT_FALSE(summary.resumed);
  ASSERT_EQ(summary.nodes.size(), 3u);
  EXPECT_EQ(summary.nodes[1].batches_done, 20);
  EXPECT_EQ(summary.nodes[1].counts.out, 3);
  ASSERT_EQ(summary.files.size(), 1u);
  EXPECT_EQ(summary.files[0].rows, 3);
}

TEST_F(ClusterEngineTest, WithoutABrokerDaemonsCannotBeToldAboutRuns) {
  EXPECT_EQ(InfoOf(MakeEngine(config_, ExecutedBy::kDaemons).status()).error_class, "no_queue");
}

TEST_F(ClusterEngineTest, ACancelledRunIsResumed) {
  // Before there is anything to be cancelled, and when the run has begun.
  for (const bool at_once : {true, false}) {
    const auto engine = NewEngine();
    if (at_once) engine->Cancel("by the test");
    const auto summary = engine->RunScript(options_, [&](const RunSummary& started) {
      EXPECT_EQ(started.run_id, 1);
      EXPECT_EQ(started.resumed, !at_once);
      engine->Cancel("by the test");
    });
    ASSERT_TRUE(summary.ok()) << Describe(summary.status());
    EXPECT_TRUE(summary->interrupted);
    EXPECT_EQ(summary->status, RunStatus::kStart);
    EXPECT_EQ(KindOf(summary->error), ErrorKind::kCancelled) << Describe(summary->error);
    EXPECT_NE(summary->error.message().find("by the test"), std::string::npos);
    ExpectNothingLeft();
  }
  const RunSummary summary = Run(NewEngine().get());
  EXPECT_TRUE(summary.resumed);
  EXPECT_EQ(summary.run_id, 1);
  ExpectDone(summary);
}

TEST_F(ClusterEngineTest, AnErrorThatDoesNotPassInterruptsTheRun) {
  for (const std::string place : {"workflow.after_batch", "workflow.after_commit",
                                  "workflow.after_claim", "workflow.after_pin"}) {
    options_.new_run = true;
    ASSERT_TRUE(ArmFaultPoints(place + ":error").ok());
    const RunSummary summary = Run(NewEngine().get());
    EXPECT_TRUE(summary.interrupted) << place;
    EXPECT_EQ(KindOf(summary.error), ErrorKind::kEnvironment) << Describe(summary.error);
    EXPECT_NE(summary.error.message().find(place), std::string::npos) << Describe(summary.error);
    ExpectNothingLeft();
    options_.new_run = false;
    const RunSummary resumed = Run(NewEngine().get());
    EXPECT_EQ(resumed.run_id, summary.run_id);
    ExpectDone(resumed);
    std::filesystem::remove(directory_.Path("out/out.csv"));
  }
}

TEST_F(ClusterEngineTest, ARunThatWasStoppedIsTold) {
  const auto summary = NewEngine()->RunScript(options_, [&](const RunSummary& started) {
    const auto state = cluster_->OpenState(keyspace_, /*create=*/false).ValueOrDie();
    EXPECT_TRUE(state->StopRun(started.run_id, "by the test").ok());
  });
  ASSERT_TRUE(summary.ok()) << Describe(summary.status());
  EXPECT_FALSE(summary->interrupted);
  EXPECT_TRUE(summary->error.ok()) << Describe(summary->error);
  EXPECT_EQ(summary->status, RunStatus::kStop);
  ExpectNothingLeft();
}

TEST_F(ClusterEngineTest, AKeyspaceThatIsRemovedMeanwhileEndsIt) {
  const auto summary = NewEngine()->RunScript(
      options_, [&](const RunSummary&) { EXPECT_TRUE(cluster_->Drop(keyspace_).ok()); });
  EXPECT_FALSE(summary.ok() && summary->error.ok());
}

TEST_F(ClusterEngineTest, RunsThatCannotBeResumedAreRefused) {
  options_.run_id = 1;
  EXPECT_EQ(InfoOf(NewEngine()->RunScript(options_, nullptr).status()).error_class,
            "unknown_keyspace");
  options_.run_id = 0;
  ExpectDone(Run(NewEngine().get()));
  for (const auto& [run_id, error] :
       {std::pair<int64_t, const char*>{1, "run_not_resumable"}, {2, "unknown_run"}}) {
    options_.run_id = run_id;
    EXPECT_EQ(InfoOf(NewEngine()->RunScript(options_, nullptr).status()).error_class, error);
  }
}

}  // namespace
}  // namespace capi::service
