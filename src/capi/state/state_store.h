#pragma once

// The truth about runs, nodes and batches of one keyspace (architecture P3). Works by conditional
// writes on single run, node and batch records, so that stores without transactions can implement
// it; where the store has transactions, everything derived from such a write goes into the same
// one.
//
// Durability: a write survives the end of the process at once, and a power failure after the next
// Sync. Writes become durable in the order in which they were made.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/state/records.h"

namespace capi::state {

/// Changes of a node that has not ended; one that has ended is left alone.
struct NodeChange {
  NodeId id;
  std::optional<NodeStatus> status;
  std::optional<Pins> pins;
  std::string manifest;  ///< with success
  std::string counts;    ///< with an end status
  ErrorRecord error;     ///< with kFail
  std::string comment;   ///< of the event
};

/// End of a run in status kStart; a run that was stopped meanwhile is left alone.
struct RunChange {
  int64_t run_id = 0;
  std::string comment;
};

struct Changes {
  std::vector<NodeChange> nodes;
  std::vector<RunChange> completed_runs;
  bool empty() const { return nodes.empty() && completed_runs.empty(); }
};

/// A batch won by the caller.
struct Claim {
  int64_t batch_index = 0;
  int64_t attempt = 0;
};

/// The end of an attempt that decides its batch.
struct AttemptEnd {
  BatchId id;
  int64_t attempt = 0;
  OwnerId owner = 0;
  NodeStatus status = NodeStatus::kSuccess;  ///< kSuccess, kFail or kStopReceived
  std::string manifest;
  std::string counts;
  std::string input;  ///< see BatchRecord
  ErrorRecord error;
  /// Sealed output files of a success: recorded as publish pending. Other planned files of the
  /// attempt are forgotten (the caller has discarded them).
  std::vector<FileRecord> files;
};

/// An attempt that gives its batch back undecided.
struct AttemptRelease {
  BatchId id;
  int64_t attempt = 0;
  OwnerId owner = 0;
  std::string outcome;  ///< see FormerAttempt
  std::string text;
};

/// Thread-safe.
class StateStore {
 public:
  virtual ~StateStore() = default;

  /// True: other processes may decide batches of the same runs at the same time, so a caller must
  /// look at the records again to know how far a node is (BatchesIn, Nodes). False: one process at
  /// a time works on the keyspace.
  virtual bool IsShared() const { return false; }

  // ---- Owners and leases. A claim belongs to a process; the process shows that it lives by
  // renewing.

  virtual Status RegisterOwner(const OwnerRecord& owner) = 0;
  /// False: the owner was expired by somebody else; its claims are gone. `problems`: see
  /// OwnerRecord; a store that is not shared may forget them, as nobody else is there to read them.
  virtual Result<bool> RenewOwner(OwnerId owner,
                                  const std::map<int64_t, std::string>& problems) = 0;
  virtual Result<std::vector<OwnerRecord>> Owners() = 0;
  /// Removes the owner if its counter still is `seen_renewals` (only one who saw it unchanged for a
  /// lease time may do so) and takes its claims away. Batches of nodes with rerun_fails are failed,
  /// others are free again. Returns what was claimed; nullopt if the owner was renewed or is gone.
  virtual Result<std::optional<std::vector<BatchRecord>>> ExpireOwner(OwnerId owner,
                                                                      int64_t seen_renewals) = 0;

  // ---- Runs and nodes.

  /// Takes the next run id and creates the run (status kStart) with its nodes. run_id and node ids
  /// are filled in by the store; nodes are in the order of affected_nodes.
  virtual Result<int64_t> CreateRun(const RunRecord& run, const std::vector<NodeRecord>& nodes) = 0;
  /// Completes what CreateRun and ends of runs left undone because their process died. Called from
  /// time to time by a reconciler; a store with transactions has nothing to do.
  virtual Status FinishStarts() { return Status::OK(); }
  virtual Result<std::vector<RunRecord>> Runs() = 0;  ///< ascending run id
  virtual Result<std::optional<RunRecord>> FindRun(int64_t run_id) = 0;
  /// Status kStop, also for a complete run (its results become unusable for later runs). No change
  /// if it is stopped already; kUser error "unknown_run" if there is no such run.
  virtual Status StopRun(int64_t run_id, const std::string& comment) = 0;
  virtual Result<std::vector<NodeRecord>> Nodes(int64_t run_id) = 0;  ///< by node_index
  /// Nodes of all runs with one of these names, with the status of their run: input of dependency
  /// policies.
  virtual Result<std::vector<std::pair<NodeRecord, RunRecord>>> NodesNamed(
      const std::vector<std::string>& names) = 0;
  /// The node that writes this table in this run.
  virtual Result<std::optional<NodeRecord>> NodeOfTable(int64_t run_id,
                                                        const std::string& table) = 0;
  /// Applies changes that follow from no attempt.
  virtual Status Apply(const Changes& changes) = 0;

  // ---- Batches.

  /// Tries to take batches [begin, end) of a node: those without end and owner get the next attempt
  /// number. The first claim of a node starts it.
  virtual Result<std::vector<Claim>> ClaimBatches(const NodeId& node, int64_t begin, int64_t end,
                                                  OwnerId owner) = 0;
  /// Gives batches back; those no longer held are left alone.
  virtual Status ReleaseAttempts(const std::vector<AttemptRelease>& releases) = 0;

  /// Derives changes from the outcome of a commit; committed[i] belongs to ends[i]. Called once, in
  /// the same transaction where the store has one, else after the writes. Must not call the store.
  using Derive = std::function<Changes(const std::vector<bool>& committed)>;
  /// Commits attempts: each decides its batch if (owner, attempt) still holds it, else it is
  /// fenced.
  virtual Status EndAttempts(const std::vector<AttemptEnd>& ends, const Derive& derive) = 0;

  virtual Result<std::vector<BatchRecord>> Batches(const NodeId& node) = 0;  ///< by batch index
  /// Records of batches [begin, end), by batch index: a cheap look for those who follow what other
  /// processes do.
  virtual Result<std::vector<BatchRecord>> BatchesIn(const NodeId& node, int64_t begin,
                                                     int64_t end) = 0;
  virtual Result<std::vector<FormerAttempt>> FormerAttempts(const NodeId& node) = 0;
  /// Manifests that are still needed: of frozen tables, and of committed batches of nodes without
  /// end in runs that may go on.
  virtual Result<std::vector<std::string>> LiveManifests() = 0;

  // ---- Output files.

  /// Records a temp file before it is created. Durable on return, because the file may outlive a
  /// power failure.
  virtual Status PlanFile(const FileRecord& file) = 0;
  /// Marks pending files as published and applies what derives from that.
  virtual Status MarkPublished(const std::vector<FileRecord>& files, const Changes& changes) = 0;
  /// Marks pending files whose bytes are gone and applies what derives from that.
  virtual Status MarkLost(const std::vector<FileRecord>& files, const Changes& changes) = 0;
  /// Forgets planned files (their temp files are gone).
  virtual Status ForgetPlannedFiles(const std::vector<FileRecord>& files) = 0;
  virtual Result<std::vector<FileRecord>> Files(std::optional<int64_t> run_id,
                                                std::optional<FileState> state) = 0;

  // ---- Change feed.

  /// Events with a number greater than `after`, ascending, at most `limit`.
  virtual Result<std::vector<Event>> EventsAfter(int64_t after, int64_t limit) = 0;

  /// Returns when all writes made before the call are durable. Callers at the same time share one
  /// sync.
  virtual Status Sync() = 0;
};

}  // namespace capi::state
