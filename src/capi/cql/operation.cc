#include <algorithm>
#include <condition_variable>
#include <optional>
#include <random>
#include <utility>

#include "capi/cql/operation_internal.h"

namespace capi::cql {
namespace {

constexpr int64_t kFirstPauseMs = 10;
constexpr int64_t kLongestPauseMs = 2000;
// Changes of the schema take seconds on a busy cluster.
constexpr int64_t kSchemaTimeoutMs = 60000;

CapiCqlText TextOf(std::string_view text) { return {text.data(), text.size()}; }
std::string_view ViewOf(CapiCqlText text) { return {text.data, text.size}; }

std::chrono::milliseconds Millis(int64_t count) { return std::chrono::milliseconds(count); }

double RandomBetween(double low, double high) {
  thread_local std::minstd_rand engine(std::random_device{}());
  return std::uniform_real_distribution<double>(low, high)(engine);
}

std::shared_ptr<const void> OwnPage(CapiCqlPage* page) {
  return std::shared_ptr<const void>(page, [](CapiCqlPage* owned) { capi_cql_page_free(owned); });
}

}  // namespace

Link::~Link() {
  AwaitIdle();
  if (driver != nullptr) capi_cql_close(driver);
}

void Link::BeginOperation() {
  const std::lock_guard lock(mutex_);
  ++operations_;
}

void Link::EndOperation() {
  const std::lock_guard lock(mutex_);
  if (--operations_ == 0) idle_.notify_all();
}

void Link::AwaitIdle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return operations_ == 0; });
}

Operation::Operation(Link* link, Task task, Done done)
    : link_(link), task_(std::move(task)), done_(std::move(done)) {
  if (task_.requests == nullptr) return;
  for (const Request& request : *task_.requests) {
    statements_.push_back(static_cast<const PreparedStatement&>(*request.statement).handle());
    values_.push_back(TextOf(request.values.bytes()));
    bytes_ += static_cast<int64_t>(request.values.bytes().size());
  }
}

void Operation::Start(Link* link, Task task, Done done) {
  auto* const operation = new Operation(link, std::move(task), std::move(done));
  link->BeginOperation();
  link->window.Acquire(operation->bytes_);
  link->requests.fetch_add(1, std::memory_order_relaxed);
  link->bytes_written.fetch_add(operation->bytes_, std::memory_order_relaxed);
  operation->admitted_ = operation->begun_ = Clock::now();
  operation->Send(0);
}

Result<Answer> Operation::Run(Link* link, Task task) {
  struct Wait {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<Answer>> result;
  };
  Wait wait;
  Start(link, std::move(task), [&wait](Result<Answer> result) {
    const std::lock_guard lock(wait.mutex);
    wait.result = std::move(result);
    wait.ready.notify_one();
  });
  std::unique_lock lock(wait.mutex);
  wait.ready.wait(lock, [&wait] { return wait.result.has_value(); });
  return std::move(*wait.result);
}

void Operation::Send(int64_t delay_ms) {
  if (link_->given_up.load(std::memory_order_relaxed)) {
    Fail(kCqlUnavailable, "given up, nothing was sent");
    return;
  }
  sent_ = Clock::now() + Millis(delay_ms);
  const CapiCqlDriver* const driver = link_->driver;
  const CapiCqlText cql = TextOf(task_.cql);
  // From the call on the operation belongs to the driver's threads.
  switch (task_.kind) {
    case Kind::kExecute: {
      CapiCqlRequest request{};
      request.statements = statements_.data();
      request.values = values_.data();
      request.num_statements = statements_.size();
      request.consistency = task_.consistency;
      request.serial_consistency = task_.serial_consistency;
      request.page_rows = task_.page_rows;
      request.paging_state = TextOf(task_.paging_state);
      request.delay_ms = delay_ms;
      handed_over_.store(1, std::memory_order_release);
      capi_cql_execute(driver, &request, this, OnReply);
      return;
    }
    case Kind::kPrepare: {
      const bool idempotent = task_.idempotent_statement;
      handed_over_.store(1, std::memory_order_release);
      capi_cql_prepare(driver, cql, idempotent, delay_ms, this, OnReply);
      return;
    }
    case Kind::kSchema: {
      const int64_t timeout_ms = std::max(kSchemaTimeoutMs, link_->options.timeout_ms);
      handed_over_.store(1, std::memory_order_release);
      capi_cql_schema(driver, cql, timeout_ms, delay_ms, this, OnReply);
      return;
    }
  }
}

void Operation::OnReply(void* self, const CapiCqlReply* reply) {
  auto* const operation = static_cast<Operation*>(self);
  operation->handed_over_.load(std::memory_order_acquire);
  if (reply->code == kCqlOk) {
    operation->Receive(*reply);
  } else {
    operation->ReceiveError(*reply);
  }
}

void Operation::Receive(const CapiCqlReply& reply) {
  link_->last_answer.store(Clock::now(), std::memory_order_relaxed);
  // A server that takes a good part of the time-out is close to not keeping it.
  const bool slow =
      task_.kind == Kind::kExecute && Clock::now() - sent_ > Millis(link_->options.timeout_ms / 4);
  link_->window.Report(slow ? Window::Signal::kSlow : Window::Signal::kGood, sent_);
  answer_.statement = reply.statement;
  if (reply.page != nullptr) {
    Rows::Page page{OwnPage(reply.page), ViewOf(reply.cells), reply.num_rows};
    link_->bytes_read.fetch_add(static_cast<int64_t>(reply.cells.size), std::memory_order_relaxed);
    if (answer_.rows.columns().empty()) {
      std::vector<std::string> columns;
      columns.reserve(reply.num_columns);
      for (size_t i = 0; i < reply.num_columns; ++i) {
        columns.emplace_back(ViewOf(reply.columns[i]));
      }
      answer_.rows = Rows(std::move(columns));
    }
    if (reply.num_columns != answer_.rows.columns().size() || !answer_.rows.Append(page)) {
      Finish(BugError("Cassandra: the rows do not have the form that the answer announces (" +
                      std::string(Subject()) + ")"));
      return;
    }
  }
  task_.paging_state.assign(ViewOf(reply.paging_state));
  if (!task_.paging_state.empty() && task_.pages == Pages::kAll) {
    attempts_ = 0;
    begun_ = Clock::now();
    Send(0);
    return;
  }
  answer_.paging_state = std::move(task_.paging_state);
  Finish(std::move(answer_));
}

void Operation::ReceiveError(const CapiCqlReply& reply) {
  if (reply.code == kCqlOverloaded || (reply.code == kCqlTimedOut && TellsLoad())) {
    link_->window.Report(Window::Signal::kOverload, sent_);
  }
  const int64_t pause_ms = NextPauseMs(reply.code);
  if (pause_ms >= 0) {
    link_->retries.fetch_add(1, std::memory_order_relaxed);
    Send(pause_ms);
    return;
  }
  Fail(reply.code, ViewOf(reply.message));
}

void Operation::Fail(int32_t code, std::string_view message) {
  link_->errors.fetch_add(1, std::memory_order_relaxed);
  Finish(MakeCqlError(code, message, Subject(), task_.repeat));
}

int64_t Operation::NextPauseMs(int32_t code) {
  if (!MayRepeat(code, task_.repeat) || link_->given_up.load(std::memory_order_relaxed)) return -1;
  const int doublings = std::min(attempts_, 16);
  ++attempts_;
  const int64_t longest = std::min(kLongestPauseMs, kFirstPauseMs << doublings);
  const auto pause = static_cast<int64_t>(RandomBetween(0.5, 1) * static_cast<double>(longest));
  const auto end = begun_ + Millis(link_->options.retry_budget_ms);
  return Clock::now() + Millis(pause) < end ? pause : -1;
}

std::string_view Operation::Subject() const {
  return task_.requests != nullptr ? task_.requests->front().statement->cql() : task_.cql;
}

void Operation::Finish(Result<Answer> result) {
  Link* const link = link_;
  link->window.Release(bytes_);
  link->latencies[static_cast<size_t>(task_.counted_as)].Add(
      std::chrono::nanoseconds(Clock::now() - admitted_).count());
  done_(std::move(result));
  delete this;
  link->EndOperation();
}

}  // namespace capi::cql
