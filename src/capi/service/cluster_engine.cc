#include "capi/service/cluster_engine.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/files/files.h"
#include "capi/service/daemon/keyspace_worker.h"
#include "capi/service/engine_parts.h"
#include "capi/service/keyspace.h"
#include "capi/service/message_broker.h"
#include "capi/service/run_problems.h"
#include "capi/service/run_start.h"
#include "capi/workflow/attempt_records.h"

namespace capi::service {

namespace {

/// Between looks at the state; more when a look takes long.
constexpr int64_t kLookMillis = 300;
constexpr int64_t kPausesPerLook = 10;
/// What a cancelled run may take to give back what is under way.
constexpr auto kGivingBack = std::chrono::seconds(5);

/// Daemons have other working directories.
std::string AbsoluteUrl(const std::string& url) {
  if (url.empty() || url.find("://") != std::string::npos) return url;
  std::error_code error;
  const std::filesystem::path path = std::filesystem::absolute(url, error);
  return error ? url : path.lexically_normal().string();
}

class ClusterEngine final : public Engine {
 public:
  /// Either broker or parts are null: the latter if daemons execute the runs.
  ClusterEngine(EngineOptions options, int64_t lease_ms, std::shared_ptr<Cluster> cluster,
                std::unique_ptr<queue::Broker> broker, std::unique_ptr<EngineParts> parts,
                std::unique_ptr<files::Files> files)
      : options_(std::move(options)),
        lease_ms_(lease_ms),
        cluster_(std::move(cluster)),
        broker_(std::move(broker)),
        parts_(std::move(parts)),
        files_(std::move(files)) {}

  Result<RunSummary> RunScript(const RunOptions& options,
                               const std::function<void(const RunSummary&)>& on_start) override;
  void Cancel(const std::string& reason) override;
  workflow::RunSnapshot Snapshot() const override;

  const std::string& data_directory() const override { return options_.data_directory; }
  int threads() const override { return parts_ != nullptr ? options_.threads : 0; }
  int64_t memory_limit() const override { return parts_ != nullptr ? options_.memory_limit : 0; }

 private:
  void Wake(const RunSummary& summary);
  Status Follow(state::StateStore* state, const RunSummary& summary);
  /// Works on the run like a daemon until it has ended; errors as in KeyspaceWorker::result.
  Status Execute(const KeyspaceOptions& keyspace, int64_t run_id);
  Result<workflow::RunSnapshot> Look(state::StateStore* state, int64_t run_id);
  Status LookAgain(state::StateStore* state, int64_t run_id);
  Result<workflow::NodeSnapshot> LookAtNode(state::StateStore* state,
                                            const state::NodeRecord& node);

  const EngineOptions options_;
  const int64_t lease_ms_;
  const std::shared_ptr<Cluster> cluster_;
  const std::unique_ptr<queue::Broker> broker_;
  const std::unique_ptr<EngineParts> parts_;
  const std::unique_ptr<files::Files> files_;
  mutable std::mutex mutex_;
  std::condition_variable wakeup_;
  workflow::RunSnapshot snapshot_;
  KeyspaceWorker* worker_ = nullptr;  ///< while this process executes
  Status cancelled_;
};

Result<RunSummary> ClusterEngine::RunScript(
    const RunOptions& options, const std::function<void(const RunSummary&)>& on_start) {
  Env* env = options_.env;
  const int64_t begin_nanos = env->MonotonicNanos();
  RunSummary summary;
  summary.data_directory = options_.data_directory;
  summary.cluster = cluster_->address();
  RunOptions absolute = options;
  absolute.script.script_url = AbsoluteUrl(options.script.script_url);
  absolute.script.parameters_url = AbsoluteUrl(options.script.parameters_url);
  CAPI_ASSIGN_OR_RETURN(std::optional<PreparedRun> prepared,
                        PrepareRun(absolute, files_.get(), &summary));
  if (!prepared) return summary;

  KeyspaceOptions keyspace_options;
  keyspace_options.env = env;
  keyspace_options.files = files_.get();
  keyspace_options.data_directory = options_.data_directory;
  keyspace_options.cache_limit_bytes = options_.cache_limit_bytes;
  keyspace_options.name = summary.keyspace;
  keyspace_options.cluster = cluster_;
  // A wrong name must not make an empty keyspace.
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        options.run_id != 0 ? Keyspace::OpenForOrders(keyspace_options)
                                            : Keyspace::OpenForStarting(keyspace_options));
  CAPI_ASSIGN_OR_RETURN(
      const state::RunRecord run,
      FindOrCreateRun(env, files_.get(), absolute, keyspace->state(), &*prepared, &summary));
  CAPI_FAULT_POINT("service.after_create_run");
  if (parts_ == nullptr) Wake(summary);
  CAPI_RETURN_NOT_OK(LookAgain(keyspace->state(), summary.run_id));
  for (const workflow::NodeSnapshot& node : Snapshot().nodes) {
    if (summary.resumed) summary.batches_kept += node.batches_done;
  }
  if (on_start != nullptr) on_start(summary);
  if (parts_ != nullptr) {
    summary.error = Execute(keyspace_options, summary.run_id);
    const Status looked = LookAgain(keyspace->state(), summary.run_id);
    if (summary.error.ok()) summary.error = looked;
    summary.peak_reserved_bytes = parts_->memory()->peak_bytes();
  } else if (options.follow) {
    summary.error = Follow(keyspace->state(), summary);
  }
  summary.nodes = Snapshot().nodes;
  const Status summarized = SummarizeRun(keyspace->state(), &summary);
  if (summary.error.ok()) summary.error = summarized;
  if (parts_ != nullptr) {
    // Cancelled while the state cannot be read, it is not known to have ended.
    summary.interrupted = summary.status == state::RunStatus::kStart || !summarized.ok();
    // A cancellation that came too late has stopped nothing.
    const bool too_late = KindOf(summary.error) == ErrorKind::kCancelled;
    if (!summary.interrupted && too_late) summary.error = Status::OK();
  } else {
    summary.interrupted = options.follow && summary.status == state::RunStatus::kStart;
  }
  summary.elapsed_ms = (env->MonotonicNanos() - begin_nanos) / kNanosPerMilli;
  return summary;
}

void ClusterEngine::Wake(const RunSummary& summary) {
  queue::BatchMessage message;
  message.keyspace = summary.keyspace;
  message.run_id = summary.run_id;
  message.node_index = queue::kNoNode;
  message.begin = -1;
  const Status status = broker_->Publish({message});
  if (!status.ok()) {
    LogWarn("daemons could not be told and will find the run by themselves: " + Describe(status));
  }
}

Result<workflow::NodeSnapshot> ClusterEngine::LookAtNode(state::StateStore* state,
                                                         const state::NodeRecord& node) {
  workflow::NodeSnapshot snapshot;
  snapshot.name = node.name;
  snapshot.type = node.type;
  snapshot.status = node.status;
  snapshot.batches_total = node.batches_total;
  snapshot.error = node.error;
  if (node.started_ms != 0) {
    const int64_t end = node.ended_ms != 0 ? node.ended_ms : options_.env->NowMillis();
    snapshot.elapsed_ms = std::max<int64_t>(0, end - node.started_ms);
  }
  if (node.status == state::NodeStatus::kNone) {
    snapshot.phase = node.pins.set ? workflow::NodePhase::kReady : workflow::NodePhase::kWaiting;
    return snapshot;
  }
  if (node.status == state::NodeStatus::kSuccess) {
    snapshot.batches_done = node.batches_total;
    snapshot.counts = workflow::CountsFromJson(node.counts);
  } else {
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> batches, state->Batches(node.id));
    for (const state::BatchRecord& batch : batches) {
      if (batch.id.batch_index == state::kFinishBatch ||
          batch.status != state::NodeStatus::kSuccess) {
        continue;
      }
      ++snapshot.batches_done;
      snapshot.counts += workflow::CountsFromJson(batch.counts);
    }
  }
  snapshot.rows_in = snapshot.counts.in;
  snapshot.rows_out = snapshot.counts.out;
  if (state::IsEnd(node.status)) {
    snapshot.phase = workflow::NodePhase::kEnded;
  } else {
    snapshot.phase = snapshot.batches_done == node.batches_total ? workflow::NodePhase::kFinishing
                                                                 : workflow::NodePhase::kRunning;
    snapshot.fraction =
        static_cast<double>(snapshot.batches_done) / static_cast<double>(node.batches_total);
  }
  return snapshot;
}

Result<workflow::RunSnapshot> ClusterEngine::Look(state::StateStore* state, int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes, state->Nodes(run_id));
  workflow::RunSnapshot snapshot;
  snapshot.run_id = run_id;
  std::map<std::string, const workflow::NodeSnapshot*> known;
  {
    const std::lock_guard lock(mutex_);
    for (const workflow::NodeSnapshot& node : snapshot_.nodes) known[node.name] = &node;
  }
  for (const state::NodeRecord& node : nodes) {
    // Ended nodes do not change. Only this thread writes snapshot_.
    const auto before = known.find(node.name);
    if (before != known.end() && before->second->phase == workflow::NodePhase::kEnded) {
      snapshot.nodes.push_back(*before->second);
      continue;
    }
    CAPI_ASSIGN_OR_RETURN(workflow::NodeSnapshot look, LookAtNode(state, node));
    snapshot.nodes.push_back(std::move(look));
  }
  return snapshot;
}

Status ClusterEngine::LookAgain(state::StateStore* state, int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(workflow::RunSnapshot snapshot, Look(state, run_id));
  const std::lock_guard lock(mutex_);
  snapshot_ = std::move(snapshot);
  return Status::OK();
}

Status ClusterEngine::Follow(state::StateStore* state, const RunSummary& summary) {
  Env* env = options_.env;
  StandstillWatch standstill(state, env->MonotonicNanos());
  while (true) {
    const int64_t look_begin = env->MonotonicNanos();
    // The run first: when it has ended, all nodes have.
    CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run,
                          state->FindRun(summary.run_id));
    if (!run) return EnvironmentError("the run was removed while it was executed");
    CAPI_ASSIGN_OR_RETURN(workflow::RunSnapshot snapshot, Look(state, summary.run_id));
    const bool ended =
        run->status == state::RunStatus::kComplete ||
        (run->status == state::RunStatus::kStop &&
         std::all_of(snapshot.nodes.begin(), snapshot.nodes.end(),
                     [](const workflow::NodeSnapshot& node) { return state::IsEnd(node.status); }));
    const int64_t now = env->MonotonicNanos();
    if (!ended) {
      CAPI_ASSIGN_OR_RETURN(const std::string reason, standstill.Look(snapshot, now));
      if (!reason.empty()) LogWarn(reason);
    }
    std::unique_lock lock(mutex_);
    snapshot_ = std::move(snapshot);
    if (ended) return Status::OK();
    const auto pause = std::chrono::milliseconds(
        std::max(kLookMillis, kPausesPerLook * (now - look_begin) / kNanosPerMilli));
    if (wakeup_.wait_for(lock, pause, [this] { return !cancelled_.ok(); })) return cancelled_;
  }
}

Status ClusterEngine::Execute(const KeyspaceOptions& keyspace, int64_t run_id) {
  bool done = false;  // guarded by mutex_
  KeyspaceWorkerSetting setting;
  setting.parts = parts_.get();
  setting.keyspace = keyspace;
  setting.settle = [](uint64_t, queue::Verdict) {};  // there are no messages
  setting.lease_ms = lease_ms_;
  setting.only_run = run_id;
  setting.on_done = [this, &done] {
    const std::lock_guard lock(mutex_);
    done = true;
    wakeup_.notify_all();
  };
  KeyspaceWorker worker(std::move(setting));
  std::unique_lock lock(mutex_);
  worker_ = &worker;
  if (!cancelled_.ok()) worker.Cancel(cancelled_);
  wakeup_.wait(lock, [&] { return done || !cancelled_.ok(); });
  const bool given_up = !wakeup_.wait_for(lock, kGivingBack, [&] { return done; });
  if (given_up) {
    cluster_->GiveUp();
    wakeup_.wait(lock, [&] { return done; });
  }
  worker_ = nullptr;
  if (!given_up || worker.result().ok()) return worker.result();
  return CancelledError(cancelled_.message() +
                        "; Cassandra did not answer in time: others take over what could not be "
                        "given back when the lease has run out");
}

void ClusterEngine::Cancel(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_.ok()) cancelled_ = CancelledError(reason);
    if (worker_ != nullptr) worker_->Cancel(cancelled_);
  }
  wakeup_.notify_all();
}

workflow::RunSnapshot ClusterEngine::Snapshot() const {
  const std::lock_guard lock(mutex_);
  if (worker_ != nullptr) {
    // Rows of batches under way are known to whoever executes them.
    KeyspaceWorkerStatus status = worker_->status();
    if (!status.runs.empty() && !status.runs.front().snapshot.nodes.empty()) {
      return std::move(status.runs.front().snapshot);
    }
  }
  return snapshot_;
}

}  // namespace

Result<std::unique_ptr<Engine>> MakeClusterEngine(const config::Config& config,
                                                  ExecutedBy executed_by) {
  EngineOptions options = EngineOptionsOf(config);
  CAPI_RETURN_NOT_OK(CompleteOptions(&options));
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<files::Files> files,
                        files::Files::Make(options.env, options.files));
  std::unique_ptr<queue::Broker> broker;
  std::unique_ptr<EngineParts> parts;
  if (executed_by == ExecutedBy::kThisProcess) {
    CAPI_ASSIGN_OR_RETURN(parts, EngineParts::Make(options));
  } else {
    // Before anything is begun: without a queue nobody would be told about a run.
    CAPI_ASSIGN_OR_RETURN(broker, OpenBrokerOf(options.env, config));
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<Cluster> cluster, Cluster::Connect(options.env, config));
  return std::make_unique<ClusterEngine>(std::move(options), config.lease_time_ms,
                                         std::move(cluster), std::move(broker), std::move(parts),
                                         std::move(files));
}

Result<std::unique_ptr<Engine>> MakeEngine(const config::Config& config, ExecutedBy executed_by) {
  if (UsesCluster(config)) return MakeClusterEngine(config, executed_by);
  return Engine::Make(EngineOptionsOf(config));
}

}  // namespace capi::service
