#include "capi/service/engine_parts.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

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

}  // namespace

Status CompleteOptions(EngineOptions* options) {
  if (options->env == nullptr) options->env = Env::Default();
  if (options->data_directory.empty()) {
    CAPI_ASSIGN_OR_RETURN(options->data_directory, DefaultDataDirectory());
  }
  if (options->threads <= 0) options->threads = AvailableProcessors();
  if (options->memory_limit <= 0) options->memory_limit = DefaultMemoryLimit();
  // A worker per thread can be busy, so that many are worth keeping.
  if (options->formulas.max_idle_workers <= 0)
    options->formulas.max_idle_workers = options->threads;
  return Status::OK();
}

Result<std::unique_ptr<EngineParts>> EngineParts::Make(const EngineOptions& options) {
  std::unique_ptr<EngineParts> parts(new EngineParts(options));
  CAPI_ASSIGN_OR_RETURN(parts->files_, files::Files::Make(options.env, options.files));
  CAPI_ASSIGN_OR_RETURN(parts->pool_, exec::TaskPool::Make(options.threads));
  CAPI_ASSIGN_OR_RETURN(parts->formulas_, python::FormulaPool::Make(options.formulas));
  return parts;
}

workflow::ExecutorEnvironment EngineParts::EnvironmentFor(Keyspace* keyspace,
                                                          state::OwnerId owner) {
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
  environment.owner = owner;
  environment.make_runner = options_.make_runner != nullptr
                                ? options_.make_runner
                                : workflow::RunnerFactory(&node::NodeRunner::Make);
  if (store::RowPublisher* rows = keyspace->rows(); rows != nullptr) {
    environment.publish = [rows](const exec::Context& context, const script::Node& node,
                                 const store::Table& table) {
      return rows->Publish(context, table, node.table_writer->table_options);
    };
  }
  return environment;
}

}  // namespace capi::service
