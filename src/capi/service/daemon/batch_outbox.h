#pragma once

// Publishes batch messages from a thread of its own, so that a broker that is slow or away delays
// nobody. Messages that it could not take are lost: whoever is idle finds the batches in the state
// (architecture P3).

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "capi/base/status.h"
#include "capi/queue/broker.h"

namespace capi::service {

/// Thread-safe.
class BatchOutbox {
 public:
  /// on_failure is called from the outbox's thread with what could not be published.
  BatchOutbox(queue::Broker* broker,
              std::function<void(const std::vector<queue::BatchMessage>&)> on_failure);
  ~BatchOutbox();  ///< tries to publish what is left, once

  void Add(std::vector<queue::BatchMessage> messages);
  int64_t num_published() const;

 private:
  void Publish();

  queue::Broker* const broker_;
  const std::function<void(const std::vector<queue::BatchMessage>&)> on_failure_;
  mutable std::mutex mutex_;
  std::condition_variable wakeup_;
  std::vector<queue::BatchMessage> messages_;
  int64_t num_published_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace capi::service
