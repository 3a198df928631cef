#pragma once

// The executor's parts:
// * run_executor.cc: the dispatcher (the thread in Run), which claims batches and keeps the pool
//   busy, and the worker side.
// * run_committer.cc: the committer thread; group commit of ended attempts, publishing, ends of
// nodes
//   and the run.
// * run_readiness.cc: which nodes may start, and pinning.
// * run_follower.cc: of shared runs, what other processes did, and work that nobody holds.
// A worker never waits for a sync: it hands its result to the committer and takes the next batch.

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capi/workflow/node_state_internal.h"
#include "capi/workflow/run_executor.h"

namespace capi::workflow {

/// A batch (or finish task) held by this process.
struct ClaimedBatch {
  NodeState* node = nullptr;
  state::Claim claim;
};

/// What became of a claimed batch.
struct FinishedAttempt {
  ClaimedBatch batch;
  Status status;
  node::BatchResult result;              ///< of a batch that succeeded
  std::string frozen_manifest;           ///< of a finish task that succeeded
  std::vector<state::FileRecord> files;  ///< planned output files
  int64_t nanos = 0;                     ///< of execution, if counted
};

class RunExecutorImpl final : public RunExecutor {
 public:
  RunExecutorImpl(ExecutorEnvironment environment, std::shared_ptr<const script::Script> script,
                  state::RunRecord run);
  ~RunExecutorImpl() override;

  Status Load();
  Status Run() override;
  void Cancel(const Status& reason) override;
  void Drain(const Status& reason) override;
  void Wake() override;
  int64_t BatchesInHand() const override;
  RunSnapshot Snapshot() const override;

 private:
  using Lock = std::unique_lock<std::mutex>;

  // run_executor.cc
  Status Dispatch();
  /// Claims more batches while fewer than wanted are in hand. True if something was taken from the
  /// queue.
  Result<bool> ClaimMore();
  NodeState* NodeAt(int64_t node_index) const;  ///< null if there is none
  /// Cuts a message down to what the node has; false if nothing is left or its time has not come.
  bool ClampToNode(const NodeState& node, queue::Message* message) const;
  size_t ClaimedLowWater() const;
  bool MayClaim() const;
  bool HasFreeWorker();
  /// Puts claimed batches on the pool while threads are free.
  void SubmitWhileFree(Lock* lock);
  void Execute(const ClaimedBatch& batch, const exec::CancelToken& cancel);
  Status ExecuteBatch(const ClaimedBatch& batch, const exec::CancelToken& cancel,
                      FinishedAttempt* finished);
  Status ExecuteFinish(const ClaimedBatch& batch, const exec::CancelToken& cancel,
                       FinishedAttempt* finished);
  Status PublishTable(const exec::Context& context, const NodeState& node,
                      const std::string& manifest);
  Result<node::NodeRunner*> RunnerOf(NodeState* node);
  void CancelInFlight(Lock* lock, const Status& reason);
  void Fail(const Status& status);
  Status ReleaseAll(const std::vector<ClaimedBatch>& batches);

  // run_committer.cc
  void CommitLoop();
  Status CommitGroup(std::vector<FinishedAttempt> group);
  /// Sorts finished attempts into ends, releases and repetitions.
  struct Group;
  void Classify(std::vector<FinishedAttempt> finished, Group* group);
  void Count(const NodeState* node, int64_t batch_index, BatchOutcome outcome, int64_t nanos);
  /// Of attempts that were to be committed.
  void CountEnds(const Group& group, const std::vector<bool>& committed);
  Status MakeDurable(const Group& group);
  Status DiscardFiles(const std::vector<state::FileRecord>& files);
  Status PublishFiles(const Group& group, const std::vector<bool>& committed);
  /// Ends of nodes and the run that follow from what is known now.
  state::Changes DeriveEnds(Lock* lock);
  /// Stops work that lost its purpose because a batch before it failed; queues finish tasks.
  Status AfterEnds();
  /// Whether somebody has stopped the run; then nothing new begins, and what is under way is
  /// cancelled.
  Result<bool> NoticeStop();
  Status Poll();
  Status StopNodes();

  // run_readiness.cc
  /// Starts what may start, fails what may not; repeats while that changes something.
  Status EvaluateWaiting();
  struct Verdict;
  Result<Verdict> Judge(const NodeState& node);
  Result<Verdict> CountedJudge(const NodeState& node);
  Status Enqueue(NodeState* node);
  /// Open batches of these nodes, for all processes.
  Status Offer(const std::vector<NodeState*>& nodes);
  Result<state::Pins> PinInputs(const NodeState& node, int64_t reader_run, int64_t lookup_run);

  // run_follower.cc
  /// Takes over pins and ends of nodes from the state.
  Status RefreshNodes();
  /// Whether the node may be executed; looks into the state if this process does not know yet.
  Result<bool> IsPinned(NodeState* node);
  /// Takes over ends of batches of these nodes that others committed, and derives what follows.
  Status Follow(const std::set<NodeState*>& nodes);
  std::set<NodeState*> AllNodes() const;
  /// Nodes in which the group committed something and of which this process holds nothing any more.
  std::set<NodeState*> NodesLeftBy(const Group& group) const;
  Status FollowNode(NodeState* node);
  /// Puts unclaimed batches into the queue after an idle time.
  Status ClaimWithoutMessages();
  bool HoldsBatchesOf(const NodeState* node) const;
  /// Gives back claims of a former executor of this process.
  Status ReleaseLeftovers(const std::vector<state::BatchRecord>& batches);
  Status OfferAgain(const std::vector<ClaimedBatch>& batches);

  bool AllEnded() const;
  /// A node that may be executed and has not ended.
  bool HasOpenNode() const;

  const ExecutorEnvironment environment_;
  const std::shared_ptr<const script::Script> script_;
  const state::RunRecord run_;
  /// In script order; the vector does not change after Load.
  std::vector<std::unique_ptr<NodeState>> nodes_;

  mutable std::mutex mutex_;
  std::condition_variable dispatcher_wakeup_;
  std::condition_variable committer_wakeup_;
  std::deque<ClaimedBatch> claimed_;
  std::map<std::pair<const NodeState*, int64_t>, exec::CancelToken> in_flight_;
  std::vector<FinishedAttempt> finished_;
  bool queue_may_have_work_ = false;
  bool committing_ = false;
  bool evaluate_ = false;        ///< a node ended: waiting nodes must be looked at
  bool stop_requested_ = false;  ///< runs.status is stop
  bool run_ended_ = false;
  Status drain_;                  ///< not OK: nothing new begins
  int64_t idle_since_nanos_ = 0;  ///< shared runs, the committer's: 0 = busy
  bool shutdown_ = false;
  Status fatal_;             ///< why the run cannot go on now
  std::string waiting_for_;  ///< set when all that is left waits for other runs
  std::thread committer_;
};

}  // namespace capi::workflow
