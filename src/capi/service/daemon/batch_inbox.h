#pragma once

// The queue of one run in a daemon: what the executor of this process queues for itself, and what
// the broker delivered. A delivery is settled when the executor takes it, so that a daemon holds no
// more of them than it can begin, and the broker gives them to others should it die before.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "capi/base/env.h"
#include "capi/queue/broker.h"
#include "capi/queue/queue.h"

namespace capi::service {

/// Thread-safe.
class BatchInbox final : public queue::Queue {
 public:
  /// Called with the tag of a delivery that is used up (kDone) or for others (kAgain).
  using Settle = std::function<void(uint64_t tag, queue::Verdict verdict)>;

  BatchInbox(Env* env, Settle settle);
  ~BatchInbox() override;  ///< what was not taken is for others

  void Deliver(const queue::Delivery& delivery);
  /// Deliveries that nobody has taken.
  int64_t num_deliveries() const;
  /// Settles all deliveries that nobody has taken.
  void SettleAll(queue::Verdict verdict);

  Status Enqueue(const queue::Message& message, int64_t delay_ms) override;
  /// Own messages first: they are of work that has begun.
  Result<std::optional<queue::Message>> Take(int64_t max_batches) override;
  Status Discard(int64_t run_id, int64_t node_index, int64_t begin) override;
  Status Purge() override;
  Result<std::optional<int64_t>> NextDelay() override;

 private:
  const Settle settle_;
  const std::unique_ptr<queue::Queue> own_;
  mutable std::mutex mutex_;
  std::deque<queue::Delivery> deliveries_;
};

}  // namespace capi::service
