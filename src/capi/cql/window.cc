#include <algorithm>

#include "capi/cql/window_internal.h"

namespace capi::cql {
namespace {

constexpr double kSmallestWindow = 4;
constexpr double kOverloadFactor = 0.5;
constexpr double kSlowFactor = 0.9;

}  // namespace

Window::Window(int64_t max_requests, int64_t max_bytes)
    : max_requests_(std::max<int64_t>(max_requests, 1)),
      max_bytes_(std::max<int64_t>(max_bytes, 1)),
      size_(static_cast<double>(max_requests_)) {}

bool Window::HasRoom(int64_t bytes) const {
  if (requests_ == 0) return true;
  return requests_ < static_cast<int64_t>(size_) && bytes_ + bytes <= max_bytes_;
}

void Window::Take(int64_t bytes) {
  ++requests_;
  bytes_ += bytes;
}

void Window::Admit() {
  while (!waiters_.empty() && HasRoom(waiters_.front()->bytes)) {
    Waiter* const waiter = waiters_.front();
    waiters_.pop_front();
    Take(waiter->bytes);
    waiter->admitted = true;
    // Under the lock: the waiter lives on the stack of a thread that ends when it sees `admitted`.
    waiter->ready.notify_one();
  }
}

void Window::Acquire(int64_t bytes) {
  std::unique_lock lock(mutex_);
  if (waiters_.empty() && HasRoom(bytes)) {
    Take(bytes);
    return;
  }
  Waiter waiter;
  waiter.bytes = bytes;
  waiters_.push_back(&waiter);
  waiter.ready.wait(lock, [&] { return waiter.admitted; });
}

void Window::Release(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  --requests_;
  bytes_ -= bytes;
  Admit();
}

void Window::Report(Signal signal, Clock::time_point sent) {
  const std::lock_guard lock(mutex_);
  const double largest = static_cast<double>(max_requests_);
  if (signal == Signal::kGood) {
    const bool limits = !waiters_.empty() || requests_ + 1 >= static_cast<int64_t>(size_);
    if (limits) size_ = std::min(largest, size_ + 1 / size_);
    Admit();
    return;
  }
  if (sent < shrunk_) return;
  shrunk_ = Clock::now();
  const double factor = signal == Signal::kOverload ? kOverloadFactor : kSlowFactor;
  size_ = std::max(std::min(kSmallestWindow, largest), size_ * factor);
}

int64_t Window::in_flight() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int64_t Window::waiting() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(waiters_.size());
}

int64_t Window::size() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(size_);
}

}  // namespace capi::cql
