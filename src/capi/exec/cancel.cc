#include "capi/exec/cancel.h"

#include <algorithm>
#include <utility>

namespace capi::exec {

namespace {

/// A stop is never a failure, whatever made somebody ask for it.
Status AsCancelled(const Status& reason) {
  if (reason.ok()) return CancelledError("cancelled");
  if (KindOf(reason) == ErrorKind::kCancelled) return reason;
  ErrorInfo info = InfoOf(reason);
  info.kind = ErrorKind::kCancelled;
  return MakeError(std::move(info), reason.message());
}

}  // namespace

void CancelToken::Cancel(Status reason) const { CancelState(state_, AsCancelled(reason)); }

Status CancelToken::reason() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->reason;
}

CancelToken CancelToken::Child() const {
  CancelToken child;
  const std::lock_guard<std::mutex> lock(state_->mutex);
  if (state_->cancelled.load(std::memory_order_relaxed)) {
    child.state_->reason = state_->reason;
    child.state_->cancelled.store(true, std::memory_order_release);
    return child;
  }
  // A long-lived parent must not collect the remains of all its past children.
  std::vector<std::weak_ptr<State>>& children = state_->children;
  if (children.size() == children.capacity()) {
    std::erase_if(children, [](const std::weak_ptr<State>& other) { return other.expired(); });
    children.reserve(2 * children.size() + 1);
  }
  children.push_back(child.state_);
  return child;
}

void CancelToken::CancelState(const std::shared_ptr<State>& state, const Status& reason) {
  std::vector<std::weak_ptr<State>> children;
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    if (state->cancelled.load(std::memory_order_relaxed)) return;
    state->reason = reason;
    state->cancelled.store(true, std::memory_order_release);
    children.swap(state->children);
  }
  for (const std::weak_ptr<State>& child : children) {
    if (const std::shared_ptr<State> alive = child.lock()) CancelState(alive, reason);
  }
}

}  // namespace capi::exec
