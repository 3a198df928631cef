#pragma once

// How many requests and bytes may be under way (D10 of spec/guarantees.md). The number of requests
// adapts as TCP's window does: an answer adds 1/window while the window is what holds requests
// back, a time-out or overload halves it, a slow answer takes a little.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

namespace capi::cql {

using Clock = std::chrono::steady_clock;

/// Thread-safe.
class Window {
 public:
  Window(int64_t max_requests, int64_t max_bytes);
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  /// Waits for room; callers get it in the order in which they came. A request with more bytes than
  /// the limit goes alone.
  void Acquire(int64_t bytes);
  void Release(int64_t bytes);

  enum class Signal : uint8_t { kGood, kSlow, kOverload };
  /// `sent`: when the request was sent. What was sent before the window shrank the last time says
  /// nothing about the smaller window and does not shrink it again.
  void Report(Signal signal, Clock::time_point sent);

  int64_t in_flight() const;
  int64_t waiting() const;
  int64_t size() const;

 private:
  struct Waiter {
    int64_t bytes = 0;
    bool admitted = false;
    std::condition_variable ready;
  };
  bool HasRoom(int64_t bytes) const;
  void Take(int64_t bytes);
  void Admit();

  const int64_t max_requests_;
  const int64_t max_bytes_;
  mutable std::mutex mutex_;
  std::deque<Waiter*> waiters_;
  double size_;
  int64_t requests_ = 0;
  int64_t bytes_ = 0;
  Clock::time_point shrunk_ = Clock::time_point::min();
};

}  // namespace capi::cql
