#include "capi/service/daemon/batch_inbox.h"

#include <algorithm>
#include <utility>

#include "capi/queue/local/local_queue.h"

namespace capi::service {

BatchInbox::BatchInbox(Env* env, Settle settle)
    : settle_(std::move(settle)), own_(queue::NewLocalQueue(env)) {}

BatchInbox::~BatchInbox() { SettleAll(queue::Verdict::kAgain); }

void BatchInbox::Deliver(const queue::Delivery& delivery) {
  const std::lock_guard lock(mutex_);
  deliveries_.push_back(delivery);
}

int64_t BatchInbox::num_deliveries() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(deliveries_.size());
}

void BatchInbox::SettleAll(queue::Verdict verdict) {
  std::deque<queue::Delivery> deliveries;
  {
    const std::lock_guard lock(mutex_);
    deliveries.swap(deliveries_);
  }
  for (const queue::Delivery& delivery : deliveries) settle_(delivery.tag, verdict);
}

Status BatchInbox::Enqueue(const queue::Message& message, int64_t delay_ms) {
  return own_->Enqueue(message, delay_ms);
}

Result<std::optional<queue::Message>> BatchInbox::Take(int64_t max_batches) {
  CAPI_ASSIGN_OR_RETURN(const std::optional<queue::Message> own, own_->Take(max_batches));
  if (own) return own;
  queue::Delivery delivery;
  {
    const std::lock_guard lock(mutex_);
    if (deliveries_.empty()) return std::nullopt;
    delivery = deliveries_.front();
    deliveries_.pop_front();
  }
  settle_(delivery.tag, queue::Verdict::kDone);
  queue::Message message;
  message.run_id = delivery.message.run_id;
  message.node_index = delivery.message.node_index;
  message.begin = delivery.message.begin;
  message.end = delivery.message.end;
  CAPI_RETURN_NOT_OK(own_->Enqueue(message, 0));
  return own_->Take(max_batches);
}

Status BatchInbox::Discard(int64_t run_id, int64_t node_index, int64_t begin) {
  std::vector<uint64_t> discarded;
  {
    const std::lock_guard lock(mutex_);
    const auto unwanted = [&](const queue::Delivery& delivery) {
      const queue::BatchMessage& message = delivery.message;
      return message.run_id == run_id && message.node_index == node_index && message.begin >= begin;
    };
    for (const queue::Delivery& delivery : deliveries_) {
      if (unwanted(delivery)) discarded.push_back(delivery.tag);
    }
    deliveries_.erase(std::remove_if(deliveries_.begin(), deliveries_.end(), unwanted),
                      deliveries_.end());
  }
  for (const uint64_t tag : discarded) settle_(tag, queue::Verdict::kDone);
  return own_->Discard(run_id, node_index, begin);
}

Status BatchInbox::Purge() {
  SettleAll(queue::Verdict::kDone);
  return own_->Purge();
}

Result<std::optional<int64_t>> BatchInbox::NextDelay() { return own_->NextDelay(); }

}  // namespace capi::service
