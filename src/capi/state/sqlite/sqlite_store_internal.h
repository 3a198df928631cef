#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capi/state/sqlite/connection.h"
#include "capi/state/sqlite/sqlite_store.h"

namespace capi::state {

/// Three connections to one database in WAL mode:
///  * the writer commits without syncing (synchronous=NORMAL), so that claims, renewals and pins
///  cost no sync and
///    never wait for one: losing the last of them in a power failure is harmless;
///  * the syncer makes commits durable: Sync() syncs the log once for all who wait for it (group
///  commit). What
///    it covers is as safe as with synchronous=FULL, but the log is not locked meanwhile. The log
///    is sequential: whatever a durable commit depends on is durable too;
///  * the reader never waits for the others.
class SqliteStore final : public StateStore {
 public:
  static Result<std::unique_ptr<SqliteStore>> Open(Env* env, const SqliteOptions& options);

  Status RegisterOwner(const OwnerRecord& owner) override;
  Result<bool> RenewOwner(OwnerId owner, const std::map<int64_t, std::string>& problems) override;
  Result<std::vector<OwnerRecord>> Owners() override;
  Result<std::optional<std::vector<BatchRecord>>> ExpireOwner(OwnerId owner,
                                                              int64_t seen_renewals) override;

  Result<int64_t> CreateRun(const RunRecord& run, const std::vector<NodeRecord>& nodes) override;
  Result<std::vector<RunRecord>> Runs() override;
  Result<std::optional<RunRecord>> FindRun(int64_t run_id) override;
  Status StopRun(int64_t run_id, const std::string& comment) override;
  Result<std::vector<NodeRecord>> Nodes(int64_t run_id) override;
  Result<std::vector<std::pair<NodeRecord, RunRecord>>> NodesNamed(
      const std::vector<std::string>& names) override;
  Result<std::optional<NodeRecord>> NodeOfTable(int64_t run_id, const std::string& table) override;
  Status Apply(const Changes& changes) override;

  Result<std::vector<Claim>> ClaimBatches(const NodeId& node, int64_t begin, int64_t end,
                                          OwnerId owner) override;
  Status ReleaseAttempts(const std::vector<AttemptRelease>& releases) override;
  Status EndAttempts(const std::vector<AttemptEnd>& ends, const Derive& derive) override;
  Result<std::vector<BatchRecord>> Batches(const NodeId& node) override;
  Result<std::vector<BatchRecord>> BatchesIn(const NodeId& node, int64_t begin,
                                             int64_t end) override;
  Result<std::vector<FormerAttempt>> FormerAttempts(const NodeId& node) override;
  Result<std::vector<std::string>> LiveManifests() override;

  Status PlanFile(const FileRecord& file) override;
  Status MarkPublished(const std::vector<FileRecord>& files, const Changes& changes) override;
  Status MarkLost(const std::vector<FileRecord>& files, const Changes& changes) override;
  Status ForgetPlannedFiles(const std::vector<FileRecord>& files) override;
  Result<std::vector<FileRecord>> Files(std::optional<int64_t> run_id,
                                        std::optional<FileState> state) override;

  Result<std::vector<Event>> EventsAfter(int64_t after, int64_t limit) override;
  Status Sync() override;

 private:
  /// A connection and who may use it.
  struct Side {
    std::mutex mutex;
    std::unique_ptr<Connection> connection;
  };

  explicit SqliteStore(Env* env) : env_(env) {}

  /// Runs `body` in a write transaction.
  Status Write(const std::function<Status(Connection*)>& body);

  Status EndPending(const std::vector<FileRecord>& files, FileState state, const Changes& changes);
  Status ApplyIn(Connection* connection, const Changes& changes);
  Status AddEvent(Connection* connection, EventKind kind, const NodeId& node, int64_t batch_index,
                  int status, const std::string& comment);
  Result<bool> EndAttemptIn(Connection* connection, const AttemptEnd& end);
  Status ReleaseIn(Connection* connection, const AttemptRelease& release);

  Env* env_;
  Side writer_;
  Side syncer_;
  Side reader_;
  /// Transactions committed.
  std::atomic<int64_t> num_commits_{0};
  /// How many of them are known to be durable; guarded by syncer_.mutex. -1: not even those of
  /// earlier processes, which may have died before their sync.
  int64_t num_durable_ = -1;
  Status sync_failure_;  // guarded by syncer_.mutex
};

}  // namespace capi::state
