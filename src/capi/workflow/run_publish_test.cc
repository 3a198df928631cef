// Frozen tables are made known outside before their nodes succeed.

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capi/base/fault_point.h"
#include "capi/exec/memory.h"
#include "capi/queue/local/local_queue.h"
#include "capi/state/sqlite/sqlite_store.h"
#include "capi/workflow/lease.h"
#include "capi/workflow/played_runner_testing_internal.h"
#include "capi/workflow/run_executor.h"
#include "capi/workflow/run_plan.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::workflow {
namespace {

using state::NodeStatus;

class RunPublishTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_.Path("out"));
    std::filesystem::create_directories(directory_.Path("spill"));
    state::SqliteOptions options;
    options.path = directory_.Path("state.db");
    state_ = state::OpenSqliteStore(env_, options).ValueOrDie();
    tables_ = store::TableStore::Open(env_, directory_.Path("tables")).ValueOrDie();
    script_ = ParseScript(
        ScriptText({ReadNode("read", {directory_.Write("in.csv", "v\n1\n")}),
                    CopyNode("copy", "read", 3), WriteNode("write", "copy", OutPath())}));
    RunPlan plan = PlanRun(*script_, {}).ValueOrDie();
    plan.run.now_ms = 1000;
    const int64_t id = state_->CreateRun(plan.run, plan.nodes).ValueOrDie();
    run_ = *state_->FindRun(id).ValueOrDie();
  }
  void TearDown() override { ASSERT_TRUE(ArmFaultPoints("").ok()); }

  /// What a process does that resumes the run.
  Status Execute() {
    const auto queue = queue::NewLocalQueue(env_);
    const auto pool = exec::TaskPool::Make(2).ValueOrDie();
    TableCatalog catalog(state_.get(), tables_.get());
    ExecutorEnvironment environment;
    environment.env = env_;
    environment.files = files_.get();
    environment.pool = pool.get();
    environment.memory = &memory_;
    environment.state = state_.get();
    environment.queue = queue.get();
    environment.tables = tables_.get();
    environment.catalog = &catalog;
    environment.spill_directory = directory_.Path("spill");
    environment.owner = static_cast<state::OwnerId>(env_->Random() >> 1) | 1;
    CAPI_RETURN_NOT_OK(state_->RegisterOwner({environment.owner, "test", 0, {}}));
    environment.retry_delay_ms = 1;
    environment.poll_ms = 5;
    environment.make_runner = [](node::NodeSetup setup) {
      return Result<std::unique_ptr<node::NodeRunner>>(std::make_unique<PlayedRunner>(
          std::move(setup),
          [](const std::string&, const node::BatchTask&, const exec::CancelToken&) {
            return Status::OK();
          },
          /*alike=*/false));
    };
    environment.publish = [this](const exec::Context& context, const script::Node& node,
                                 const store::Table& table) -> Status {
      EXPECT_EQ(StatusOf(node.name), NodeStatus::kStart);
      const std::lock_guard lock(mutex_);
      published_.push_back(node.name + " " + table.id().name + " " +
                           std::to_string(table.num_rows()));
      return outcome_ != nullptr ? outcome_(context, node) : Status::OK();
    };
    {
      const std::lock_guard lock(executor_mutex_);
      CAPI_ASSIGN_OR_RETURN(executor_, RunExecutor::Make(environment, script_, run_));
    }
    const Status status = executor_->Run();
    const std::lock_guard lock(executor_mutex_);
    executor_.reset();
    return status;
  }

  std::string OutPath() const { return directory_.Path("out") + "/out.csv"; }
  state::NodeRecord Node(const std::string& name) {
    for (const state::NodeRecord& node : state_->Nodes(run_.run_id).ValueOrDie()) {
      if (node.name == name) return node;
    }
    ADD_FAILURE() << "no node " << name;
    return {};
  }
  NodeStatus StatusOf(const std::string& name) { return Node(name).status; }
  void ExpectSuccess() {
    EXPECT_EQ(state_->FindRun(run_.run_id).ValueOrDie()->status, state::RunStatus::kComplete);
    EXPECT_EQ(StatusOf("write"), NodeStatus::kSuccess);
    EXPECT_EQ(directory_.Read("out/out.csv"), "rows 3\n");
  }

  TestFiles directory_;
  Env* env_ = Env::Default();
  const std::unique_ptr<files::Files> files_ = files::Files::Make(Env::Default(), {}).ValueOrDie();
  exec::MemoryBudget memory_{0};
  std::unique_ptr<state::StateStore> state_;
  std::unique_ptr<store::TableStore> tables_;
  std::shared_ptr<const script::Script> script_;
  state::RunRecord run_;
  std::mutex executor_mutex_;
  std::unique_ptr<RunExecutor> executor_;
  std::mutex mutex_;
  std::vector<std::string> published_;
  std::function<Status(const exec::Context&, const script::Node&)> outcome_;
};

const std::vector<std::string> kBoth = {"read t_read 1", "copy t_copy 3"};

TEST_F(RunPublishTest, EachTableOnce) {
  ASSERT_TRUE(Execute().ok());
  EXPECT_EQ(published_, kBoth);
  ExpectSuccess();
}

TEST_F(RunPublishTest, WhatMayGoBetterIsTriedAgain) {
  int tries = 0;
  outcome_ = [&](const exec::Context&, const script::Node&) {
    return ++tries == 2 ? RetriableError("a server is slow") : Status::OK();
  };
  ASSERT_TRUE(Execute().ok());
  EXPECT_EQ(published_, (std::vector<std::string>{kBoth[0], kBoth[1], kBoth[1]}));
  ExpectSuccess();
}

TEST_F(RunPublishTest, WhatNeverGoesBetterFailsTheNode) {
  outcome_ = [](const exec::Context&, const script::Node& node) {
    return node.name == "copy" ? RetriableError("a server is slow") : Status::OK();
  };
  ASSERT_TRUE(Execute().ok());
  EXPECT_EQ(published_.size(), 4U);  // max_tries
  EXPECT_EQ(StatusOf("read"), NodeStatus::kSuccess);
  EXPECT_EQ(StatusOf("copy"), NodeStatus::kFail);
  EXPECT_EQ(Node("copy").error.text, "a server is slow");
  EXPECT_TRUE(Node("copy").manifest.empty());
  EXPECT_EQ(StatusOf("write"), NodeStatus::kFail);
}

TEST_F(RunPublishTest, TheUsersErrorFailsTheNodeAtOnce) {
  outcome_ = [](const exec::Context&, const script::Node&) {
    return UserError("row_refused", "too much");
  };
  ASSERT_TRUE(Execute().ok());
  EXPECT_EQ(published_.size(), 1U);
  EXPECT_EQ(StatusOf("read"), NodeStatus::kFail);
  EXPECT_EQ(Node("read").error.error_class, "row_refused");
}

TEST_F(RunPublishTest, WhatSomebodyMustMendInterruptsTheRun) {
  bool mended = false;
  outcome_ = [&](const exec::Context&, const script::Node& node) {
    return mended || node.name == "read" ? Status::OK() : EnvironmentError("no right to write");
  };
  EXPECT_EQ(KindOf(Execute()), ErrorKind::kEnvironment);
  EXPECT_EQ(StatusOf("copy"), NodeStatus::kStart);
  mended = true;
  ASSERT_TRUE(Execute().ok());
  EXPECT_EQ(published_, (std::vector<std::string>{kBoth[0], kBoth[1], kBoth[1]}));
  ExpectSuccess();
}

TEST_F(RunPublishTest, AfterACrashBeforeTheCommitItIsPublishedAgain) {
  ASSERT_TRUE(ArmFaultPoints("workflow.after_publish_table:error:2").ok());
  EXPECT_FALSE(Execute().ok());
  EXPECT_EQ(published_, kBoth);
  EXPECT_EQ(StatusOf("copy"), NodeStatus::kStart);
  ASSERT_TRUE(Execute().ok());
  EXPECT_EQ(published_, (std::vector<std::string>{kBoth[0], kBoth[1], kBoth[1]}));
  ExpectSuccess();
}

TEST_F(RunPublishTest, ACancelledRunDoesNotWaitForIt) {
  std::thread canceller;
  outcome_ = [&](const exec::Context& context, const script::Node& node) -> Status {
    if (node.name == "read") return Status::OK();
    canceller = std::thread([this] {
      const std::lock_guard lock(executor_mutex_);
      if (executor_ != nullptr) executor_->Cancel(CancelledError("by the test"));
    });
    return WaitFor([] { return false; }, context.cancel);
  };
  EXPECT_EQ(KindOf(Execute()), ErrorKind::kCancelled);
  canceller.join();
  EXPECT_EQ(StatusOf("copy"), NodeStatus::kStart);
  outcome_ = nullptr;
  ASSERT_TRUE(Execute().ok());
  ExpectSuccess();
}

}  // namespace
}  // namespace capi::workflow
