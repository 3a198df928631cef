#include <chrono>

#include "capi/base/log.h"
#include "capi/queue/inbox_internal.h"

namespace capi::queue {

namespace {

constexpr int kDeliveryBits = 40;

uint64_t DeliveryOf(uint64_t tag) { return tag & ((uint64_t{1} << kDeliveryBits) - 1); }

}  // namespace

uint64_t Inbox::TagOf(uint64_t delivery) const { return generation_ << kDeliveryBits | delivery; }

Result<std::optional<Delivery>> Inbox::Receive(int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  // What cannot get better by waiting is told at once; for a broker that is away the caller's time
  // is waited, which keeps its loop from spinning.
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] {
    return !buffered_.empty() ||
           (!connected_ && !failure_.ok() && KindOf(failure_) != ErrorKind::kRetriable);
  });
  if (!buffered_.empty()) {
    Delivery delivery = std::move(buffered_.front());
    buffered_.pop_front();
    return delivery;
  }
  if (!connected_ && prefetch_ > 0 && !failure_.ok()) return failure_;
  return std::nullopt;
}

Result<std::optional<BatchMessage>> Inbox::Settle(uint64_t tag, Verdict verdict) {
  const std::lock_guard lock(mutex_);
  const auto early = settled_early_.find(tag);
  if (early != settled_early_.end()) {
    std::optional<BatchMessage> again;
    if (verdict == Verdict::kAgain) again = std::move(early->second);
    settled_early_.erase(early);
    return again;
  }
  const auto found = held_.find(tag);
  if (found == held_.end()) {
    if (tag >> kDeliveryBits < generation_) return std::nullopt;
    return BugError("broker: a delivery is settled that is not held: tag " + std::to_string(tag));
  }
  held_.erase(found);
  answers_.emplace_back(DeliveryOf(tag),
                        verdict == Verdict::kDone ? Answer::kDone : Answer::kAgain);
  recheck_ = true;
  wake_->Set();
  return std::nullopt;
}

Status Inbox::SetPrefetch(int64_t messages) {
  constexpr int64_t kMost = 65535;  // of basic.qos
  if (messages < 0 || messages > kMost) {
    return BugError("broker: the prefetch number must be between 0 and 65535: " +
                    std::to_string(messages));
  }
  {
    const std::lock_guard lock(mutex_);
    lowered_ = lowered_ || messages < prefetch_;
    prefetch_ = messages;
    recheck_ = true;
    GiveBackAbove(messages);
  }
  changed_.notify_all();
  wake_->Set();
  return Status::OK();
}

void Inbox::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  wake_->Set();
}

bool Inbox::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool Inbox::Pause(int64_t milliseconds) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(milliseconds),
                           [this] { return stopping_; });
}

void Inbox::Connected() {
  const std::lock_guard lock(mutex_);
  connected_ = true;
  failure_ = Status::OK();
  if (failures_ > 0) LogInfo("broker: connected again");
  failures_ = 0;
  recheck_ = true;
}

void Inbox::Lost(const Status& error) {
  {
    const std::lock_guard lock(mutex_);
    connected_ = false;
    failure_ = error;
    if (!stopping_ && !error.ok() && failures_++ == 0) {
      LogWarn("broker: not consuming until it answers again: " + Describe(error));
    }
    ++generation_;
    buffered_.clear();
    held_.clear();
    settled_early_.clear();
    answers_.clear();
    lowered_ = false;
  }
  changed_.notify_all();
}

void Inbox::Arrived(uint64_t delivery, BatchMessage message, bool redelivered,
                    uint64_t subscription, int64_t now_nanos) {
  {
    const std::lock_guard lock(mutex_);
    if (static_cast<int64_t>(held_.size()) >= prefetch_) {
      // On the way already when the number was lowered.
      answers_.emplace_back(delivery, Answer::kGiveBack);
      recheck_ = true;
      return;
    }
    const uint64_t tag = TagOf(delivery);
    held_[tag] = {message, subscription, now_nanos};
    buffered_.push_back({std::move(message), tag, redelivered});
  }
  changed_.notify_one();
}

Inbox::Answers Inbox::TakeAnswers() {
  const std::lock_guard lock(mutex_);
  return std::exchange(answers_, {});
}

std::optional<Inbox::Demand> Inbox::TakeDemand() {
  const std::lock_guard lock(mutex_);
  if (!recheck_) return std::nullopt;
  recheck_ = false;
  return Demand{prefetch_, static_cast<int64_t>(held_.size()), std::exchange(lowered_, false)};
}

Inbox::Demand Inbox::demand() const {
  const std::lock_guard lock(mutex_);
  return {prefetch_, static_cast<int64_t>(held_.size()), false};
}

void Inbox::Recheck() {
  const std::lock_guard lock(mutex_);
  recheck_ = true;
}

std::unordered_map<uint64_t, int64_t> Inbox::HeldBySubscription() const {
  const std::lock_guard lock(mutex_);
  std::unordered_map<uint64_t, int64_t> counts;
  for (const auto& [tag, held] : held_) ++counts[held.subscription];
  return counts;
}

void Inbox::SettleOlderThan(int64_t nanos) {
  const std::lock_guard lock(mutex_);
  while (!buffered_.empty()) {
    const uint64_t tag = buffered_.front().tag;
    if (held_.at(tag).arrived_nanos > nanos) break;
    answers_.emplace_back(DeliveryOf(tag), Answer::kGiveBack);
    held_.erase(tag);
    buffered_.pop_front();
  }
  for (auto held = held_.begin(); held != held_.end();) {
    if (held->second.arrived_nanos > nanos) {
      ++held;
      continue;
    }
    answers_.emplace_back(DeliveryOf(held->first), Answer::kDone);
    settled_early_.emplace(held->first, std::move(held->second.message));
    held = held_.erase(held);
  }
  if (answers_.empty()) return;
  recheck_ = true;
  wake_->Set();
}

void Inbox::GiveBackAbove(int64_t messages) {
  while (!buffered_.empty() && static_cast<int64_t>(held_.size()) > messages) {
    const uint64_t tag = buffered_.back().tag;
    buffered_.pop_back();
    held_.erase(tag);
    answers_.emplace_back(DeliveryOf(tag), Answer::kGiveBack);
  }
}

}  // namespace capi::queue
