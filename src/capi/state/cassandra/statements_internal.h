#pragma once

// The statements of the store, their rows, and small things about texts and numbers.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "capi/base/status.h"
#include "capi/cql/session.h"
#include "capi/state/records.h"

namespace capi::state {

enum class Cql : uint8_t {
  kInsertOwner,
  kRenewOwner,
  kExpireOwner,
  kForgetOwner,
  kSelectOwner,
  kSelectOwners,
  kSelectCounter,
  kInsertCounter,
  kRaiseCounter,
  kSelectLastRun,
  kInsertRun,
  kSelectRuns,
  kSelectRun,
  kSelectRunNodes,
  kMarkStarted,
  kEndRun,
  kMarkTold,
  kInsertNode,
  kSelectNodes,
  kSelectNode,
  kPinNode,
  kStartNode,
  kEndNode,
  kInsertProperties,
  kInsertRunHistory,
  kInsertNodeHistory,
  kInsertBatchHistory,
  kSelectAllRunHistory,
  kSelectStop,
  kSelectNodeHistory,
  kSelectBatchHistory,
  kSelectNodeEnds,
  kSelectBatchEnds,
  kSelectBatches,
  kClaimBatch,
  kEndBatch,
  kReleaseBatch,
  kInsertAttempt,
  kSelectAttempts,
  kPlanFile,
  kSealFile,
  kPublishFile,
  kLoseFile,
  kDeleteFile,
  kSelectFiles,
  kSelectFilesOfBatch,
  kCount,
};

/// Thread-safe.
class Statements {
 public:
  Statements(cql::Session* session, std::string keyspace)
      : session_(session), keyspace_(std::move(keyspace)) {}
  /// A request without values; prepared at the first use.
  Result<cql::Request> Make(Cql id);

 private:
  cql::Session* const session_;
  const std::string keyspace_;
  std::mutex mutex_;
  std::array<cql::StatementPtr, static_cast<size_t>(Cql::kCount)> prepared_;
};

/// A run row and what only the store knows of it.
struct RunRow {
  RunRecord run;
  bool started = false;               ///< everything that follows from its creation is written
  RunStatus told = RunStatus::kNone;  ///< end that stands in the histories
  int64_t nonce = 0;
};
struct NodeRow {
  NodeRecord node;
  int64_t nonce = 0;
};
struct BatchRow {
  BatchRecord batch;
  int64_t nonce = 0;
};
// In the column order of kSelectRun(s), kSelectNode(s), kSelectBatches.
RunRow ReadRunRow(const cql::Rows& rows, int64_t row);
NodeRow ReadNodeRow(const cql::Rows& rows, int64_t row);
BatchRow ReadBatchRow(const cql::Rows& rows, int64_t row, const NodeId& node);

/// Batches of a node are kept in partitions of 64; the finish task is in one of its own.
constexpr int64_t kBucketBatches = 64;
inline int64_t BucketOf(int64_t batch_index) {
  return batch_index < 0 ? kFinishBatch : batch_index / kBucketBatches;
}

/// The text with bytes that are not UTF-8 replaced by U+FFFD: the server refuses others.
std::string Utf8Of(std::string_view text);

/// Token interval of a batch, as the original splits it (spec/engine.md 3.2); of file readers the
/// index of the file.
std::pair<int64_t, int64_t> TokensOf(bool reads_files, int64_t batch_index, int64_t batches_total);

/// Names joined by commas, as the original writes lists.
std::string JoinNames(const std::vector<std::string>& names);

}  // namespace capi::state
