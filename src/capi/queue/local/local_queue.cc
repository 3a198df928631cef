#include "capi/queue/local/local_queue.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <set>
#include <tuple>
#include <vector>

#include "capi/base/time_units.h"

namespace capi::queue {

namespace {

struct ByHint {
  bool operator()(const Message& left, const Message& right) const {
    return std::tie(left.depth, left.run_id, left.node_index, left.begin, left.end) <
           std::tie(right.depth, right.run_id, right.node_index, right.begin, right.end);
  }
};

struct Delayed {
  int64_t due_nanos = 0;
  Message message;
};

class LocalQueue final : public Queue {
 public:
  explicit LocalQueue(Env* env) : env_(env) {}

  Status Enqueue(const Message& message, int64_t delay_ms) override {
    const std::lock_guard lock(mutex_);
    if (delay_ms > 0) {
      delayed_.push_back({env_->MonotonicNanos() + delay_ms * kNanosPerMilli, message});
    } else {
      ready_.insert(message);
    }
    return Status::OK();
  }

  Result<std::optional<Message>> Take(int64_t max_batches) override {
    const std::lock_guard lock(mutex_);
    MoveDue();
    if (ready_.empty() || max_batches <= 0) return std::nullopt;
    Message taken = *ready_.begin();
    ready_.erase(ready_.begin());
    if (taken.end - taken.begin > max_batches) {
      Message rest = taken;
      rest.begin = taken.begin + max_batches;
      taken.end = rest.begin;
      ready_.insert(rest);
    }
    return taken;
  }

  Status Discard(int64_t run_id, int64_t node_index, int64_t begin) override {
    const std::lock_guard lock(mutex_);
    std::set<Message, ByHint> kept;
    for (Message message : ready_) {
      if (Cut(run_id, node_index, begin, &message)) kept.insert(message);
    }
    ready_ = std::move(kept);
    std::vector<Delayed> kept_delayed;
    for (Delayed delayed : delayed_) {
      if (Cut(run_id, node_index, begin, &delayed.message)) kept_delayed.push_back(delayed);
    }
    delayed_ = std::move(kept_delayed);
    return Status::OK();
  }

  Status Purge() override {
    const std::lock_guard lock(mutex_);
    ready_.clear();
    delayed_.clear();
    return Status::OK();
  }

  Result<std::optional<int64_t>> NextDelay() override {
    const std::lock_guard lock(mutex_);
    if (delayed_.empty()) return std::nullopt;
    int64_t due = delayed_.front().due_nanos;
    for (const Delayed& delayed : delayed_) due = std::min(due, delayed.due_nanos);
    const int64_t wait = due - env_->MonotonicNanos();
    return wait <= 0 ? 0 : wait / kNanosPerMilli + 1;
  }

 private:
  /// Cuts off batches of the node from `begin` on; false when nothing is left.
  static bool Cut(int64_t run_id, int64_t node_index, int64_t begin, Message* message) {
    if (message->run_id != run_id || message->node_index != node_index) return true;
    message->end = std::min(message->end, begin);
    return message->begin < message->end;
  }

  void MoveDue() {
    if (delayed_.empty()) return;
    const int64_t now = env_->MonotonicNanos();
    std::erase_if(delayed_, [&](const Delayed& delayed) {
      if (delayed.due_nanos > now) return false;
      ready_.insert(delayed.message);
      return true;
    });
  }

  Env* env_;
  std::mutex mutex_;
  std::set<Message, ByHint> ready_;
  std::vector<Delayed> delayed_;  // few: retries only
};

}  // namespace

std::unique_ptr<Queue> NewLocalQueue(Env* env) { return std::make_unique<LocalQueue>(env); }

}  // namespace capi::queue
