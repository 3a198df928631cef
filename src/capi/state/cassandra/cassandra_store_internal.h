#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "capi/state/cassandra/cassandra_store.h"
#include "capi/state/cassandra/statements_internal.h"

namespace capi::state {

/// See docs/design/workflow.md "On Cassandra". Every condition is on one row of wf_capi_run, _node,
/// _batch or _owner; everything else is written plainly, by key, as often as somebody likes.
class CassandraStore final : public StateStore {
 public:
  CassandraStore(Env* env, cql::Session* session, const std::string& keyspace)
      : env_(env), session_(session), keyspace_(keyspace), statements_(session, keyspace) {}

  bool IsShared() const override { return true; }

  Status RegisterOwner(const OwnerRecord& owner) override;
  Result<bool> RenewOwner(OwnerId owner, const std::map<int64_t, std::string>& problems) override;
  Result<std::vector<OwnerRecord>> Owners() override;
  Result<std::optional<std::vector<BatchRecord>>> ExpireOwner(OwnerId owner,
                                                              int64_t seen_renewals) override;

  Result<int64_t> CreateRun(const RunRecord& run, const std::vector<NodeRecord>& nodes) override;
  Status FinishStarts() override;
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
  /// A write that the servers acknowledged is durable.
  Status Sync() override { return Status::OK(); }

 private:
  /// What never changes of a node, and what a claim must know. Copies are kept for at most a
  /// second: a claim that comes too late does no harm, it is fenced at its commit or dropped.
  struct NodeFacts {
    std::string name;
    bool reads_files = false;
    bool rerun_fails = false;
    int64_t batches_total = 0;
    NodeStatus status = NodeStatus::kNone;
    RunStatus run_status = RunStatus::kNone;
    int64_t read_ns = 0;
    int64_t num_told = 0;  ///< ends of batches that this store wrote into the history
  };

  /// One conditional write of a batch row.
  struct RowWrite {
    BatchId id;
    // The row must be like this; `absent`: there is none.
    bool absent = false;
    NodeStatus status = NodeStatus::kStart;
    int64_t attempt = 0;
    OwnerId owner = 0;
    Cql statement = Cql::kClaimBatch;
    cql::Values values;  ///< of the assignments, without nonce
    int64_t nonce = 0;
  };
  enum class Written : uint8_t { kNo, kYes, kUnknown };
  struct RowWrites {
    std::vector<Written> written;  ///< of each write
    Status status;                 ///< first error; then some are unknown
  };
  /// A claim that this process may hold without knowing it.
  struct Stray {
    int64_t attempt = 0;
    OwnerId owner = 0;
    int64_t nonce = 0;
    int64_t since_ns = 0;
  };

  int64_t NewNonce() { return static_cast<int64_t>(env_->Random()); }
  bool IsFresh(int64_t read_ns) const;
  Result<cql::Rows> Read(cql::Request request,
                         cql::Consistency consistency = cql::Consistency::kDefault);

  // Owners.
  Status ForgetOldOwners();
  Result<std::set<OwnerId>> ReadOwnerIds(bool cached_ones_do);
  std::string InstanceOf(OwnerId owner);

  // Runs and nodes.
  Result<std::vector<RunRow>> ReadRuns();
  Result<std::optional<RunRow>> ReadRun(int64_t run_id,
                                        cql::Consistency consistency = cql::Consistency::kDefault);
  Result<std::vector<NodeRow>> ReadNodes(int64_t run_id);
  Result<std::optional<NodeRow>> ReadNode(
      const NodeId& id, cql::Consistency consistency = cql::Consistency::kDefault);
  /// The run, its start finished and a stop by the original's tools taken over.
  Result<std::optional<RunRow>> StartedRun(int64_t run_id);
  Status FinishStart(const RunRecord& run);
  Status CreateNodes(int64_t run_id);
  Status RaiseCounter(int64_t run_id);
  Status Once(Result<cql::Request> request);
  Result<bool> EndRun(int64_t run_id, RunStatus from, RunStatus to, const std::string& comment);
  Status FinishEnd(const RunRecord& run);
  Status TakeOverStop(const std::string& comment, RunRecord* run);
  Status ApplyToNode(const NodeChange& change);
  Status PinNode(const NodeId& id, const Pins& pins);
  void ForgetFacts(int64_t run_id);

  // Histories.
  Result<cql::Request> NodeHistory(const NodeId& node, const std::string& name, int64_t batch_index,
                                   NodeStatus status, const std::string& comment);
  Result<cql::Request> BatchHistory(const BatchId& batch, const NodeFacts& facts, OwnerId owner,
                                    NodeStatus status, const std::string& comment);
  Status WriteRunHistory(int64_t run_id, RunStatus status, const std::string& comment);
  Status RepairBatchHistory(const NodeId& node);
  Status RepairNodeHistory(int64_t run_id);

  // Batches.
  /// nullopt: no such node. The statuses may be a second old.
  Result<std::optional<NodeFacts>> Facts(const NodeId& node);
  /// The statuses may be of any age.
  Result<std::optional<NodeFacts>> OldFacts(const NodeId& node);
  Status StartNode(const NodeId& node, const NodeFacts& facts, int64_t batch_index);
  Result<std::map<int64_t, BatchRow>> ReadBatchRows(
      const NodeId& node, int64_t begin, int64_t end,
      cql::Consistency consistency = cql::Consistency::kDefault);
  RowWrites WriteRows(const std::vector<RowWrite>& writes);
  Status WriteBucket(const std::vector<RowWrite>& writes, std::vector<size_t> todo,
                     std::vector<Written>* written);
  Result<cql::Request> RequestOf(const RowWrite& write);
  RowWrite EndWrite(const AttemptEnd& end);
  RowWrite ReleaseWrite(const AttemptRelease& release);
  Status FailInterrupted(const std::vector<BatchRecord>& batches);
  Result<std::vector<cql::Request>> AttemptRows(const std::vector<AttemptRelease>& releases);
  void KeepStray(const RowWrite& write, OwnerId owner);
  void ReleaseStrays();

  // Files.
  /// Files that the requests find, request i in run run_ids[i], in the state that their batches
  /// give them.
  Result<std::vector<FileRecord>> ReadFiles(std::vector<cql::Request> requests,
                                            const std::vector<int64_t>& run_ids);
  Result<std::vector<FileRecord>> FilesOfBatches(const std::vector<FileRecord>& files);
  Status SealFiles(const std::vector<AttemptEnd>& ends);
  /// Requests that delete the planned files of committed attempts that were not sealed.
  Result<std::vector<cql::Request>> ForgetUnsealed(const std::vector<AttemptEnd>& ends,
                                                   const std::vector<bool>& committed);
  Status EndPending(const std::vector<FileRecord>& files, Cql mark, const Changes& changes);

  Env* const env_;
  cql::Session* const session_;
  const std::string keyspace_;
  Statements statements_;

  std::mutex mutex_;  // guards everything below
  std::map<NodeId, NodeFacts> facts_;
  std::set<int64_t> started_runs_;  // whose start is known to be finished
  std::map<OwnerId, OwnerRecord> owners_;
  int64_t owners_read_ns_ = 0;
  std::map<BatchId, Stray> strays_;
  /// Nonces of ends whose outcome is unknown, by batch and attempt: a repetition finds them.
  std::map<std::pair<BatchId, int64_t>, int64_t> unknown_ends_;
  /// Targets planned by this process for attempts under way.
  std::map<std::pair<BatchId, int64_t>, std::set<std::string>> planned_;
};

}  // namespace capi::state
