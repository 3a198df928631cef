#include "capi/service/engine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/exec/memory.h"
#include "capi/exec/task_pool.h"
#include "capi/files/files.h"
#include "capi/service/input_patterns.h"
#include "capi/service/keyspace.h"
#include "capi/workflow/lease.h"
#include "capi/workflow/run_plan.h"

namespace capi::service {

namespace {

int AvailableProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return 1;
}

int64_t DefaultMemoryLimit() {
  constexpr double kShare = 0.7;
  const int64_t pages = sysconf(_SC_PHYS_PAGES);
  const int64_t page_size = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_size <= 0) return 0;
  return static_cast<int64_t>(kShare * static_cast<double>(pages) * static_cast<double>(page_size));
}

class EngineImpl final : public Engine {
 public:
  explicit EngineImpl(EngineOptions options)
      : options_(std::move(options)), memory_(options_.memory_limit) {}

  Status Start() {
    CAPI_ASSIGN_OR_RETURN(files_, files::Files::Make(options_.env, options_.files));
    CAPI_ASSIGN_OR_RETURN(pool_, exec::TaskPool::Make(options_.threads));
    CAPI_ASSIGN_OR_RETURN(formulas_, python::FormulaPool::Make(options_.formulas));
    return Status::OK();
  }

  Result<RunSummary> RunScript(const RunOptions& options,
                               const std::function<void(const RunSummary&)>& on_start) override;
  void Cancel(const std::string& reason) override;
  workflow::RunSnapshot Snapshot() const override;

  const std::string& data_directory() const override { return options_.data_directory; }
  int threads() const override { return options_.threads; }
  int64_t memory_limit() const override { return options_.memory_limit; }

 private:
  /// The run to resume, else a new one. Fills in run_id, resumed; *script gets
  /// the input files of the run.
  Result<state::RunRecord> FindOrCreateRun(workflow::RunPlan plan, const RunOptions& options,
                                           state::StateStore* state,
                                           std::shared_ptr<const script::Script>* script,
                                           RunSummary* summary);
  /// nullopt: a new run is to be made.
  static Result<std::optional<state::RunRecord>> FindRunToResume(const workflow::RunPlan& plan,
                                                                 const RunOptions& options,
                                                                 state::StateStore* state);
  Status Execute(Keyspace* keyspace, std::shared_ptr<const script::Script> script,
                 const state::RunRecord& run, const RunOptions& options, RunSummary* summary,
                 const std::function<void(const RunSummary&)>& on_start);
  Status Summarize(Keyspace* keyspace, RunSummary* summary);

  const EngineOptions options_;
  exec::MemoryBudget memory_;
  std::unique_ptr<files::Files> files_;
  std::unique_ptr<exec::TaskPool> pool_;
  std::unique_ptr<python::FormulaPool> formulas_;
  mutable std::mutex mutex_;
  workflow::RunExecutor* executor_ = nullptr;  // the run under way; guarded by mutex_
  Status cancelled_;                           // guarded by mutex_
};

Result<RunSummary> EngineImpl::RunScript(const RunOptions& options,
                                         const std::function<void(const RunSummary&)>& on_start) {
  Env* env = options_.env;
  const int64_t begin_nanos = env->MonotonicNanos();
  constexpr int64_t kNanosPerMilli = 1000000;
  RunSummary summary;
  summary.data_directory = options_.data_directory;
  summary.keyspace =
      options.keyspace.empty() ? DefaultKeyspace(options.script.script_url) : options.keyspace;
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(summary.keyspace));
  script::LoadResult loaded = script::LoadScript(options.script, files_.get());
  summary.warnings = std::move(loaded.warnings);
  summary.script_errors = std::move(loaded.errors);
  if (loaded.script == nullptr) return summary;
  workflow::RunRequest request;
  request.start_nodes = options.start_nodes;
  request.until_node = options.until_node;
  request.description = options.description;
  CAPI_ASSIGN_OR_RETURN(workflow::RunPlan plan, workflow::PlanRun(*loaded.script, request));

  KeyspaceOptions keyspace_options;
  keyspace_options.env = env;
  keyspace_options.files = files_.get();
  keyspace_options.data_directory = options_.data_directory;
  keyspace_options.name = summary.keyspace;
  keyspace_options.sqlite_vfs = options_.sqlite_vfs;
  if (options.run_id != 0) {
    // A wrong name must not make an empty keyspace.
    const Status known = Keyspace::OpenForReading(keyspace_options).status();
    if (InfoOf(known).error_class == "unknown_keyspace") return known;
  }
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<Keyspace> keyspace,
                        Keyspace::OpenForRunning(keyspace_options));
  CAPI_ASSIGN_OR_RETURN(
      const state::RunRecord run,
      FindOrCreateRun(std::move(plan), options, keyspace->state(), &loaded.script, &summary));
  CAPI_FAULT_POINT("service.after_create_run");

  summary.error = Execute(keyspace.get(), loaded.script, run, options, &summary, on_start);
  const Status summarized = Summarize(keyspace.get(), &summary);
  if (summary.error.ok()) summary.error = summarized;
  summary.interrupted = summary.status == state::RunStatus::kStart;
  summary.peak_reserved_bytes = memory_.peak_bytes();
  summary.elapsed_ms = (env->MonotonicNanos() - begin_nanos) / kNanosPerMilli;
  return summary;
}

Result<std::optional<state::RunRecord>> EngineImpl::FindRunToResume(const workflow::RunPlan& plan,
                                                                    const RunOptions& options,
                                                                    state::StateStore* state) {
  if (options.run_id != 0) {
    CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run,
                          state->FindRun(options.run_id));
    const std::string number = std::to_string(options.run_id);
    if (!run) return UserError("unknown_run", "no such run: " + number);
    if (workflow::MayResume(*run, plan)) return run;
    const bool ended = run->status != state::RunStatus::kStart;
    return UserError(
        "run_not_resumable",
        "run " + number +
            (ended ? " has ended, and what a run has made is never overwritten"
                   : " was started with another script, other parameters, nodes or strictness") +
            "; leave the run id out to make a new run");
  }
  if (options.new_run) return std::nullopt;
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::RunRecord> runs, state->Runs());
  if (runs.empty() || !workflow::MayResume(runs.back(), plan)) return std::nullopt;
  return runs.back();
}

Result<state::RunRecord> EngineImpl::FindOrCreateRun(workflow::RunPlan plan,
                                                     const RunOptions& options,
                                                     state::StateStore* state,
                                                     std::shared_ptr<const script::Script>* script,
                                                     RunSummary* summary) {
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> former,
                        FindRunToResume(plan, options, state));
  if (former) {
    summary->resumed = true;
    summary->run_id = former->run_id;
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes,
                          state->Nodes(summary->run_id));
    *script = WithRecordedUrls(*script, nodes);
    return *former;
  }
  CAPI_RETURN_NOT_OK(ExpandPatterns(files_.get(), **script, &plan));
  *script = WithRecordedUrls(*script, plan.nodes);
  state::RunRecord run = plan.run;
  run.started_ms = options_.env->NowMillis();
  run.now_ms = run.started_ms;
  run.comment = options.start_comment;
  CAPI_ASSIGN_OR_RETURN(run.run_id, state->CreateRun(run, plan.nodes));
  run.status = state::RunStatus::kStart;
  summary->run_id = run.run_id;
  return run;
}

Status EngineImpl::Execute(Keyspace* keyspace, std::shared_ptr<const script::Script> script,
                           const state::RunRecord& run, const RunOptions& options,
                           RunSummary* summary,
                           const std::function<void(const RunSummary&)>& on_start) {
  std::unique_ptr<workflow::RunExecutor> executor;
  CAPI_ASSIGN_OR_RETURN(
      const std::unique_ptr<workflow::LeaseKeeper> lease,
      workflow::LeaseKeeper::Start(options_.env, keyspace->state(), workflow::kLeaseMillis,
                                   [this](const Status& reason) { Cancel(reason.message()); }));
  workflow::ExecutorEnvironment environment;
  environment.env = options_.env;
  environment.files = files_.get();
  environment.pool = pool_.get();
  environment.memory = &memory_;
  environment.state = keyspace->state();
  environment.queue = keyspace->queue();
  environment.tables = keyspace->tables();
  environment.catalog = keyspace->catalog();
  environment.formulas = formulas_.get();
  environment.spill_directory = keyspace->spill_directory();
  environment.owner = lease->owner();
  environment.make_runner = options_.make_runner != nullptr
                                ? options_.make_runner
                                : workflow::RunnerFactory(&node::NodeRunner::Make);
  CAPI_ASSIGN_OR_RETURN(executor, workflow::RunExecutor::Make(environment, std::move(script), run));
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

Status EngineImpl::Summarize(Keyspace* keyspace, RunSummary* summary) {
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::RunRecord> run,
                        keyspace->state()->FindRun(summary->run_id));
  if (run) summary->status = run->status;
  for (const workflow::NodeSnapshot& node : summary->nodes) {
    summary->spilled_bytes += node.spilled_bytes;
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::NodeRecord> nodes,
                        keyspace->state()->Nodes(summary->run_id));
  for (const state::NodeRecord& node : nodes) {
    if (node.type != script::NodeTypeName(script::NodeType::kFileTable)) continue;
    CAPI_ASSIGN_OR_RETURN(const std::vector<state::BatchRecord> batches,
                          keyspace->state()->Batches(node.id));
    for (const state::BatchRecord& batch : batches) {
      if (!batch.input.empty()) summary->inputs.push_back({node.name, batch.input});
    }
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<state::FileRecord> files,
                        keyspace->state()->Files(summary->run_id, state::FileState::kPublished));
  for (const state::FileRecord& file : files) {
    const auto index = static_cast<size_t>(file.id.node.node_index);
    summary->files.push_back(
        {run && index < run->affected_nodes.size() ? run->affected_nodes[index] : "", file.target,
         file.rows, file.size});
  }
  return Status::OK();
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
  if (options.env == nullptr) options.env = Env::Default();
  if (options.data_directory.empty()) {
    CAPI_ASSIGN_OR_RETURN(options.data_directory, DefaultDataDirectory());
  }
  if (options.threads <= 0) options.threads = AvailableProcessors();
  if (options.memory_limit <= 0) options.memory_limit = DefaultMemoryLimit();
  // A worker per thread can be busy, so that many are worth keeping.
  if (options.formulas.max_idle_workers <= 0) options.formulas.max_idle_workers = options.threads;
  auto engine = std::make_unique<EngineImpl>(std::move(options));
  CAPI_RETURN_NOT_OK(engine->Start());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace capi::service
