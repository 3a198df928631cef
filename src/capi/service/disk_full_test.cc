// Disks that fill up at any write, and inputs that change between two attempts.

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/fault_point.h"
#include "capi/base/log.h"
#include "capi/service/simulation_testing_internal.h"

namespace capi::service {
namespace {

using state::NodeStatus;
using state::RunStatus;

const Results& UndisturbedResults() {
  static const Results* const expected = [] {
    SimulatedWorld world(0);
    const Result<RunSummary> summary = world.Run(2);
    EXPECT_TRUE(summary.ok() && summary->AllSucceeded());
    return new Results(world.Read().ValueOrDie());
  }();
  return *expected;
}

/// Of a run that the full disk has ended: the error is the disk's and names a file below `root`.
std::string CheckError(const Result<RunSummary>& summary, const std::string& root) {
  const Status error = summary.ok() ? summary->error : summary.status();
  if (error.ok()) return "no error is told";
  if (KindOf(error) != ErrorKind::kEnvironment) return "another kind: " + Describe(error);
  if (error.message().find("full") == std::string::npos &&
      error.message().find("No space left") == std::string::npos) {
    return "another error: " + Describe(error);
  }
  if (error.message().find(root) == std::string::npos) return "names no file: " + Describe(error);
  return "";
}

/// Nothing of it is half committed: no batch, node or run has failed, files are whole.
std::string CheckState(SimulatedWorld* world) {
  Env* env = world->env();
  for (const std::string& name : env->ListDirectory(world->output_directory()).ValueOrDie()) {
    if (name.ends_with(".tmp")) continue;
    const auto found = UndisturbedResults().files.find(name);
    if (found == UndisturbedResults().files.end() ||
        env->ReadFile(world->output_directory() + "/" + name).ValueOrDie() != found->second) {
      return "output file is not whole: " + name;
    }
  }
  const auto runs = RunsOf(world->keyspace());
  // The disk was full before there was a state.
  if (!runs.ok()) return "";
  if (runs->size() > 1) return "more than one run";
  for (const RunHistory& run : *runs) {
    for (const NodeHistory& node : NodesOf(world->keyspace(), run.run.run_id).ValueOrDie()) {
      if (node.node.status == NodeStatus::kFail || node.batches_failed > 0) {
        return "node has failed: " + node.node.name;
      }
      if (run.run.status == RunStatus::kComplete && node.node.status != NodeStatus::kSuccess) {
        return "run is complete without node " + node.node.name;
      }
    }
  }
  return "";
}

/// The same command once there is space.
std::string CheckRecovery(SimulatedWorld* world, int64_t memory_limit) {
  world->env()->FailAppend(0);
  const Result<RunSummary> summary = world->Run(2, memory_limit);
  if (!summary.ok()) return "with space: " + Describe(summary.status());
  if (!summary->AllSucceeded()) return "with space: " + Describe(summary->error);
  const Result<Results> results = world->Read();
  if (!results.ok()) return Describe(results.status());
  return results->DifferenceFrom(UndisturbedResults());
}

/// Fills the disk at the k-th write below `place` for every k until a run gets through; returns
/// the number of writes.
int64_t FillAtEveryWrite(const std::function<std::string(const SimulatedWorld&)>& place,
                         int64_t step) {
  std::atomic<int64_t> next{1};
  std::atomic<bool> beyond{false};
  std::mutex mutex;
  const auto fill = [&] {
    while (!beyond) {
      const int64_t k = next.fetch_add(step);
      SimulatedWorld world(static_cast<uint64_t>(k));
      world.env()->FailAppend(k, place(world));
      Result<RunSummary> summary = world.Run(1 + static_cast<int>(k % 2));
      if (!world.env()->disk_full()) {
        beyond = true;
        return;
      }
      // The disk stays full for another try.
      if (k % 5 == 0 && !(summary.ok() && summary->AllSucceeded())) summary = world.Run(2);
      std::string problem =
          summary.ok() && summary->AllSucceeded() ? "" : CheckError(summary, world.root());
      if (problem.empty()) problem = CheckState(&world);
      if (problem.empty()) problem = CheckRecovery(&world, kPlentyOfMemory);
      if (problem.empty()) continue;
      const std::lock_guard lock(mutex);
      ADD_FAILURE() << "full at write " << k << ": " << problem;
    }
  };
  std::thread other(fill);
  fill();
  other.join();
  return next.load() - step;
}

class DiskFullTest : public testing::Test {
 protected:
  void SetUp() override {
    (void)UndisturbedResults();
    SetLogLevel(LogLevel::kOff);
  }
  void TearDown() override {
    SetLogLevel(LogLevel::kWarn);
    EXPECT_TRUE(ArmFaultPoints("").ok());
  }
};

TEST_F(DiskFullTest, OneDiskForEverything) {
  EXPECT_GT(FillAtEveryWrite([](const SimulatedWorld& world) { return world.root(); }, 3), 100);
}

TEST_F(DiskFullTest, SegmentsAndIndexes) {
  EXPECT_GT(
      FillAtEveryWrite(
          [](const SimulatedWorld& world) { return world.keyspace_directory() + "/tables"; }, 1),
      20);
}

TEST_F(DiskFullTest, OutputFiles) {
  EXPECT_GT(
      FillAtEveryWrite([](const SimulatedWorld& world) { return world.output_directory(); }, 1), 8);
}

TEST_F(DiskFullTest, WorkflowState) {
  EXPECT_GT(
      FillAtEveryWrite(
          [](const SimulatedWorld& world) { return world.keyspace_directory() + "/state.db"; }, 3),
      50);
}

TEST_F(DiskFullTest, SpilledData) {
  constexpr int64_t kLeastMemory = 1;
  int64_t hits = 0;
  while (true) {
    SimulatedWorld world(static_cast<uint64_t>(hits));
    ASSERT_TRUE(ArmFaultPoints("exec.before_spill:error:" + std::to_string(hits + 1)).ok());
    const Result<RunSummary> summary = world.Run(2, kLeastMemory);
    ASSERT_TRUE(ArmFaultPoints("").ok());
    ASSERT_TRUE(summary.ok()) << Describe(summary.status());
    if (summary->AllSucceeded()) break;
    ++hits;
    EXPECT_TRUE(summary->interrupted);
    EXPECT_EQ(KindOf(summary->error), ErrorKind::kEnvironment) << Describe(summary->error);
    EXPECT_EQ(summary->error.message().find("cannot spill to disk"), 0u);
    EXPECT_EQ(CheckState(&world), "");
    EXPECT_EQ(CheckRecovery(&world, kLeastMemory), "");
  }
  EXPECT_GT(hits, 2);
}

TEST_F(DiskFullTest, AnOutputRemovedBeforeItsPublicationFailsItsNode) {
  SimulatedWorld world(1);
  ASSERT_TRUE(ArmFaultPoints("workflow.before_publish:error").ok());
  Result<RunSummary> summary = world.Run(1);
  ASSERT_TRUE(ArmFaultPoints("").ok());
  ASSERT_TRUE(summary.ok() && summary->interrupted);
  ASSERT_TRUE(world.env()->RemoveTree(world.output_directory()).ok());
  ASSERT_TRUE(world.env()->CreateDirectories(world.output_directory()).ok());
  summary = world.Run(2);
  ASSERT_TRUE(summary.ok()) << Describe(summary.status());
  EXPECT_TRUE(summary->resumed);
  EXPECT_EQ(summary->status, RunStatus::kComplete);
  EXPECT_FALSE(summary->AllSucceeded());
  int64_t lost = 0;
  for (const workflow::NodeSnapshot& node : summary->nodes) {
    if (node.status != NodeStatus::kFail) continue;
    EXPECT_EQ(node.error.error_class, "output_lost") << node.name << ": " << node.error.text;
    EXPECT_NE(node.error.text.find(world.output_directory()), std::string::npos);
    ++lost;
  }
  EXPECT_GE(lost, 1);
  // The next run makes all files.
  summary = world.Run(2);
  ASSERT_TRUE(summary.ok() && summary->AllSucceeded());
  EXPECT_EQ(summary->run_id, 2);
}

class InputChangeTest : public DiskFullTest, public testing::WithParamInterface<const char*> {
 protected:
  /// Orders with another customer in every row.
  static std::string OtherOrders() {
    std::string csv = "id,customer,day\n";
    for (int id = 0; id < SimulatedWorld::kOrdersPerFile; ++id) {
      csv += std::to_string(id) + ",someone,2024-02-01\n";
    }
    return csv;
  }

  static void Change(const SimulatedWorld& world, const std::string& how) {
    const std::string path = world.InputPath("orders0.csv");
    const std::string content = Env::Default()->ReadFile(path).ValueOrDie();
    if (how == "replaced") {
      world.Write("orders0.csv.new", OtherOrders());
      std::filesystem::rename(path + ".new", path);
    } else if (how == "rewritten") {
      std::string other = content;
      other[other.size() - 2] = other[other.size() - 2] == '1' ? '2' : '1';
      world.Write("orders0.csv", other);
    } else if (how == "appended") {
      world.Write("orders0.csv", content + "5000,late,2024-03-01\n");
    } else if (how == "truncated") {
      world.Write("orders0.csv", content.substr(0, content.size() / 2));
    } else if (how == "emptied") {
      world.Write("orders0.csv", "");
    } else {
      std::filesystem::remove(path);
    }
  }
};

TEST_P(InputChangeTest, BetweenTwoAttemptsIsAUserError) {
  SimulatedWorld world(1);
  // The first node has its inputs pinned, but has read none of them.
  ASSERT_TRUE(ArmFaultPoints("workflow.after_claim:error").ok());
  Result<RunSummary> summary = world.Run(1);
  ASSERT_TRUE(ArmFaultPoints("").ok());
  ASSERT_TRUE(summary.ok() && summary->interrupted);
  Change(world, GetParam());
  summary = world.Run(2);
  ASSERT_TRUE(summary.ok()) << Describe(summary.status());
  EXPECT_TRUE(summary->resumed);
  EXPECT_EQ(summary->status, RunStatus::kComplete);
  const workflow::NodeSnapshot& reader = summary->nodes[0];
  EXPECT_EQ(reader.status, NodeStatus::kFail);
  EXPECT_EQ(reader.error.kind, "user");
  EXPECT_EQ(reader.error.error_class,
            std::string(GetParam()) == "removed" ? "file_not_found" : "input_changed");
  EXPECT_NE(reader.error.text.find(world.InputPath("orders0.csv")), std::string::npos)
      << reader.error.text;
  EXPECT_EQ(summary->nodes[1].status, NodeStatus::kSuccess);
  EXPECT_EQ(summary->nodes[2].error.error_class, "dependency_failed");
  EXPECT_TRUE(world.env()->ListDirectory(world.output_directory())->empty());

  // A new run takes the input as it is now.
  if (std::string(GetParam()) != "replaced") return;
  summary = world.Run(2);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->run_id, 2);
  EXPECT_TRUE(summary->AllSucceeded()) << Describe(summary->error);
  const Results results = world.Read().ValueOrDie();
  EXPECT_NE(results.files.at("totals.csv").find("someone"), std::string::npos);
}

TEST_P(InputChangeTest, AfterItWasReadChangesNothing) {
  SimulatedWorld world(1);
  // The first output file waits to be published: all inputs are read.
  ASSERT_TRUE(ArmFaultPoints("workflow.before_publish:error").ok());
  Result<RunSummary> summary = world.Run(1);
  ASSERT_TRUE(ArmFaultPoints("").ok());
  ASSERT_TRUE(summary.ok() && summary->interrupted);
  Change(world, GetParam());
  summary = world.Run(2);
  ASSERT_TRUE(summary.ok() && summary->AllSucceeded());
  EXPECT_TRUE(summary->resumed);
  EXPECT_EQ(world.Read()->DifferenceFrom(UndisturbedResults()), "");
}

INSTANTIATE_TEST_SUITE_P(Ways, InputChangeTest,
                         testing::Values("replaced", "rewritten", "appended", "truncated",
                                         "emptied", "removed"),
                         [](const auto& way) { return std::string(way.param); });

}  // namespace
}  // namespace capi::service
