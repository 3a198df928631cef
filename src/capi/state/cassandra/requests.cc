#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "capi/state/cassandra/requests_internal.h"

namespace capi::state {

namespace {

constexpr size_t kMaxThreads = 8;
constexpr int64_t kFirstPauseMs = 5;
constexpr int64_t kLongestPauseMs = 1000;
constexpr int64_t kPatienceMs = 60000;

/// Answers of requests under way.
struct Answers {
  std::mutex mutex;
  std::condition_variable all_there;
  size_t missing = 0;
  std::vector<cql::Rows> rows;
  Status status;
};

}  // namespace

Result<std::vector<cql::Rows>> ReadMany(cql::Session* session, std::vector<cql::Request> requests) {
  const auto answers = std::make_shared<Answers>();
  answers->missing = requests.size();
  answers->rows.resize(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    session->Begin(std::move(requests[i]), [answers, i](Result<cql::Rows> rows) {
      const std::lock_guard lock(answers->mutex);
      if (rows.ok()) {
        answers->rows[i] = std::move(rows).ValueUnsafe();
      } else if (answers->status.ok()) {
        answers->status = rows.status();
      }
      if (--answers->missing == 0) answers->all_there.notify_all();
    });
  }
  std::unique_lock lock(answers->mutex);
  answers->all_there.wait(lock, [&] { return answers->missing == 0; });
  CAPI_RETURN_NOT_OK(answers->status);
  return std::move(answers->rows);
}

Status WriteMany(cql::Session* session, std::vector<cql::Request> requests) {
  return ReadMany(session, std::move(requests)).status();
}

void ForEachAtOnce(size_t count, const std::function<void(size_t)>& body) {
  if (count == 1) return body(0);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) body(i);
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(count, kMaxThreads); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

bool IsUncertain(const Status& status) {
  return !status.ok() && InfoOf(status).error_class == "cql_uncertain";
}

Backoff::Backoff(Env* env)
    : env_(env),
      deadline_ns_(env->MonotonicNanos() + kPatienceMs * 1000000),
      pause_ms_(kFirstPauseMs) {}

bool Backoff::Wait() {
  if (env_->MonotonicNanos() >= deadline_ns_) return false;
  const auto spread = static_cast<int64_t>(env_->Random() % static_cast<uint64_t>(pause_ms_));
  env_->SleepMillis(pause_ms_ / 2 + spread);
  pause_ms_ = std::min(2 * pause_ms_, kLongestPauseMs);
  return true;
}

Result<bool> WriteIf(Env* env, cql::Session* session, const std::vector<cql::Request>& statements,
                     const std::function<Result<Seen>(cql::Consistency)>& look) {
  Backoff backoff(env);
  bool uncertain = false;
  while (true) {
    const auto outcome = session->ExecuteConditional(statements);
    if (outcome.ok() && outcome->applied) return true;
    if (outcome.ok() && !uncertain) return false;
    if (!outcome.ok() && !IsUncertain(outcome.status())) return outcome.status();
    // A late first try may be applied after this look and refuse the second: hence "ours" then.
    uncertain = true;
    CAPI_ASSIGN_OR_RETURN(const Seen seen, look(cql::Consistency::kSerial));
    if (seen != Seen::kReady) return seen == Seen::kOurs;
    if (!backoff.Wait()) {
      return outcome.ok() ? RetriableError("a conditional write found no quiet moment")
                          : outcome.status();
    }
  }
}

Status WriteOnce(Env* env, cql::Session* session, const std::vector<cql::Request>& statements) {
  Backoff backoff(env);
  while (true) {
    const Status status = session->ExecuteConditional(statements).status();
    if (!IsUncertain(status) || !backoff.Wait()) return status;
  }
}

}  // namespace capi::state
