#include <algorithm>
#include <chrono>
#include <numeric>

#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/queue/broker_errors_internal.h"
#include "capi/queue/outbox_internal.h"

namespace capi::queue {

namespace {

constexpr int64_t kIdleMillis = 60000;
constexpr int64_t kRefusalPauseMillis = 100;  // doubled each time
constexpr int kMostRefusals = 6;
/// Callers wait for a pause between attempts to connect; it must leave them time for the attempt.
constexpr int64_t kLongestPauseMillis = 2000;

}  // namespace

Outbox::Outbox(Env* env, OutboxOptions options, std::unique_ptr<PublishChannel> channel)
    : env_(env),
      options_(std::move(options)),
      channel_(std::move(channel)),
      pause_(env, options_.first_pause_ms,
             std::min(options_.longest_pause_ms, kLongestPauseMillis)) {}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  wake_.Set();
  if (thread_.joinable()) thread_.join();
}

Status Outbox::Publish(const std::vector<BatchMessage>& messages) {
  if (messages.empty()) return Status::OK();
  auto job = std::make_shared<Job>();
  for (const BatchMessage& message : messages) job->bodies.push_back(ToJson(message));
  job->unsent.resize(messages.size());
  std::iota(job->unsent.begin(), job->unsent.end(), 0);
  std::unique_lock lock(mutex_);
  waiting_.push_back(job);
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  changed_.notify_all();
  wake_.Set();
  changed_.wait_for(lock, std::chrono::milliseconds(options_.publish_timeout_ms),
                    [&job] { return job->ended; });
  if (job->ended) return job->status;
  job->abandoned = true;
  return UnavailableError(options_.broker + ": not confirmed within " +
                          std::to_string(options_.publish_timeout_ms) + " ms" +
                          (obstacle_.empty() ? "" : ", " + obstacle_));
}

void Outbox::Run() {
  while (TakeJobs()) {
    if (!connected_ && !Connect()) continue;
    const Status status = Pump();
    if (!status.ok()) LoseConnection(status);
  }
  if (connected_) channel_->Close();
}

bool Outbox::TakeJobs() {
  std::unique_lock lock(mutex_);
  if (!connected_ && jobs_.empty()) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  }
  if (stopping_) return false;
  jobs_.insert(jobs_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  std::erase_if(jobs_, [](const JobPtr& job) { return job->abandoned; });
  return true;
}

bool Outbox::Connect() {
  {
    std::unique_lock lock(mutex_);
    const int64_t pause = no_attempt_before_nanos_ - env_->MonotonicNanos();
    changed_.wait_for(lock, std::chrono::nanoseconds(std::max<int64_t>(pause, 0)),
                      [this] { return stopping_; });
    if (stopping_) return false;
  }
  const Status status = channel_->Open();
  if (!status.ok()) {
    channel_->Close();
    no_attempt_before_nanos_ = env_->MonotonicNanos() + pause_.NextMillis() * kNanosPerMilli;
    EndOrRepeat(status);
    return false;
  }
  pause_.Reset();
  no_attempt_before_nanos_ = 0;
  connected_ = true;
  next_sequence_ = 1;
  return true;
}

Status Outbox::Pump() {
  CAPI_RETURN_NOT_OK(Send());
  std::vector<Confirmation> confirmations;
  CAPI_ASSIGN_OR_RETURN(const bool busy, channel_->HandleInput(&confirmations));
  for (const Confirmation& confirmation : confirmations) Confirm(confirmation);
  FinishJobs();
  {
    std::string obstacle = channel_->Obstacle();
    const std::lock_guard lock(mutex_);
    obstacle_ = std::move(obstacle);
  }
  if (busy) return Status::OK();
  int64_t wait = kIdleMillis;
  for (const JobPtr& job : jobs_) {
    if (job->not_before_nanos <= sent_nanos_) continue;
    const int64_t left = job->not_before_nanos - env_->MonotonicNanos();
    wait = std::clamp<int64_t>(left / kNanosPerMilli + 1, 0, wait);
  }
  return channel_->Wait(wake_, wait);
}

Status Outbox::Send() {
  sent_nanos_ = env_->MonotonicNanos();
  for (const JobPtr& job : jobs_) {
    if (job->not_before_nanos > sent_nanos_) continue;
    if (job->declare) CAPI_RETURN_NOT_OK(channel_->Declare());
    job->declare = false;
    while (!job->unsent.empty() && channel_->MaySend(unconfirmed_.size())) {
      const size_t index = job->unsent.front();
      CAPI_RETURN_NOT_OK(channel_->Send(next_sequence_, job->bodies[index]));
      job->unsent.pop_front();
      ++job->unconfirmed;
      unconfirmed_.emplace(next_sequence_++, std::pair(job, index));
    }
  }
  return Status::OK();
}

void Outbox::Confirm(const Confirmation& confirmation) {
  if (confirmation.outcome == Confirmation::Outcome::kReturned) {
    returned_.insert(confirmation.sequence);
    return;
  }
  auto first = confirmation.multiple ? unconfirmed_.begin()
                                     : unconfirmed_.lower_bound(confirmation.sequence);
  while (first != unconfirmed_.end() && first->first <= confirmation.sequence) {
    const auto& [job, index] = first->second;
    --job->unconfirmed;
    if (returned_.erase(first->first) > 0) {
      job->unroutable.push_back(index);
    } else if (confirmation.outcome == Confirmation::Outcome::kRefused) {
      job->refused.push_back(index);
    }
    first = unconfirmed_.erase(first);
  }
}

void Outbox::FinishJobs() {
  for (const JobPtr& job : jobs_) {
    if (job->unconfirmed == 0 && job->unsent.empty()) FinishJob(job);
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [](const JobPtr& job) { return job->ended; });
}

void Outbox::FinishJob(const JobPtr& job) {
  if (job->unroutable.empty() && job->refused.empty()) {
    End(job, Status::OK());
    return;
  }
  if (!job->unroutable.empty() && job->declared_again) {
    End(job, UnavailableError("broker: there is no queue " + options_.queue + " to take messages"));
    return;
  }
  if (!job->refused.empty() && ++job->refusals >= kMostRefusals) {
    End(job, UnavailableError("broker: queue " + options_.queue +
                              " cannot take messages now (it has no majority of its servers, or a "
                              "limit of its length)"));
    return;
  }
  job->unsent.assign(job->refused.begin(), job->refused.end());
  job->unsent.insert(job->unsent.end(), job->unroutable.begin(), job->unroutable.end());
  // Refused: while a quorum queue is being made or chooses a leader.
  int64_t pause = job->refused.empty() ? 0 : kRefusalPauseMillis << (job->refusals - 1);
  if (!job->unroutable.empty()) {
    LogWarn("broker: queue " + options_.queue +
            " does not exist for publishing, declaring it again");
    job->declare = true;
    job->declared_again = true;
    pause = kDeletedPauseMillis;
  }
  job->unroutable.clear();
  job->refused.clear();
  job->not_before_nanos = env_->MonotonicNanos() + pause * kNanosPerMilli;
  wake_.Set();
}

void Outbox::End(const JobPtr& job, const Status& status) {
  {
    const std::lock_guard lock(mutex_);
    job->status = status;
    job->ended = true;
  }
  changed_.notify_all();
}

void Outbox::LoseConnection(const Status& error) {
  channel_->Close();
  connected_ = false;
  for (const auto& [sequence, entry] : unconfirmed_) {
    entry.first->unsent.push_back(entry.second);
    --entry.first->unconfirmed;
  }
  unconfirmed_.clear();
  returned_.clear();
  EndOrRepeat(error);
  const std::lock_guard lock(mutex_);
  obstacle_.clear();
}

void Outbox::EndOrRepeat(const Status& error) {
  std::vector<JobPtr> kept;
  for (const JobPtr& job : jobs_) {
    const bool again = !job->connected_again && KindOf(error) == ErrorKind::kRetriable;
    job->connected_again = true;
    if (again) {
      kept.push_back(job);
    } else {
      End(job, error);
    }
  }
  jobs_ = std::move(kept);
}

}  // namespace capi::queue
