#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capi/base/status.h"

namespace capi::exec {

/// Cooperative cancellation, checked once per morsel. Copies share one state. Thread-safe.
class CancelToken {
 public:
  CancelToken() : state_(std::make_shared<State>()) {}
  /// Only the first reason is kept.
  void Cancel(Status reason) const;
  bool cancelled() const { return state_->cancelled.load(std::memory_order_acquire); }
  /// OK, or the reason (kind kCancelled).
  Status Check() const { return cancelled() ? reason() : Status::OK(); }
  Status reason() const;
  /// A token that is cancelled with its parent but can be cancelled alone.
  CancelToken Child() const;

 private:
  struct State {
    std::atomic<bool> cancelled{false};
    std::mutex mutex;
    Status reason;
    std::vector<std::weak_ptr<State>> children;
  };
  explicit CancelToken(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static void CancelState(const std::shared_ptr<State>& state, const Status& reason);
  std::shared_ptr<State> state_;
};

}  // namespace capi::exec
