#include "capi/python/formula_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/base/log.h"
#include "capi/python/columns_internal.h"
#include "capi/python/spawner_internal.h"
#include "capi/python/worker_internal.h"

namespace capi::python {

namespace {

using nlohmann::json;

constexpr int64_t kDefaultExecutionMillis = 5000;
constexpr int64_t kDefaultStartMillis = 60000;
constexpr int64_t kDefaultMemory = int64_t{4} << 30;
constexpr size_t kShownOutput = 500;
constexpr size_t kUsualWidth = 16;  // of a value in the channel

int Processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

std::string TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t NumberOf(const json& object, const char* key, int64_t otherwise) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

bool FlagOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

/// JSON with whatever bytes the sources hold.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string SetupOf(const Program& program, int64_t memory_limit) {
  json setup;
  setup["slice_rows"] = std::max<int64_t>(1, program.slice_rows);
  setup["memory_limit"] = std::max<int64_t>(0, memory_limit);
  setup["sources"] = json::array();
  for (const SourceFile& source : program.sources) {
    setup["sources"].push_back({{"name", source.name}, {"text", source.text}});
  }
  setup["inputs"] = json::array();
  for (const Input& input : program.inputs) {
    setup["inputs"].push_back({{"variable", input.variable}});
  }
  setup["formulas"] = json::array();
  for (const Formula& formula : program.formulas) {
    json uses = json::array();
    for (const Use& use : formula.uses) {
      uses.push_back({{"variable", use.variable}, {"shown", use.shown}});
    }
    setup["formulas"].push_back({{"variable", formula.variable},
                                 {"name", formula.shown},
                                 {"type", data::FieldTypeName(formula.type)},
                                 {"expression", formula.expression},
                                 {"uses", std::move(uses)}});
  }
  return Dump(setup);
}

/// ", in f(x=2) at calc.py:3: return 1 // (x - 2)"
std::string PlaceText(const json& failure) {
  const std::string file = TextOf(failure, "file");
  if (file.empty()) return "";
  const std::string function = TextOf(failure, "function");
  const std::string arguments = TextOf(failure, "arguments");
  std::string text = ", ";
  if (!function.empty() && function != "<module>") {
    text += "in " + function;
    if (!arguments.empty()) text += "(" + arguments + ")";
    text += " ";
  }
  text += "at " + file;
  const int64_t line = NumberOf(failure, "line", 0);
  if (line > 0) text += ":" + std::to_string(line);
  const std::string code = TextOf(failure, "code");
  if (!code.empty()) text += ": " + code;
  return text;
}

std::string OutputText(const std::string& output) {
  if (output.empty()) return "";
  const size_t begin = output.size() > kShownOutput ? output.size() - kShownOutput : 0;
  std::string text = output.substr(begin);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return "; formulas printed: " + std::string(begin > 0 ? "... " : "") + text;
}

class FormulaPoolImpl final : public FormulaPool {
 public:
  explicit FormulaPoolImpl(PoolOptions options) : options_(std::move(options)) {}

  Outcome Evaluate(const std::shared_ptr<const Program>& program,
                   const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t n,
                   const DescribeRow& describe, const exec::CancelToken& cancel) override;
  void Forget(const Program& program) override;
  int64_t started_workers() const override { return started_; }
  int64_t live_workers() const override { return live_; }
  LatencyHistogram::Snapshot latencies() const override { return latencies_.snapshot(); }

 private:
  struct Busy {
    std::shared_ptr<const Program> program;
    std::unique_ptr<Worker> worker;
  };

  Result<Spawner*> TheSpawner();
  Result<Busy> Acquire(const std::shared_ptr<const Program>& program,
                       const exec::CancelToken& cancel);
  Result<std::unique_ptr<Worker>> StartWorker(const Program& program,
                                              const exec::CancelToken& cancel);
  void GiveBack(Busy busy);
  void Discard(std::unique_ptr<Worker> worker);

  /// What a failure frame means. `busy` stays usable unless told otherwise by *spoilt.
  Outcome Failure(const Program& program, const Answer& answer, const DescribeRow& describe,
                  Worker* worker, bool* spoilt);
  /// An error that no row is known for.
  Status Unplaced(const Program& program, const Status& error, int64_t n,
                  const DescribeRow& describe, Worker* worker);
  /// Takes the columns out of an answer; a refused value becomes a row's error.
  Outcome Columns(const Program& program, const Answer& answer, int64_t n,
                  const DescribeRow& describe, const exec::CancelToken& cancel, Worker* worker,
                  bool* spoilt);

  const PoolOptions options_;
  std::mutex mutex_;
  Status spawner_error_;              // guarded by mutex_
  std::unique_ptr<Spawner> spawner_;  // guarded by mutex_; outlives all workers
  std::deque<Busy> idle_;             // guarded by mutex_, longest idle first
  std::atomic<int64_t> started_{0};
  std::atomic<int64_t> live_{0};
  LatencyHistogram latencies_;
};

Result<Spawner*> FormulaPoolImpl::TheSpawner() {
  const std::lock_guard lock(mutex_);
  CAPI_RETURN_NOT_OK(spawner_error_);
  if (spawner_ == nullptr) {
    const SandboxSupport support = options_.sandbox ? DetectSandbox() : SandboxSupport{};
    if (options_.sandbox && !support.seccomp) {
      LogWarn("this kernel has no seccomp: formulas can reach the network");
    }
    Result<std::unique_ptr<Spawner>> made = Spawner::Make(options_, support);
    spawner_error_ = made.status();
    CAPI_RETURN_NOT_OK(spawner_error_);
    spawner_ = *std::move(made);
  }
  return spawner_.get();
}

Result<std::unique_ptr<Worker>> FormulaPoolImpl::StartWorker(const Program& program,
                                                             const exec::CancelToken& cancel) {
  CAPI_ASSIGN_OR_RETURN(Spawner* const spawner, TheSpawner());
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<Worker> worker, Worker::Start(spawner, options_));
  ++started_;
  ++live_;
  const std::string setup = SetupOf(program, options_.memory_limit);
  Result<Answer> answer =
      worker->Exchange(FrameKind::kLoad, {setup}, options_.start_timeout_ms, cancel);
  Status status = answer.status();
  if (status.ok() && answer->kind == FrameKind::kFailure) {
    const json failure = json::parse(answer->payload(), nullptr, false);
    std::string message = TextOf(failure, "message");
    if (FlagOf(failure, "timeout")) {
      message += ", which is " + std::to_string(options_.start_timeout_ms) + " ms for loading";
    }
    status = UserError("python_load", "the Python sources cannot be loaded: " + message +
                                          PlaceText(failure) + OutputText(worker->TakeOutput()));
  } else if (status.ok() && answer->kind != FrameKind::kReady) {
    status = UserError("python_protocol", "the Python process did not answer as it should");
  } else if (!status.ok() && KindOf(status) != ErrorKind::kCancelled) {
    status = Prefixed(status, "while the Python sources were loaded: ");
    const std::string output = worker->TakeOutput();
    if (!output.empty()) status = MakeError(InfoOf(status), status.message() + OutputText(output));
  }
  if (!status.ok()) {
    Discard(std::move(worker));
    return status;
  }
  return worker;
}

Result<FormulaPoolImpl::Busy> FormulaPoolImpl::Acquire(
    const std::shared_ptr<const Program>& program, const exec::CancelToken& cancel) {
  while (true) {
    Busy busy;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                      [&](const Busy& other) { return other.program == program; });
      if (found == idle_.rend()) break;
      busy = std::move(*found);
      idle_.erase(std::next(found).base());
    }
    if (busy.worker->idle_and_well()) return busy;
    Discard(std::move(busy.worker));
  }
  CAPI_ASSIGN_OR_RETURN(auto worker, StartWorker(*program, cancel));
  return Busy{program, std::move(worker)};
}

void FormulaPoolImpl::GiveBack(Busy busy) {
  std::vector<Busy> ended;
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(busy));
    while (static_cast<int>(idle_.size()) > options_.max_idle_workers) {
      ended.push_back(std::move(idle_.front()));
      idle_.pop_front();
    }
  }
  for (Busy& other : ended) Discard(std::move(other.worker));
}

void FormulaPoolImpl::Discard(std::unique_ptr<Worker> worker) {
  worker.reset();
  --live_;
}

void FormulaPoolImpl::Forget(const Program& program) {
  std::vector<Busy> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = idle_.begin(); at != idle_.end();) {
      if (at->program.get() == &program) {
        ended.push_back(std::move(*at));
        at = idle_.erase(at);
      } else {
        ++at;
      }
    }
  }
  for (Busy& other : ended) Discard(std::move(other.worker));
}

Status FormulaPoolImpl::Unplaced(const Program& program, const Status& error, int64_t n,
                                 const DescribeRow& describe, Worker* worker) {
  std::string message;
  if (n > 0) {
    message = n == 1 ? describe(0) + ": "
                     : describe(0) + " and the " + std::to_string(n - 1) + " rows after it: ";
  }
  message += error.message() + ", in";
  for (size_t i = 0; i < program.formulas.size(); ++i) {
    message += (i == 0 ? " " : ", ") + program.formulas[i].shown;
  }
  return MakeError(InfoOf(error), message + OutputText(worker->TakeOutput()));
}

Outcome FormulaPoolImpl::Failure(const Program& program, const Answer& answer,
                                 const DescribeRow& describe, Worker* worker, bool* spoilt) {
  Outcome outcome;
  const json failure = json::parse(answer.payload(), nullptr, false);
  const int64_t formula_index = NumberOf(failure, "formula", -1);
  const int64_t row = NumberOf(failure, "row", -1);
  const bool timeout = FlagOf(failure, "timeout");
  const bool memory = FlagOf(failure, "memory");
  *spoilt = timeout || memory || !failure.is_object();
  std::string message = TextOf(failure, "message");
  if (timeout) {
    message += ": " + std::to_string(options_.execution_timeout_ms) + " ms for " +
               std::to_string(program.slice_rows) + " rows";
  }
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = timeout                     ? "python_timeout"
                     : memory                    ? "python_memory"
                     : FlagOf(failure, "result") ? "python_result"
                                                 : "python_exception";
  const bool placed = row >= 0 && formula_index >= 0 &&
                      formula_index < static_cast<int64_t>(program.formulas.size());
  if (placed) {
    const Formula& formula = program.formulas[static_cast<size_t>(formula_index)];
    info.field_path = formula.field_path;
    message = describe(row) + ": " + message + PlaceText(failure) + ", in formula " + formula.shown;
    const std::string values = TextOf(failure, "values");
    if (!values.empty()) message += " with " + values;
    outcome.error_row = row;
  } else {
    message += PlaceText(failure);
  }
  outcome.error = MakeError(std::move(info), message + OutputText(worker->TakeOutput()));
  return outcome;
}

Outcome FormulaPoolImpl::Columns(const Program& program, const Answer& answer, int64_t n,
                                 const DescribeRow& describe, const exec::CancelToken& cancel,
                                 Worker* worker, bool* spoilt) {
  Outcome outcome;
  std::string_view bytes = answer.payload();
  constexpr size_t kHead = 2 * sizeof(uint64_t);
  const auto head = [&](size_t i) {
    uint64_t value;
    std::memcpy(&value, bytes.data() + i * sizeof(value), sizeof(value));
    return value;
  };
  *spoilt = true;
  if (bytes.size() < kHead || head(0) != static_cast<uint64_t>(n) ||
      head(1) != program.formulas.size()) {
    outcome.error =
        UserError("python_protocol", "the Python process sent other columns than asked");
    return outcome;
  }
  bytes.remove_prefix(kHead);
  RefusedValue first;
  size_t first_formula = 0;
  for (size_t i = 0; i < program.formulas.size(); ++i) {
    RefusedValue refused;
    auto column = TakeColumn(program.formulas[i].type, n, &bytes, &refused);
    if (!column.ok()) {
      outcome.columns.clear();
      outcome.error = column.status();
      return outcome;
    }
    outcome.columns.push_back(*std::move(column));
    if (refused.row >= 0 && (first.row < 0 || refused.row < first.row)) {
      first = std::move(refused);
      first_formula = i;
    }
  }
  *spoilt = false;
  if (first.row < 0) return outcome;
  const std::string request =
      Dump({{"row", first.row}, {"formula", first_formula}, {"message", first.message}});
  const Result<Answer> explained =
      worker->Exchange(FrameKind::kExplain, {request}, options_.execution_timeout_ms, cancel);
  if (!explained.ok()) {
    *spoilt = true;
    outcome = Outcome{};
    outcome.error = explained.status();
    return outcome;
  }
  return Failure(program, *explained, describe, worker, spoilt);
}

Outcome FormulaPoolImpl::Evaluate(const std::shared_ptr<const Program>& program,
                                  const std::vector<std::shared_ptr<arrow::Array>>& columns,
                                  int64_t n, const DescribeRow& describe,
                                  const exec::CancelToken& cancel) {
  Outcome outcome;
  std::string request;
  request.reserve(static_cast<size_t>(n) * columns.size() * kUsualWidth);
  const std::array<uint64_t, 2> head{static_cast<uint64_t>(n), columns.size()};
  request.append(reinterpret_cast<const char*>(head.data()), sizeof(head));
  for (const auto& column : columns) {
    outcome.error = AppendColumn(*column, &request);
    if (!outcome.error.ok()) return outcome;
  }
  Result<Busy> busy = Acquire(program, cancel);
  if (!busy.ok()) {
    outcome.error = busy.status();
    return outcome;
  }
  Worker* const worker = busy->worker.get();
  const auto begun = std::chrono::steady_clock::now();
  const Result<Answer> answer =
      worker->Exchange(FrameKind::kBatch, {request}, options_.execution_timeout_ms, cancel);
  bool spoilt = true;
  if (!answer.ok()) {
    outcome.error = answer.status();
  } else if (answer->kind == FrameKind::kColumns) {
    outcome = Columns(*program, *answer, n, describe, cancel, worker, &spoilt);
  } else if (answer->kind == FrameKind::kFailure) {
    outcome = Failure(*program, *answer, describe, worker, &spoilt);
  } else {
    outcome.error = UserError("python_protocol", "the Python process did not answer as it should");
  }
  if (!outcome.error.ok() && outcome.error_row < 0 &&
      KindOf(outcome.error) != ErrorKind::kCancelled) {
    outcome.error = Unplaced(*program, outcome.error, n, describe, worker);
  }
  latencies_.Add(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begun).count());
  if (!outcome.error.ok()) outcome.columns.clear();
  const std::string output = worker->TakeOutput();
  if (!output.empty() && LogEnabled(LogLevel::kInfo)) {
    LogInfo("formulas of " + program->name + " printed: " + output);
  }
  if (spoilt) {
    Discard(std::move(busy->worker));
  } else {
    GiveBack(*std::move(busy));
  }
  return outcome;
}

}  // namespace

Result<std::unique_ptr<FormulaPool>> FormulaPool::Make(PoolOptions options) {
  if (options.interpreter.empty()) {
    return UserError("python_interpreter", "the path of the Python interpreter is empty");
  }
  if (options.execution_timeout_ms <= 0) options.execution_timeout_ms = kDefaultExecutionMillis;
  if (options.start_timeout_ms <= 0) options.start_timeout_ms = kDefaultStartMillis;
  if (options.memory_limit == 0) options.memory_limit = kDefaultMemory;
  if (options.max_idle_workers <= 0) options.max_idle_workers = Processors();
  return std::unique_ptr<FormulaPool>(std::make_unique<FormulaPoolImpl>(std::move(options)));
}

}  // namespace capi::python
