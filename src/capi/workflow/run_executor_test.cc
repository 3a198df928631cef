#include "capi/workflow/run_executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "capi/exec/memory.h"
#include "capi/queue/local/local_queue.h"
#include "capi/state/sqlite/sqlite_store.h"
#include "capi/workflow/lease.h"
#include "capi/workflow/played_runner_testing_internal.h"
#include "capi/workflow/reconcile.h"
#include "capi/workflow/run_plan.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::workflow {
namespace {

using state::NodeStatus;
using state::RunStatus;

/// Tells when batches behind a failed one are dropped.
class WatchedQueue final : public queue::Queue {
 public:
  WatchedQueue(std::unique_ptr<queue::Queue> target, std::function<void()> on_discard)
      : target_(std::move(target)), on_discard_(std::move(on_discard)) {}
  Status Enqueue(const queue::Message& message, int64_t delay_ms) override {
    return target_->Enqueue(message, delay_ms);
  }
  Result<std::optional<queue::Message>> Take(int64_t max_batches) override {
    return target_->Take(max_batches);
  }
  Status Discard(int64_t run_id, int64_t node_index, int64_t begin) override {
    on_discard_();
    return target_->Discard(run_id, node_index, begin);
  }
  Status Purge() override { return target_->Purge(); }
  Result<std::optional<int64_t>> NextDelay() override { return target_->NextDelay(); }

 private:
  const std::unique_ptr<queue::Queue> target_;
  const std::function<void()> on_discard_;
};

class RunExecutorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory_.Path("out"));
    input_ = directory_.Write("in.csv", "v\n1\n");
    OpenKeyspace();
  }
  void TearDown() override { CloseKeyspace(); }

  /// As a process does at its start, after another one ended.
  void OpenKeyspace() {
    state::SqliteOptions options;
    options.path = directory_.Path("state.db");
    state_ = state::OpenSqliteStore(env_, options).ValueOrDie();
    tables_ = store::TableStore::Open(env_, directory_.Path("tables")).ValueOrDie();
    queue_ = queue::NewLocalQueue(env_);
    catalog_ = std::make_unique<TableCatalog>(state_.get(), tables_.get());
    const auto report =
        Reconcile(env_, files_.get(), state_.get(), tables_.get(), directory_.Path("spill"));
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    reconciled_ = *report;
    owner_ = static_cast<state::OwnerId>(env_->Random() >> 1) | 1;
    ASSERT_TRUE(state_->RegisterOwner({owner_, "test", 0, {}}).ok());
  }
  void CloseKeyspace() {
    executor_.reset();
    catalog_.reset();
    queue_.reset();
    tables_.reset();
    state_.reset();
  }
  void Reopen() {
    CloseKeyspace();
    OpenKeyspace();
  }

  void UseScript(const std::vector<std::string>& nodes) {
    script_ = ParseScript(ScriptText(nodes));
  }
  void UseChain(int64_t copy_batches, int64_t files = 1, const std::string& copy_extra = "") {
    const std::string url =
        directory_.Path("out") + (files == 1 ? "/out.csv" : "/out{batch_idx|string}.csv");
    UseScript({ReadNode("read", {input_}), CopyNode("copy", "read", copy_batches, copy_extra),
               WriteNode("write", "copy", url, files)});
  }

  state::RunRecord NewRun(const std::vector<std::string>& start_nodes = {}) {
    RunRequest request;
    request.start_nodes = start_nodes;
    const RunPlan plan = PlanRun(*script_, request).ValueOrDie();
    state::RunRecord run = plan.run;
    run.now_ms = 1000;
    run.run_id = state_->CreateRun(run, plan.nodes).ValueOrDie();
    return *state_->FindRun(run.run_id).ValueOrDie();
  }

  Status Execute(const state::RunRecord& run, Play play = nullptr, int threads = 3) {
    pool_ = exec::TaskPool::Make(threads).ValueOrDie();
    ExecutorEnvironment environment;
    environment.env = env_;
    environment.files = files_.get();
    environment.pool = pool_.get();
    environment.memory = &memory_;
    environment.state = state_.get();
    environment.queue = queue_.get();
    environment.tables = tables_.get();
    environment.catalog = catalog_.get();
    environment.spill_directory = directory_.Path("spill");
    environment.owner = owner_;
    environment.retry_delay_ms = 1;
    environment.poll_ms = 5;
    environment.counters = &counters_;
    const Play counted = [this, play](const std::string& node, const node::BatchTask& task,
                                      const exec::CancelToken& cancel) -> Status {
      {
        const std::lock_guard lock(mutex_);
        ++executed_[node][task.batch_index];
      }
      return play != nullptr ? play(node, task, cancel) : Status::OK();
    };
    environment.make_runner =
        [this, counted](node::NodeSetup setup) -> Result<std::unique_ptr<node::NodeRunner>> {
      {
        const std::lock_guard lock(mutex_);
        inputs_[setup.node->name] = setup.inputs;
      }
      return std::unique_ptr<node::NodeRunner>(
          std::make_unique<PlayedRunner>(std::move(setup), counted, alike_));
    };
    auto executor = RunExecutor::Make(environment, script_, run);
    CAPI_RETURN_NOT_OK(executor.status());
    {
      const std::lock_guard lock(mutex_);
      executor_ = std::move(*executor);
    }
    return executor_->Run();
  }

  void Cancel() {
    const std::lock_guard lock(mutex_);
    executor_->Cancel(CancelledError("by the test"));
  }

  state::NodeRecord Node(int64_t run_id, const std::string& name) {
    for (const state::NodeRecord& node : state_->Nodes(run_id).ValueOrDie()) {
      if (node.name == name) return node;
    }
    ADD_FAILURE() << "no node " << name;
    return {};
  }
  int64_t NumCommitted(const state::NodeId& node) {
    const auto batches = state_->Batches(node).ValueOrDie();
    return std::count_if(batches.begin(), batches.end(),
                         [](const auto& batch) { return batch.status == NodeStatus::kSuccess; });
  }
  std::string Statuses(int64_t run_id) {
    std::string text(RunStatusName(state_->FindRun(run_id).ValueOrDie()->status));
    for (const state::NodeRecord& node : state_->Nodes(run_id).ValueOrDie()) {
      text += " " + node.name + "=" + std::string(NodeStatusName(node.status));
    }
    return text;
  }
  int Executed(const std::string& node) {
    const std::lock_guard lock(mutex_);
    int total = 0;
    for (const auto& [batch, times] : executed_[node]) total += times;
    return total;
  }

  int64_t Counted(script::NodeType type, BatchOutcome outcome) const {
    return counters_.batches[static_cast<size_t>(type)][static_cast<size_t>(outcome)]
        .snapshot()
        .count;
  }

  TestFiles directory_;
  std::string input_;
  Env* env_ = Env::Default();
  const std::unique_ptr<files::Files> files_ = files::Files::Make(Env::Default(), {}).ValueOrDie();
  exec::MemoryBudget memory_{0};
  std::unique_ptr<exec::TaskPool> pool_;
  std::unique_ptr<state::StateStore> state_;
  std::unique_ptr<store::TableStore> tables_;
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<TableCatalog> catalog_;
  std::shared_ptr<const script::Script> script_;
  std::unique_ptr<RunExecutor> executor_;
  ReconcileReport reconciled_;
  state::OwnerId owner_ = 0;
  bool alike_ = false;
  ExecutionCounters counters_;
  std::mutex mutex_;
  std::map<std::string, std::map<int64_t, int>> executed_;
  std::map<std::string, std::vector<files::Fingerprint>> inputs_;
};

TEST_F(RunExecutorTest, AChainRunsToItsEnd) {
  UseChain(300);
  const auto run = NewRun();
  ASSERT_TRUE(Execute(run).ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=success write=success");
  EXPECT_EQ(directory_.Read("out/out.csv"), "rows 300\n");
  EXPECT_EQ(directory_.List("out"), std::vector<std::string>{"out.csv"});
  EXPECT_EQ(Executed("copy"), 300);
  EXPECT_EQ(Node(1, "copy").counts, R"({"in":300,"out":300})");
  const auto files = state_->Files(1, std::nullopt).ValueOrDie();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].state, state::FileState::kPublished);
  EXPECT_EQ(files[0].size, 9);
  const RunSnapshot snapshot = executor_->Snapshot();
  EXPECT_EQ(snapshot.nodes[1].phase, NodePhase::kEnded);
  EXPECT_EQ(snapshot.nodes[1].batches_done, 300);

  EXPECT_EQ(Counted(script::NodeType::kFileTable, BatchOutcome::kSuccess), 1);
  EXPECT_EQ(Counted(script::NodeType::kTableTable, BatchOutcome::kSuccess), 300);
  EXPECT_EQ(Counted(script::NodeType::kTableFile, BatchOutcome::kSuccess), 1);
  EXPECT_EQ(counters_.finishes[static_cast<size_t>(BatchOutcome::kSuccess)].snapshot().count, 2);
  EXPECT_EQ(counters_.rows_read, 302);
  EXPECT_EQ(counters_.rows_written, 302);
  EXPECT_EQ(counters_.file_bytes, 9);
  EXPECT_GT(counters_.table_bytes, 0);
  EXPECT_EQ(counters_.executing, 0);
  EXPECT_EQ(counters_.dependency_go, 2);
  EXPECT_EQ(counters_.dependency_nogo, 0);
  EXPECT_EQ(counters_.dependency_checks.snapshot().count,
            counters_.dependency_go + counters_.dependency_wait + counters_.dependency_none);
}

TEST_F(RunExecutorTest, OneThreadIsEnough) {
  UseChain(5, 3);
  ASSERT_TRUE(Execute(NewRun(), nullptr, 1).ok());
  EXPECT_EQ(directory_.List("out"),
            (std::vector<std::string>{"out00000.csv", "out00001.csv", "out00002.csv"}));
}

TEST_F(RunExecutorTest, AFailedBatchFailsItsNodeAndWhatDependsOnIt) {
  UseScript({ReadNode("read", {input_}), CopyNode("bad", "read", 10), CopyNode("good", "read", 2),
             CopyNode("next", "bad", 2), WriteNode("write", "next", directory_.Path("out/x.csv"))});
  const Status status = Execute(
      NewRun(),
      [](const std::string& node, const node::BatchTask& task, const exec::CancelToken&) -> Status {
        if (node == "bad" && task.batch_index == 3) return UserError("bad_value", "row 7: x");
        return Status::OK();
      });
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Statuses(1), "complete read=success bad=fail good=success next=fail write=fail");
  EXPECT_EQ(Node(1, "bad").error.text, "row 7: x");
  EXPECT_EQ(Node(1, "bad").error.error_class, "bad_value");
  EXPECT_EQ(Node(1, "next").error.text, "dependency bad failed in run 1");
  EXPECT_EQ(Node(1, "write").error.text, "dependency next failed in run 1");
  EXPECT_TRUE(directory_.List("out").empty());
}

TEST_F(RunExecutorTest, TheErrorReportedIsThatOfTheFirstBadBatch) {
  UseScript({ReadNode("read", {input_}), CopyNode("bad", "read", 100)});
  std::atomic<bool> later_failed{false};
  const Status status =
      Execute(NewRun(),
              [&](const std::string& node, const node::BatchTask& task,
                  const exec::CancelToken& cancel) -> Status {
                if (node != "bad") return Status::OK();
                if (task.batch_index == 0) {
                  // Fails long after a later batch did.
                  CAPI_RETURN_NOT_OK(WaitFor([&] { return later_failed.load(); }, cancel));
                  std::this_thread::sleep_for(std::chrono::milliseconds(20));
                  return UserError("bad_value", "batch 0");
                }
                if (task.batch_index == 2) {
                  later_failed = true;
                  return UserError("bad_value", "batch 2");
                }
                // Long enough that the failure is seen before all batches were begun.
                std::this_thread::sleep_for(std::chrono::milliseconds(2));
                return Status::OK();
              });
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Node(1, "bad").error.text, "batch 0");
  // Batches behind a failed one are not begun.
  EXPECT_LT(Executed("bad"), 100);
  EXPECT_EQ(Statuses(1), "complete read=success bad=fail");
}

TEST_F(RunExecutorTest, BatchesBehindAFailureAreCancelled) {
  UseScript({ReadNode("read", {input_}), CopyNode("bad", "read", 3)});
  const Status status = Execute(NewRun(),
                                [&](const std::string& node, const node::BatchTask& task,
                                    const exec::CancelToken& cancel) -> Status {
                                  if (node != "bad" || task.batch_index == 0) return Status::OK();
                                  if (task.batch_index == 1) return UserError("bad_value", "no");
                                  return WaitFor([] { return false; }, cancel);
                                });
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Statuses(1), "complete read=success bad=fail");
}

TEST_F(RunExecutorTest, RetriableErrorsAreTriedAgain) {
  UseChain(3);
  std::atomic<int> failures{0};
  ASSERT_TRUE(Execute(NewRun(),
                      [&](const std::string& node, const node::BatchTask& task,
                          const exec::CancelToken&) -> Status {
                        if (node == "copy" && task.batch_index == 1 && task.attempt < 3) {
                          ++failures;
                          return RetriableError("server is busy");
                        }
                        return Status::OK();
                      })
                  .ok());
  EXPECT_EQ(failures, 2);
  EXPECT_EQ(Statuses(1), "complete read=success copy=success write=success");
  const auto attempts = state_->FormerAttempts({1, 1}).ValueOrDie();
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0].outcome, "retried");
  EXPECT_EQ(attempts[0].text, "server is busy");
  EXPECT_EQ(directory_.Read("out/out.csv"), "rows 3\n");
  EXPECT_EQ(Counted(script::NodeType::kTableTable, BatchOutcome::kRetried), 2);
  EXPECT_EQ(Counted(script::NodeType::kTableTable, BatchOutcome::kSuccess), 3);
  EXPECT_EQ(Counted(script::NodeType::kTableTable, BatchOutcome::kFail), 0);
}

TEST_F(RunExecutorTest, RetriableErrorsFailInTheEnd) {
  UseChain(1);
  ASSERT_TRUE(Execute(NewRun(),
                      [&](const std::string& node, const node::BatchTask&,
                          const exec::CancelToken&) -> Status {
                        return node == "write" ? RetriableError("server is busy") : Status::OK();
                      })
                  .ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=success write=fail");
  EXPECT_EQ(Node(1, "write").error.kind, "retriable");
  EXPECT_EQ(Executed("write"), 3);
  EXPECT_EQ(Counted(script::NodeType::kTableFile, BatchOutcome::kRetried), 2);
  EXPECT_EQ(Counted(script::NodeType::kTableFile, BatchOutcome::kFail), 1);
  EXPECT_EQ(counters_.file_bytes, 0);
  EXPECT_TRUE(directory_.List("out").empty());  // no temp files either
  EXPECT_TRUE(state_->Files(1, std::nullopt)->empty());
}

TEST_F(RunExecutorTest, ACancelledRunIsResumedWithItsCommittedBatches) {
  UseChain(50);
  const auto run = NewRun();
  const Status status =
      Execute(run,
              [&](const std::string& node, const node::BatchTask& task,
                  const exec::CancelToken& cancel) -> Status {
                if (node != "copy" || task.batch_index < 20) return Status::OK();
                if (task.batch_index == 20) {
                  CAPI_RETURN_NOT_OK(WaitFor([&] { return NumCommitted({1, 1}) == 20; }, cancel));
                  Cancel();
                }
                return WaitFor([] { return false; }, cancel);
              });
  EXPECT_EQ(KindOf(status), ErrorKind::kCancelled);
  EXPECT_EQ(status.message(), "by the test");
  EXPECT_EQ(Statuses(1), "start read=success copy=start write=none");
  for (const auto& batch : state_->Batches({1, 1}).ValueOrDie()) {
    EXPECT_NE(batch.status, NodeStatus::kStart) << "claim left behind";
  }
  Reopen();
  ASSERT_TRUE(Execute(*state_->FindRun(1).ValueOrDie()).ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=success write=success");
  EXPECT_EQ(directory_.Read("out/out.csv"), "rows 50\n");
  EXPECT_EQ(Executed("read"), 1);
  for (int64_t batch = 0; batch < 20; ++batch) EXPECT_EQ(executed_["copy"][batch], 1) << batch;
  EXPECT_EQ(Node(1, "copy").counts, R"({"in":50,"out":50})");
}

TEST_F(RunExecutorTest, CancellingBeforeTheStartExecutesNothing) {
  UseChain(5);
  const auto run = NewRun();
  pool_ = exec::TaskPool::Make(1).ValueOrDie();
  ExecutorEnvironment environment;
  environment.env = env_;
  environment.files = files_.get();
  environment.pool = pool_.get();
  environment.state = state_.get();
  environment.queue = queue_.get();
  auto executor = RunExecutor::Make(environment, script_, run).ValueOrDie();
  executor->Cancel(CancelledError("early"));
  EXPECT_EQ(executor->Run().message(), "early");
  EXPECT_EQ(Statuses(1), "start read=none copy=none write=none");
}

TEST_F(RunExecutorTest, CancellingAfterTheEndChangesNothing) {
  UseScript({ReadNode("read", {input_}), CopyNode("bad", "read", 2)});
  bool ended = false;
  queue_ = std::make_unique<WatchedQueue>(std::move(queue_), [&] {
    // Before the executor has returned.
    ended = ended || state_->FindRun(1).ValueOrDie()->status == state::RunStatus::kComplete;
    if (ended) Cancel();
  });
  const Status status = Execute(
      NewRun(),
      [](const std::string& node, const node::BatchTask&, const exec::CancelToken&) -> Status {
        return node == "bad" ? UserError("bad_value", "row 7: x") : Status::OK();
      });
  EXPECT_TRUE(ended);
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Statuses(1), "complete read=success bad=fail");
}

TEST_F(RunExecutorTest, AStoppedRunEndsWithStopReceived) {
  UseChain(50);
  const Status status =
      Execute(NewRun(),
              [&](const std::string& node, const node::BatchTask& task,
                  const exec::CancelToken& cancel) -> Status {
                if (node != "copy") return Status::OK();
                if (task.batch_index == 10) CAPI_RETURN_NOT_OK(state_->StopRun(1, "operator"));
                return task.batch_index < 10 ? Status::OK() : WaitFor([] { return false; }, cancel);
              });
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(Statuses(1), "stop read=success copy=stopreceived write=stopreceived");
}

TEST_F(RunExecutorTest, AFencedAttemptLeavesNothing) {
  UseChain(1);
  const state::OwnerId first_owner = owner_;
  const Status status = Execute(
      NewRun(),
      [&](const std::string& node, const node::BatchTask&, const exec::CancelToken&) -> Status {
        if (node != "write") return Status::OK();
        // Somebody takes the work of this process over while it writes.
        CAPI_RETURN_NOT_OK(state_->ExpireOwner(first_owner, 0).status());
        std::thread([this] {
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
          Cancel();
        }).detach();
        return Status::OK();
      });
  EXPECT_EQ(KindOf(status), ErrorKind::kCancelled);
  EXPECT_TRUE(directory_.List("out").empty());
  EXPECT_TRUE(state_->Files(1, std::nullopt)->empty());
  EXPECT_EQ(Statuses(1), "start read=success copy=success write=start");
  EXPECT_EQ(Counted(script::NodeType::kTableFile, BatchOutcome::kFenced), 1);
  EXPECT_EQ(Counted(script::NodeType::kTableFile, BatchOutcome::kSuccess), 0);
  Reopen();
  ASSERT_TRUE(Execute(*state_->FindRun(1).ValueOrDie()).ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=success write=success");
  EXPECT_EQ(state_->Batches({1, 2})->at(0).attempt, 2);
}

TEST_F(RunExecutorTest, AnInterruptedBatchThatMustNotBeRepeatedFailsItsNode) {
  UseChain(3, 1, R"("rerun_policy":"fail",)");
  const auto run = NewRun();
  ASSERT_EQ(state_->ClaimBatches({1, 1}, 1, 2, owner_)->size(), 1u);  // and the process died
  Reopen();
  EXPECT_EQ(reconciled_.lost_claims, 1);
  ASSERT_TRUE(Execute(*state_->FindRun(1).ValueOrDie()).ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=fail write=fail");
  EXPECT_EQ(Node(1, "copy").error.error_class, "interrupted_batch");
}

TEST_F(RunExecutorTest, BatchesThatMustNotBeRepeatedAreClaimedOneByOne) {
  UseChain(20, 1, R"("rerun_policy":"fail",)");
  int64_t begun = 0;
  ASSERT_TRUE(
      Execute(
          NewRun(),
          [&](const std::string& node, const node::BatchTask&, const exec::CancelToken&) -> Status {
            if (node != "copy") return Status::OK();
            ++begun;
            int64_t claimed = 0;
            for (const auto& batch : state_->Batches({1, 1}).ValueOrDie()) {
              if (batch.status != NodeStatus::kNone) ++claimed;
            }
            EXPECT_EQ(claimed, begun);
            return Status::OK();
          },
          1)
          .ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=success write=success");
  EXPECT_EQ(begun, 20);
}

TEST_F(RunExecutorTest, AMissingInputFailsTheReader) {
  UseScript(
      {ReadNode("read", {input_, directory_.Path("missing.csv")}), CopyNode("copy", "read", 1)});
  ASSERT_TRUE(Execute(NewRun()).ok());
  EXPECT_EQ(Statuses(1), "complete read=fail copy=fail");
  EXPECT_EQ(Node(1, "read").error.error_class, "file_not_found");
}

TEST_F(RunExecutorTest, InputsStayPinnedOverAttempts) {
  UseChain(1);
  const auto run = NewRun();
  EXPECT_EQ(KindOf(Execute(run,
                           [&](const std::string&, const node::BatchTask&,
                               const exec::CancelToken& cancel) -> Status {
                             Cancel();
                             return WaitFor([] { return false; }, cancel);
                           })),
            ErrorKind::kCancelled);
  const auto first = inputs_["read"];
  ASSERT_EQ(first.size(), 1u);
  directory_.Write("in.csv", "v\n1\n2\n3\n");
  Reopen();
  ASSERT_TRUE(Execute(*state_->FindRun(1).ValueOrDie()).ok());
  EXPECT_EQ(inputs_["read"], first);
}

TEST_F(RunExecutorTest, LaterRunsReadTheNewestEarlierResults) {
  UseChain(2);
  ASSERT_TRUE(Execute(NewRun({"read"})).ok());
  ASSERT_TRUE(Execute(NewRun({"write"})).ok());
  EXPECT_EQ(Node(2, "write").pins.reader_run, 1);
  ASSERT_TRUE(Execute(NewRun({"copy"})).ok());
  EXPECT_EQ(Node(3, "copy").pins.reader_run, 1);
  EXPECT_EQ(Node(3, "write").pins.reader_run, 3);
  ASSERT_TRUE(Execute(NewRun({"write"})).ok());
  EXPECT_EQ(Node(4, "write").pins.reader_run, 3);
}

TEST_F(RunExecutorTest, ManualNodesRunInALaterRun) {
  UseScript({ReadNode("read", {input_}),
             CopyNode("review", "read", 1, R"("start_policy":"manual",)"),
             WriteNode("write", "review", directory_.Path("out/out.csv"))});
  ASSERT_TRUE(Execute(NewRun()).ok());
  EXPECT_EQ(Statuses(1), "complete read=success");
  ASSERT_TRUE(Execute(NewRun({"review"})).ok());
  EXPECT_EQ(Statuses(2), "complete review=success write=success");
  EXPECT_EQ(directory_.Read("out/out.csv"), "rows 1\n");
}

TEST_F(RunExecutorTest, ADependencyThatNeverRanFailsTheNode) {
  UseChain(1);
  ASSERT_TRUE(Execute(NewRun({"copy"})).ok());
  EXPECT_EQ(Statuses(1), "complete copy=fail write=fail");
  EXPECT_EQ(Node(1, "copy").error.error_class, "dependency_never_started");
}

TEST_F(RunExecutorTest, ADependencyInAStoppedRunIsRefused) {
  UseChain(1);
  ASSERT_TRUE(Execute(NewRun({"read"})).ok());
  ASSERT_TRUE(state_->StopRun(1, "bad data").ok());
  ASSERT_TRUE(Execute(NewRun({"write"})).ok());
  EXPECT_EQ(Statuses(2), "complete write=fail");
  EXPECT_EQ(Node(2, "write").error.error_class, "dependency_failed");
}

TEST_F(RunExecutorTest, WaitingForAnInterruptedRunIsToldInsteadOfHanging) {
  UseChain(1);
  NewRun({"read"});  // never executed
  const Status status = Execute(NewRun({"copy"}));
  EXPECT_EQ(InfoOf(status).error_class, "waits_for_other_run");
  EXPECT_EQ(status.message(),
            "node copy waits: dependency read is not usable: status none in run 1");
  EXPECT_EQ(Statuses(2), "start copy=none write=none");
  EXPECT_GT(counters_.dependency_wait, 0);
  EXPECT_EQ(counters_.dependency_none, 0);
}

TEST_F(RunExecutorTest, WaitingBecauseNoRuleMatchesIsCountedForItself) {
  script_ = ParseScript(ScriptText(
      {ReadNode("read", {input_}), CopyNode("copy", "read", 1)},
      R"({"p":{"is_default":true,"rules":[{"cmd":"go","expression":"nrs.run_id == 7"}]}})"));
  NewRun({"read"});  // never executed
  EXPECT_EQ(InfoOf(Execute(NewRun({"copy"}))).error_class, "waits_for_other_run");
  EXPECT_GT(counters_.dependency_none, 0);
  EXPECT_EQ(counters_.dependency_wait, 0);
}

TEST_F(RunExecutorTest, DuplicateKeysAcrossBatchesFailTheNodeAtItsFinish) {
  UseScript({ReadNode("read", {input_}),
             CopyNode("copy", "read", 3, "", R"json("idx_to_check_uniq_v":"unique(v)")json"),
             CopyNode("next", "copy", 1)});
  alike_ = true;
  ASSERT_TRUE(Execute(NewRun()).ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=fail next=fail");
  EXPECT_EQ(Node(1, "copy").error.error_class, "duplicate_key");
}

TEST_F(RunExecutorTest, RowsThatDistinctDropsAtItsFinishAreCounted) {
  std::string distinct =
      CopyNode("d", "read", 3, R"("rerun_policy":"fail",)", R"json("idx_v":"unique(v)")json");
  distinct.replace(distinct.find("table_table"), 11, "distinct_table");
  UseScript({ReadNode("read", {input_}), distinct});
  alike_ = true;
  ASSERT_TRUE(Execute(NewRun()).ok());
  EXPECT_EQ(Statuses(1), "complete read=success d=success");
  EXPECT_EQ(Node(1, "d").counts, R"({"in":3,"duplicates":2,"out":1})");
}

TEST_F(RunExecutorTest, AnExceptionInANodeIsABugOfThatBatch) {
  UseChain(1);
  ASSERT_TRUE(Execute(NewRun(),
                      [](const std::string& node, const node::BatchTask&,
                         const exec::CancelToken&) -> Status {
                        if (node == "copy") throw std::runtime_error("boom");
                        return Status::OK();
                      })
                  .ok());
  EXPECT_EQ(Statuses(1), "complete read=success copy=fail write=fail");
  EXPECT_EQ(Node(1, "copy").error.kind, "bug");
}

TEST_F(RunExecutorTest, GarbageOfAFailedRunIsCollected) {
  UseChain(20);
  ASSERT_TRUE(Execute(NewRun(),
                      [](const std::string& node, const node::BatchTask& task,
                         const exec::CancelToken&) -> Status {
                        return node == "copy" && task.batch_index == 19
                                   ? UserError("bad_value", "x")
                                   : Status::OK();
                      })
                  .ok());
  Reopen();
  EXPECT_TRUE(catalog_->Open({1, "t_read"}).ok());
  EXPECT_EQ(InfoOf(catalog_->Open({1, "t_copy"}).status()).error_class, "table_not_found");
}

}  // namespace
}  // namespace capi::workflow
