#pragma once

// What executors of this process have done, for metrics (spec/config.md 5). Counted per batch,
// never per row.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "capi/base/latency_histogram.h"
#include "capi/script/model.h"

namespace capi::workflow {

/// What became of a batch that was claimed.
enum class BatchOutcome : uint8_t {
  kSuccess,
  kFail,
  kStopped,   ///< its run was stopped
  kRetried,   ///< failed with an error that may pass, and is repeated
  kFenced,    ///< done, but another process had taken it over
  kReleased,  ///< given back: drained, interrupted, or pointless after the failure of another one
};
constexpr size_t kNumBatchOutcomes = 6;
/// "success", "fail", "stopped", "retried", "fenced", "released".
std::string_view BatchOutcomeName(BatchOutcome outcome);

/// Thread-safe.
struct ExecutionCounters {
  static constexpr size_t kNumNodeTypes = static_cast<size_t>(script::NodeType::kCustomTable) + 1;
  using PerOutcome = std::array<LatencyHistogram, kNumBatchOutcomes>;

  void CountBatch(script::NodeType type, BatchOutcome outcome, int64_t nanos) {
    batches[static_cast<size_t>(type)][static_cast<size_t>(outcome)].Add(nanos);
  }
  void CountFinish(BatchOutcome outcome, int64_t nanos) {
    finishes[static_cast<size_t>(outcome)].Add(nanos);
  }

  /// Execution times of batches that were begun, without the commit.
  std::array<PerOutcome, kNumNodeTypes> batches;
  /// Of node finish tasks, which are no batches of the history.
  PerOutcome finishes;
  /// Claimed and given back without having begun.
  std::atomic<int64_t> not_begun{0};
  /// Batches and finish tasks executed now.
  std::atomic<int64_t> executing{0};
  // Of successful batches.
  std::atomic<int64_t> rows_read{0};
  std::atomic<int64_t> rows_written{0};
  std::atomic<int64_t> table_bytes{0};
  std::atomic<int64_t> file_bytes{0};
  // Verdicts on nodes that wait for others (spec/engine.md 5).
  std::atomic<int64_t> dependency_go{0};
  std::atomic<int64_t> dependency_wait{0};
  std::atomic<int64_t> dependency_nogo{0};
  std::atomic<int64_t> dependency_none{0};  ///< no rule matched: the node waits
  LatencyHistogram dependency_checks;
  std::atomic<int64_t> lease_renewals{0};
  // Downloads of scripts, parameters and what these name.
  LatencyHistogram http_downloads;
  LatencyHistogram s3_downloads;
  LatencyHistogram sftp_downloads;
};

}  // namespace capi::workflow
