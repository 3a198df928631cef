// Shared runs: several executors, each with an owner, a queue and a pool of its own as if it were a
// process, execute the same run over one state and one table store.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "capi/exec/memory.h"
#include "capi/queue/local/local_queue.h"
#include "capi/state/test_stores.h"
#include "capi/workflow/lease.h"
#include "capi/workflow/played_runner_testing_internal.h"
#include "capi/workflow/run_executor.h"
#include "capi/workflow/run_plan.h"
#include "capi/workflow/workflow_testing_internal.h"

namespace capi::workflow {
namespace {

using state::NodeStatus;

/// One process of the cluster.
struct Process {
  state::OwnerId owner = 0;
  std::unique_ptr<state::StateStore> own_state;  ///< where several may be open at once
  state::StateStore* state = nullptr;
  std::unique_ptr<queue::Queue> queue;
  std::unique_ptr<exec::TaskPool> pool;
  std::unique_ptr<TableCatalog> catalog;
  std::unique_ptr<RunExecutor> executor;
  std::thread thread;
  Status status;
};

class SharedRunTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    place_ = GetParam() == "sqlite"
                 ? state::NewSqlitePlace()
                 : state::NewCassandraPlace(/*lossy=*/GetParam() == "cassandra_lossy");
    if (place_ == nullptr) GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    state_ = place_->Open().ValueOrDie();
    // The runs of all tests are in the same keyspace there.
    first_owner_ = static_cast<state::OwnerId>(env_->Random() >> 2) + 1;
    std::filesystem::create_directories(directory_.Path("out"));
    std::filesystem::create_directories(directory_.Path("spill"));
    input_ = directory_.Write("in.csv", "v\n1\n");
    tables_ = store::TableStore::Open(env_, directory_.Path("tables")).ValueOrDie();
    catalog_ = std::make_unique<TableCatalog>(state_.get(), tables_.get());
  }
  void TearDown() override {
    processes_.clear();
    catalog_.reset();
    // Its tables are gone: no run of a later test in the same keyspace may use them.
    if (run_.run_id != 0) {
      EXPECT_TRUE(state_->StopRun(run_.run_id, "end of the test").ok());
    }
  }

  /// read (one file) -> copy (many batches) -> write (many files).
  void UseChain(int64_t copy_batches, int64_t files = 1, const std::string& copy_extra = "") {
    const std::string url =
        directory_.Path("out") + (files == 1 ? "/out.csv" : "/out{batch_idx|string}.csv");
    script_ = ParseScript(
        ScriptText({ReadNode("read", {input_}), CopyNode("copy", "read", copy_batches, copy_extra),
                    WriteNode("write", "copy", url, files)}));
    RunPlan plan = PlanRun(*script_, {}).ValueOrDie();
    plan.run.now_ms = 1000;
    const int64_t id = state_->CreateRun(plan.run, plan.nodes).ValueOrDie();
    run_ = *state_->FindRun(id).ValueOrDie();
  }

  /// Hands messages to the processes in turn; what becomes of each is the test's choice.
  enum class Fate : uint8_t { kDelivered, kLost, kDoubled };
  Status Offer(const std::vector<queue::Message>& messages) {
    const std::lock_guard lock(mutex_);
    for (const queue::Message& message : messages) {
      ++offered_;
      const Fate fate = fate_ != nullptr ? fate_(message) : Fate::kDelivered;
      const int copies = fate == Fate::kLost ? 0 : fate == Fate::kDoubled ? 2 : 1;
      for (int i = 0; i < copies; ++i) {
        Process& process = *processes_[next_++ % processes_.size()];
        CAPI_RETURN_NOT_OK(process.queue->Enqueue(message, 0));
        if (process.executor != nullptr) process.executor->Wake();
      }
    }
    return Status::OK();
  }

  void AddProcesses(int count, Play play = nullptr, int64_t idle_claim_ms = 3600000) {
    std::vector<Process*> added;
    for (int i = 0; i < count; ++i) {
      auto process = std::make_unique<Process>();
      process->owner = first_owner_ + static_cast<state::OwnerId>(processes_.size());
      if (state_->IsShared()) process->own_state = place_->Open().ValueOrDie();
      process->state = state_->IsShared() ? process->own_state.get() : state_.get();
      const auto owners = process->state->Owners().ValueOrDie();
      const bool known = std::any_of(owners.begin(), owners.end(), [&](const auto& owner) {
        return owner.owner == process->owner;
      });
      if (!known) {
        ASSERT_TRUE(process->state->RegisterOwner({process->owner, "test", 0, {}}).ok());
      }
      process->queue = queue::NewLocalQueue(env_);
      process->pool = exec::TaskPool::Make(2).ValueOrDie();
      added.push_back(process.get());
      const std::lock_guard lock(mutex_);
      processes_.push_back(std::move(process));
    }
    for (Process* process : added) {
      ExecutorEnvironment environment;
      environment.env = env_;
      environment.files = files_.get();
      environment.pool = process->pool.get();
      environment.memory = &memory_;
      environment.state = process->state;
      environment.queue = process->queue.get();
      environment.tables = tables_.get();
      environment.catalog = catalog_.get();
      environment.spill_directory = directory_.Path("spill");
      environment.owner = process->owner;
      environment.retry_delay_ms = 1;
      environment.poll_ms = 5;
      environment.idle_claim_ms = idle_claim_ms;
      environment.wait_for_other_runs = wait_for_other_runs_;
      environment.offer = [this](const std::vector<queue::Message>& messages) {
        return Offer(messages);
      };
      const Play counted = [this, play, process](const std::string& node,
                                                 const node::BatchTask& task,
                                                 const exec::CancelToken& cancel) -> Status {
        {
          const std::lock_guard lock(mutex_);
          ++executed_[{node, task.batch_index}];
          busy_.insert(process->owner);
        }
        return play != nullptr ? play(node, task, cancel) : Status::OK();
      };
      environment.make_runner =
          [counted](node::NodeSetup setup) -> Result<std::unique_ptr<node::NodeRunner>> {
        return std::unique_ptr<node::NodeRunner>(
            std::make_unique<PlayedRunner>(std::move(setup), counted, /*alike=*/false));
      };
      auto executor = RunExecutor::Make(environment, script_, run_);
      ASSERT_TRUE(executor.ok()) << executor.status().ToString();
      const std::lock_guard lock(mutex_);
      process->executor = std::move(*executor);
    }
    for (Process* process : added) {
      process->thread = std::thread([process] { process->status = process->executor->Run(); });
    }
  }

  void Join() {
    for (const std::unique_ptr<Process>& process : processes_) {
      if (process->thread.joinable()) process->thread.join();
    }
  }

  std::string Statuses() {
    std::string text(RunStatusName(state_->FindRun(run_.run_id).ValueOrDie()->status));
    for (const state::NodeRecord& node : state_->Nodes(run_.run_id).ValueOrDie()) {
      text += " " + node.name + "=" + std::string(NodeStatusName(node.status));
    }
    return text;
  }
  void ExpectComplete() {
    EXPECT_EQ(Statuses(), "complete read=success copy=success write=success");
    for (const std::unique_ptr<Process>& process : processes_) {
      EXPECT_TRUE(process->status.ok()) << process->status.ToString();
    }
  }
  int64_t RowsOfCopy() { return catalog_->Open({run_.run_id, "t_copy"}).ValueOrDie()->num_rows(); }
  int Times(const std::string& node, int64_t batch) {
    const std::lock_guard lock(mutex_);
    return executed_[{node, batch}];
  }
  int64_t EndEvents(state::EventKind kind, int status) {
    const auto events = state_->EventsAfter(0, 100000).ValueOrDie();
    return std::count_if(events.begin(), events.end(), [&](const state::Event& event) {
      return event.run_id == run_.run_id && event.kind == kind && event.status == status;
    });
  }

  TestFiles directory_;
  std::string input_;
  Env* env_ = Env::Default();
  const std::unique_ptr<files::Files> files_ = files::Files::Make(Env::Default(), {}).ValueOrDie();
  exec::MemoryBudget memory_{0};
  std::unique_ptr<state::TestPlace> place_;
  std::unique_ptr<state::StateStore> state_;  ///< of the test itself
  state::OwnerId first_owner_ = 0;
  std::unique_ptr<store::TableStore> tables_;
  std::unique_ptr<TableCatalog> catalog_;
  std::shared_ptr<const script::Script> script_;
  state::RunRecord run_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Process>> processes_;
  size_t next_ = 0;
  int64_t offered_ = 0;
  std::function<Fate(const queue::Message&)> fate_;
  std::map<std::pair<std::string, int64_t>, int> executed_;
  std::set<state::OwnerId> busy_;
  bool wait_for_other_runs_ = true;
};

TEST_P(SharedRunTest, SeveralProcessesDoEachBatchOnce) {
  UseChain(40, 10);
  AddProcesses(3, [](const std::string&, const node::BatchTask&, const exec::CancelToken&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return Status::OK();
  });
  Join();
  ExpectComplete();
  EXPECT_EQ(RowsOfCopy(), 40);
  for (int64_t batch = 0; batch < 40; ++batch) EXPECT_EQ(Times("copy", batch), 1) << batch;
  EXPECT_EQ(directory_.List("out").size(), 10u);
  EXPECT_EQ(busy_.size(), 3u);
  EXPECT_EQ(EndEvents(state::EventKind::kBatch, static_cast<int>(NodeStatus::kSuccess)), 51);
  EXPECT_EQ(EndEvents(state::EventKind::kNode, static_cast<int>(NodeStatus::kSuccess)), 3);
  EXPECT_EQ(EndEvents(state::EventKind::kRun, static_cast<int>(state::RunStatus::kComplete)), 1);
}

TEST_P(SharedRunTest, OneProcessIsEnough) {
  UseChain(5);
  AddProcesses(1);
  Join();
  ExpectComplete();
  EXPECT_EQ(offered_, 7);
}

TEST_P(SharedRunTest, DoubledMessagesChangeNothing) {
  fate_ = [](const queue::Message&) { return Fate::kDoubled; };
  UseChain(30, 5);
  AddProcesses(3);
  Join();
  ExpectComplete();
  EXPECT_EQ(RowsOfCopy(), 30);
  for (int64_t batch = 0; batch < 30; ++batch) EXPECT_EQ(Times("copy", batch), 1) << batch;
}

TEST_P(SharedRunTest, LostMessagesCostOnlyTime) {
  fate_ = [](const queue::Message&) { return Fate::kLost; };
  UseChain(30, 5);
  AddProcesses(3, nullptr, /*idle_claim_ms=*/20);
  Join();
  ExpectComplete();
  EXPECT_EQ(RowsOfCopy(), 30);
  for (int64_t batch = 0; batch < 30; ++batch) EXPECT_EQ(Times("copy", batch), 1) << batch;
}

TEST_P(SharedRunTest, AProcessThatComesLaterTakesPart) {
  UseChain(40);
  std::atomic<bool> late{false};
  const Play play = [&](const std::string& node, const node::BatchTask& task,
                        const exec::CancelToken& cancel) -> Status {
    if (node == "copy" && task.batch_index >= 8) {
      CAPI_RETURN_NOT_OK(WaitFor([&] { return late.load(); }, cancel));
    }
    return Status::OK();
  };
  AddProcesses(1, play);
  while (Times("copy", 8) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  AddProcesses(1, play, /*idle_claim_ms=*/1);
  const auto is_busy = [&] {
    const std::lock_guard lock(mutex_);
    return busy_.count(first_owner_ + 1) == 1;
  };
  while (!is_busy()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  late = true;
  Join();
  ExpectComplete();
  EXPECT_EQ(RowsOfCopy(), 40);
}

TEST_P(SharedRunTest, TheErrorIsThatOfTheFirstBadBatchWhoeverExecutesIt) {
  UseChain(20);
  AddProcesses(
      3,
      [](const std::string& node, const node::BatchTask& task, const exec::CancelToken&) -> Status {
        if (node != "copy") return Status::OK();
        // The later ones fail sooner.
        std::this_thread::sleep_for(std::chrono::milliseconds(20 - task.batch_index));
        if (task.batch_index % 3 == 2) {
          return UserError("bad", "batch " + std::to_string(task.batch_index));
        }
        return Status::OK();
      });
  Join();
  EXPECT_EQ(Statuses(), "complete read=success copy=fail write=fail");
  EXPECT_EQ(state_->Nodes(run_.run_id).ValueOrDie()[1].error.text, "batch 2");
}

TEST_P(SharedRunTest, WorkOfAProcessThatDiedIsDoneByOthers) {
  UseChain(12);
  std::atomic<bool> dead{false};
  AddProcesses(
      2,
      [&](const std::string& node, const node::BatchTask& task,
          const exec::CancelToken& cancel) -> Status {
        // Its attempts hang until the process is declared dead; then their commits are fenced.
        if (node == "copy" && task.attempt == 1 && task.batch_index % 2 == 0) {
          return WaitFor([&] { return dead.load(); }, cancel);
        }
        return Status::OK();
      },
      /*idle_claim_ms=*/20);
  while (Times("copy", 0) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto batches = state_->Batches({run_.run_id, 1}).ValueOrDie();
  state::OwnerId holder = 0;
  for (const state::BatchRecord& batch : batches) {
    if (batch.id.batch_index == 0) holder = batch.owner;
  }
  ASSERT_NE(holder, 0);
  ASSERT_TRUE(state_->ExpireOwner(holder, 0).ValueOrDie().has_value());
  dead = true;
  // The fenced process does not come back: its owner is gone.
  Join();
  ExpectComplete();
  EXPECT_EQ(RowsOfCopy(), 12);
  EXPECT_GE(Times("copy", 0), 2);
  for (const state::BatchRecord& batch : state_->Batches({run_.run_id, 1}).ValueOrDie()) {
    if (batch.id.batch_index != 0) continue;
    EXPECT_GE(batch.attempt, 2);
    // Elsewhere a process may claim for a moment after its expiry.
    if (!state_->IsShared()) {
      EXPECT_NE(batch.owner, holder);
    }
  }
}

TEST_P(SharedRunTest, ADrainedProcessFinishesWhatItBeganAndOthersDoTheRest) {
  UseChain(30);
  std::atomic<bool> go{false};
  const Play play = [&](const std::string& node, const node::BatchTask&,
                        const exec::CancelToken& cancel) -> Status {
    return node == "copy" ? WaitFor([&] { return go.load(); }, cancel) : Status::OK();
  };
  AddProcesses(2, play, /*idle_claim_ms=*/20);
  const auto both_busy = [&] {
    return processes_[0]->executor->BatchesInHand() > 2 &&
           processes_[1]->executor->BatchesInHand() > 2;
  };
  while (!both_busy()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  processes_[0]->executor->Drain(CancelledError("the test drains it"));
  go = true;
  processes_[0]->thread.join();
  EXPECT_EQ(KindOf(processes_[0]->status), ErrorKind::kCancelled);
  EXPECT_EQ(processes_[0]->executor->BatchesInHand(), 0);
  processes_[0]->status = Status::OK();
  Join();
  ExpectComplete();
  EXPECT_EQ(RowsOfCopy(), 30);
  for (int64_t batch = 0; batch < 30; ++batch) EXPECT_EQ(Times("copy", batch), 1) << batch;
}

TEST_P(SharedRunTest, AnExecutorMadeAnewGivesBackWhatItsFormerSelfHeld) {
  UseChain(4);
  ASSERT_TRUE(state_->RegisterOwner({first_owner_, "test", 0, {}}).ok());
  ASSERT_EQ(state_->ClaimBatches({run_.run_id, 0}, 0, 1, first_owner_).ValueOrDie().size(), 1u);
  AddProcesses(1, nullptr, /*idle_claim_ms=*/20);
  Join();
  ExpectComplete();
  EXPECT_EQ(state_->FormerAttempts({run_.run_id, 0}).ValueOrDie().size(), 1u);
}

TEST_P(SharedRunTest, AStopReachesAllProcesses) {
  UseChain(20);
  AddProcesses(3,
               [](const std::string& node, const node::BatchTask&,
                  const exec::CancelToken& cancel) -> Status {
                 return node == "copy" ? WaitFor([] { return false; }, cancel) : Status::OK();
               });
  while (Times("copy", 0) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(state_->StopRun(run_.run_id, "by the test").ok());
  Join();
  EXPECT_EQ(Statuses(), "stop read=success copy=stopreceived write=stopreceived");
  for (const std::unique_ptr<Process>& process : processes_) {
    EXPECT_TRUE(process->status.ok()) << process->status.ToString();
  }
}

TEST_P(SharedRunTest, WaitingForAnotherRunIsToldOnlyWhereItIsWanted) {
  // Names of no other test: its runs are in the same keyspace.
  script_ =
      ParseScript(ScriptText({ReadNode("first", {input_}), CopyNode("second", "first", 3, "")}));
  const auto start = [this](const std::string& node) {
    RunRequest request;
    request.start_nodes = {node};
    request.until_node = node;
    const RunPlan plan = PlanRun(*script_, request).ValueOrDie();
    const int64_t id = state_->CreateRun(plan.run, plan.nodes).ValueOrDie();
    run_ = *state_->FindRun(id).ValueOrDie();
  };
  start("first");  // not executed yet
  const state::RunRecord first = run_;
  start("second");
  wait_for_other_runs_ = false;
  AddProcesses(1);
  Join();
  EXPECT_EQ(InfoOf(processes_[0]->status).error_class, "waits_for_other_run");
  EXPECT_EQ(Statuses(), "start second=none");

  const state::RunRecord second = run_;
  wait_for_other_runs_ = true;
  AddProcesses(1, nullptr, /*idle_claim_ms=*/10);
  run_ = first;
  AddProcesses(1, nullptr, /*idle_claim_ms=*/10);
  Join();
  EXPECT_EQ(Statuses(), "complete first=success");
  EXPECT_TRUE(state_->StopRun(run_.run_id, "end of the test").ok());
  run_ = second;
  EXPECT_EQ(Statuses(), "complete second=success");
}

TEST_P(SharedRunTest, AStateThatIsSharedNeedsSomebodyToOfferBatchesTo) {
  UseChain(1);
  ExecutorEnvironment environment;
  environment.env = env_;
  environment.state = state_.get();
  const Status alone = RunExecutor::Make(environment, script_, run_).status();
  if (state_->IsShared()) {
    EXPECT_EQ(KindOf(alone), ErrorKind::kBug) << Describe(alone);
  } else {
    EXPECT_TRUE(alone.ok()) << Describe(alone);
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, SharedRunTest,
                         testing::Values("sqlite", "cassandra", "cassandra_lossy"),
                         [](const testing::TestParamInfo<std::string>& tested) {
                           return tested.param;
                         });

}  // namespace
}  // namespace capi::workflow
