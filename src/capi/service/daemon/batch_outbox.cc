#include "capi/service/daemon/batch_outbox.h"

#include <iterator>
#include <utility>

#include "capi/base/log.h"

namespace capi::service {

BatchOutbox::BatchOutbox(queue::Broker* broker,
                         std::function<void(const std::vector<queue::BatchMessage>&)> on_failure)
    : broker_(broker), on_failure_(std::move(on_failure)), thread_([this] { Publish(); }) {}

BatchOutbox::~BatchOutbox() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wakeup_.notify_all();
  thread_.join();
}

void BatchOutbox::Add(std::vector<queue::BatchMessage> messages) {
  {
    const std::lock_guard lock(mutex_);
    messages_.insert(messages_.end(), std::make_move_iterator(messages.begin()),
                     std::make_move_iterator(messages.end()));
  }
  wakeup_.notify_all();
}

int64_t BatchOutbox::num_published() const {
  const std::lock_guard lock(mutex_);
  return num_published_;
}

void BatchOutbox::Publish() {
  std::unique_lock lock(mutex_);
  while (true) {
    wakeup_.wait(lock, [this] { return stop_ || !messages_.empty(); });
    if (messages_.empty()) return;
    std::vector<queue::BatchMessage> messages;
    messages.swap(messages_);
    lock.unlock();
    const Status status = broker_->Publish(messages);
    if (!status.ok()) {
      LogWarn("cannot offer batches to other daemons: " + Describe(status));
      on_failure_(messages);
    }
    lock.lock();
    if (status.ok()) num_published_ += static_cast<int64_t>(messages.size());
  }
}

}  // namespace capi::service
