#include "capi/service/engine.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/base/time_units.h"
#include "capi/service/engine_parts.h"
#include "capi/service/keyspace.h"
#include "capi/service/run_start.h"
#include "capi/workflow/lease.h"

namespace capi::service {

namespace {

class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(std::unique_ptr<EngineParts> parts) : parts_(std::move(parts)) {}

  Result<RunSummary> RunScript(const RunOptions& options,
                               const std::function<void(const RunSummary&)>& on_start) override;
  void Cancel(const std::string& reason) override;
  workflow::RunSnapshot Snapshot() const override;

  const std::string& data_directory() const override { return parts_->options().data_directory; }
  int threads() const override { return parts_->threads(); }
  int64_t memory_limit() const override { return parts_->options().memory_limit; }

 private:
  Status Execute(Keyspace* keyspace, std::shared_ptr<const script::Script> script,
                 const state::RunRecord& run, RunSummary* summary,
                 const std::function<void(const RunSummary&)>& on_start);

  const std::unique_ptr<EngineParts> parts_;
  mutable std::mutex mutex_;
  workflow::RunExecutor* executor_ = nullptr;  // the run under way; guarded by mutex_
  Status cancelled_;                           // guarded by mutex_
};

Result<RunSummary> EngineImpl::RunScript(const RunOptions& options,
                                         const std::function<void(const RunSummary&)>& on_start) {
  Env* env = parts_->env();
  const int64_t begin_nanos = env->MonotonicNanos();
  RunSummary summary;
  summary.data_directory = parts_->options().data_directory;
  CAPI_ASSIGN_OR_RETURN(std::optional<PreparedRun> prepared,
                        PrepareRun(options, parts_->files(), &summary));
  if (!prepared) return summary;

  KeyspaceOptions keyspace_options;
  keyspace_options.env = env;
  keyspace_options.files = parts_->files();
  keyspace_options.data_directory = parts_->options().data_directory;
  keyspace_options.name = summary.keyspace;
  keyspace_options.sqlite_vfs = parts_->options().sqlite_vfs;
  if (options.run_id != 0) {
    // A wrong name must not make an empty keyspace.
    const Status known = Keyspace::OpenForReading(keyspace_options).status();
    if (InfoOf(known).error_class == "unknown_keyspace") return known;
  }
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForRunning(keyspace_options));
  CAPI_ASSIGN_OR_RETURN(
      const state::RunRecord run,
      FindOrCreateRun(env, parts_->files(), options, keyspace->state(), &*prepared, &summary));
  CAPI_FAULT_POINT("service.after_create_run");

  summary.error = Execute(keyspace.get(), prepared->script, run, &summary, on_start);
  const Status summarized = SummarizeRun(keyspace->state(), &summary);
  if (summary.error.ok()) summary.error = summarized;
  for (const workflow::NodeSnapshot& node : summary.nodes) {
    summary.spilled_bytes += node.spilled_bytes;
  }
  summary.interrupted = summary.status == state::RunStatus::kStart;
  summary.peak_reserved_bytes = parts_->memory()->peak_bytes();
  summary.elapsed_ms = (env->MonotonicNanos() - begin_nanos) / kNanosPerMilli;
  return summary;
}

Status EngineImpl::Execute(Keyspace* keyspace, std::shared_ptr<const script::Script> script,
                           const state::RunRecord& run, RunSummary* summary,
                           const std::function<void(const RunSummary&)>& on_start) {
  std::unique_ptr<workflow::RunExecutor> executor;
  CAPI_ASSIGN_OR_RETURN(
      const std::unique_ptr<workflow::LeaseKeeper> lease,
      workflow::LeaseKeeper::Start(parts_->env(), keyspace->state(), workflow::kLeaseMillis,
                                   [this](const Status& reason) { Cancel(reason.message()); }));
  CAPI_ASSIGN_OR_RETURN(
      executor, workflow::RunExecutor::Make(parts_->EnvironmentFor(keyspace, lease->owner()),
                                            std::move(script), run));
  for (const workflow::NodeSnapshot& node : executor->Snapshot().nodes) {
    summary->batches_kept += node.batches_done;
  }
  {
    const std::lock_guard lock(mutex_);
    executor_ = executor.get();
    if (!cancelled_.ok()) executor->Cancel(cancelled_);
  }
  if (on_start != nullptr) on_start(*summary);
  const Status status = executor->Run();
  {
    const std::lock_guard lock(mutex_);
    executor_ = nullptr;
  }
  summary->nodes = executor->Snapshot().nodes;
  // A state that cannot be written any more is told by the run's own status.
  const Status closed = lease->Close();
  return status.ok() ? closed : status;
}

void EngineImpl::Cancel(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (cancelled_.ok()) cancelled_ = CancelledError(reason);
  if (executor_ != nullptr) executor_->Cancel(cancelled_);
}

workflow::RunSnapshot EngineImpl::Snapshot() const {
  const std::lock_guard lock(mutex_);
  return executor_ != nullptr ? executor_->Snapshot() : workflow::RunSnapshot{};
}

}  // namespace

bool RunSummary::AllSucceeded() const {
  return status == state::RunStatus::kComplete && error.ok() &&
         std::all_of(nodes.begin(), nodes.end(), [](const workflow::NodeSnapshot& node) {
           return node.status == state::NodeStatus::kSuccess;
         });
}

EngineOptions EngineOptionsOf(const config::Config& config) {
  EngineOptions options;
  options.data_directory = config.data_dir;
  options.cache_limit_bytes = config.daemon_cache_size;
  options.threads = static_cast<int>(config.threads);
  options.memory_limit = config.memory_limit;
  options.formulas.interpreter = config.py_calc.interpreter_path;
  options.formulas.interpreter_parameters = config.py_calc.interpreter_params;
  options.formulas.execution_timeout_ms = config.py_calc.execution_timeout_ms;
  options.formulas.memory_limit = config.py_calc.memory_limit;
  options.formulas.sandbox = config.py_calc.sandbox;
  options.formulas.passed_variables = config.py_calc.passed_variables;
  options.files = FilesOptionsOf(config);
  return options;
}

files::FilesOptions FilesOptionsOf(const config::Config& config) {
  files::FilesOptions options;
  options.ca_path = config.files.ca_path;
  options.private_keys = config.files.private_keys;
  options.known_hosts_path = config.files.known_hosts;
  options.s3_endpoint = config.files.s3_endpoint;
  options.s3_region = config.files.s3_region;
  options.policy.roots = config.files.allowed_roots;
  options.policy.hosts = config.files.allowed_hosts;
  options.connect_timeout_ms = config.files.connect_timeout_ms;
  options.idle_timeout_ms = config.files.timeout_ms;
  return options;
}

Result<std::unique_ptr<Engine>> Engine::Make(EngineOptions options) {
  CAPI_RETURN_NOT_OK(CompleteOptions(&options));
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<EngineParts> parts, EngineParts::Make(options));
  return std::make_unique<EngineImpl>(std::move(parts));
}

}  // namespace capi::service
