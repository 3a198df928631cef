// Runs of a small pipeline that lose their process or their power after any operation on the disk,
// again and again, until one gets through. CAPI_SIM_SEEDS: how many (default 200);
// CAPI_SIM_FIRST_SEED: the first one.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/log.h"
#include "capi/service/simulation_testing_internal.h"

namespace capi::service {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kDefaultSeeds = 40;
#else
constexpr uint64_t kDefaultSeeds = 200;
#endif
/// Lives of a simulation at most; the last one is left in peace.
constexpr int kMaxLives = 8;
constexpr double kMaxDeadShare = 0.1;

uint64_t NumberFromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

/// What an undisturbed run does.
struct Reference {
  Results results;
  int64_t operations = 0;
};

/// How often the things happened that a simulation is for.
struct Tally {
  std::atomic<int64_t> lives{0};
  std::atomic<int64_t> kills{0};
  std::atomic<int64_t> power_cuts{0};
  std::atomic<int64_t> failed_syncs{0};
  std::atomic<int64_t> resumed{0};
  std::atomic<int64_t> batches_kept{0};
};

class Simulation {
 public:
  Simulation(uint64_t seed, const Reference& reference, Tally* tally)
      : random_(seed), reference_(reference), tally_(*tally), world_(seed) {}

  /// What went wrong, "" if nothing did.
  std::string Run() {
    const int threads = 1 + static_cast<int>(Below(2));
    // The least memory makes sorts and joins spill.
    const int64_t memory_limit = Below(4) == 0 ? 1 : kPlentyOfMemory;
    for (int life = 0; life < kMaxLives; ++life) {
      if (life + 1 < kMaxLives) Disturb();
      const Result<RunSummary> summary = world_.Run(threads, memory_limit);
      ++tally_.lives;
      world_.env()->StopAfter(-1);
      world_.env()->FailSync(0);
      const bool succeeded = summary.ok() && summary->AllSucceeded();
      if (!succeeded) {
        if (std::string problem = CheckFailure(summary); !problem.empty()) return problem;
      }
      if (summary.ok() && summary->resumed) {
        ++tally_.resumed;
        tally_.batches_kept += summary->batches_kept;
      }
      // A success must survive a power cut.
      if (succeeded || Below(3) != 0) {
        const Status crashed = world_.env()->Crash(random_());
        if (!crashed.ok()) return "crash: " + Describe(crashed);
        ++tally_.power_cuts;
      } else {
        ++tally_.kills;
      }
      if (std::string problem = CheckTargets(); !problem.empty()) return problem;
      if (succeeded) return CheckSuccess();
      if (life + 1 == kMaxLives) return "the undisturbed run did not succeed: " + Errors(summary);
    }
    return "";
  }

 private:
  uint64_t Below(uint64_t end) { return random_() % end; }

  void Disturb() {
    const auto operations = static_cast<uint64_t>(reference_.operations);
    switch (Below(10)) {
      case 0:
        world_.env()->FailSync(1 + static_cast<int64_t>(Below(40)));
        ++tally_.failed_syncs;
        sync_failed_ = true;
        break;
      case 1:
      case 2:  // recovery and the first steps
        world_.env()->StopAfter(static_cast<int64_t>(Below(60)));
        break;
      default:
        world_.env()->StopAfter(static_cast<int64_t>(Below(operations + operations / 10)));
    }
  }

  static std::string Errors(const Result<RunSummary>& summary) {
    if (!summary.ok()) return Describe(summary.status());
    std::string text = Describe(summary->error);
    for (const workflow::NodeSnapshot& node : summary->nodes) {
      if (!node.error.empty()) text += "; " + node.name + ": " + node.error.text;
    }
    return text;
  }

  /// All that happens here is the disk's fault.
  static std::string CheckFailure(const Result<RunSummary>& summary) {
    const Status status = summary.ok() ? summary->error : summary.status();
    if (!status.ok() && KindOf(status) != ErrorKind::kEnvironment) {
      return "failed with another error: " + Describe(status);
    }
    if (!summary.ok()) return "";
    for (const workflow::NodeSnapshot& node : summary->nodes) {
      if (node.error.empty() || node.error.kind == "environment") continue;
      if (node.error.error_class == "dependency_failed") continue;
      return "node " + node.name + " failed with another error: " + node.error.text;
    }
    return "";
  }

  /// A file at its final name is whole, and its commit is durable.
  std::string CheckTargets() {
    std::vector<std::string> present;
    for (const auto& [name, content] : reference_.results.files) {
      const Result<std::string> found =
          world_.env()->ReadFile(world_.output_directory() + "/" + name);
      if (!found.ok()) continue;
      if (*found != content) return "output file appeared with another content: " + name;
      present.push_back(world_.output_directory() + "/" + name);
    }
    if (present.empty()) return "";
    const auto keyspace = Keyspace::OpenForReading(world_.keyspace());
    if (!keyspace.ok()) return "output files without state: " + Describe(keyspace.status());
    const auto files = (*keyspace)->state()->Files(std::nullopt, std::nullopt);
    if (!files.ok()) return Describe(files.status());
    for (const std::string& target : present) {
      const bool committed = std::any_of(files->begin(), files->end(), [&](const auto& file) {
        return file.target == target && file.state != state::FileState::kPlanned;
      });
      if (!committed) return "output file appeared before its commit: " + target;
    }
    return "";
  }

  /// What is there after a success and the power cut after it.
  std::string CheckSuccess() {
    const Result<Results> results = world_.Read();
    if (!results.ok()) return "reading the results: " + Describe(results.status());
    if (std::string difference = results->DifferenceFrom(reference_.results); !difference.empty()) {
      return difference;
    }
    const auto runs = RunsOf(world_.keyspace());
    if (!runs.ok()) return Describe(runs.status());
    for (const RunHistory& run : *runs) {
      if (run.run.status != state::RunStatus::kComplete) return "a run is not complete";
    }
    const auto keyspace = Keyspace::OpenForRunning(world_.keyspace());
    if (!keyspace.ok()) return "opening once more: " + Describe(keyspace.status());
    const workflow::ReconcileReport& report = (*keyspace)->reconciled();
    if (report.files_published + report.temp_files_discarded + report.lost_claims > 0) {
      return "something was left to recover";
    }
    const auto live = static_cast<double>(report.garbage.live_bytes);
    // A failed sync drops whole groups of attempts in the middle of a container.
    if (!sync_failed_ && static_cast<double>(report.garbage.dead_bytes) > kMaxDeadShare * live) {
      return "dead bytes, live bytes: " + std::to_string(report.garbage.dead_bytes) + ", " +
             std::to_string(report.garbage.live_bytes);
    }
    return CheckFiles(keyspace->get());
  }

  /// Nothing is left over in the keyspace.
  std::string CheckFiles(Keyspace* keyspace) {
    Env* env = world_.env();
    const auto spilled = env->ListDirectory(keyspace->spill_directory());
    if (!spilled.ok() || !spilled->empty()) return "the spill directory is not empty";
    const auto manifests = keyspace->state()->LiveManifests();
    if (!manifests.ok()) return Describe(manifests.status());
    const auto again = keyspace->tables()->CollectGarbage(*manifests);
    if (!again.ok()) return Describe(again.status());
    if (again->files_removed + again->bytes_removed > 0) return "garbage was left after collection";
    return "";
  }

  std::mt19937_64 random_;
  const Reference& reference_;
  Tally& tally_;
  SimulatedWorld world_;
  bool sync_failed_ = false;
};

TEST(SimulationTest, EveryRunEndsAsIfNothingHadHappened) {
  // Half of the runs end with warnings about the disk.
  SetLogLevel(LogLevel::kOff);
  Reference reference;
  {
    SimulatedWorld world(0);
    const Result<RunSummary> summary = world.Run(1);
    ASSERT_TRUE(summary.ok()) << summary.status();
    ASSERT_TRUE(summary->AllSucceeded()) << Describe(summary->error);
    reference.operations = world.env()->operations();
    reference.results = world.Read().ValueOrDie();
    ASSERT_EQ(reference.results.files.size(), 5u);
    ASSERT_EQ(reference.results.tables.size(), 5u);
  }
  const uint64_t first = NumberFromEnvironment("CAPI_SIM_FIRST_SEED", 1);
  const uint64_t num_seeds = NumberFromEnvironment("CAPI_SIM_SEEDS", kDefaultSeeds);
  Tally tally;
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  const auto simulate = [&] {
    while (true) {
      const uint64_t i = next++;
      if (i >= num_seeds) return;
      const std::string problem = Simulation(first + i, reference, &tally).Run();
      if (problem.empty()) continue;
      const std::lock_guard lock(mutex);
      // Threads interleave differently each time, hence the repetitions.
      ADD_FAILURE() << "seed " << first + i << ": " << problem
                    << "\nonce more: CAPI_SIM_SEEDS=1 CAPI_SIM_FIRST_SEED=" << first + i
                    << " capi_service_test --gtest_filter=SimulationTest.* --gtest_repeat=30 "
                       "--gtest_break_on_failure";
    }
  };
  std::vector<std::thread> workers;
  const unsigned num_workers = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < num_workers; ++i) workers.emplace_back(simulate);
  for (std::thread& worker : workers) worker.join();
  SetLogLevel(LogLevel::kWarn);
  std::printf(
      "%llu seeds: %lld runs, %lld killed, %lld power cuts, %lld failing syncs; %lld runs "
      "resumed with %lld batches kept\n",
      static_cast<unsigned long long>(num_seeds), static_cast<long long>(tally.lives),
      static_cast<long long>(tally.kills), static_cast<long long>(tally.power_cuts),
      static_cast<long long>(tally.failed_syncs), static_cast<long long>(tally.resumed),
      static_cast<long long>(tally.batches_kept));
}

}  // namespace
}  // namespace capi::service
