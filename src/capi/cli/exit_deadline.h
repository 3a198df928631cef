#pragma once

// The last resort of a command that promised to end in time.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace capi::cli {

/// For processes whose sudden end does no harm. Used by one thread at a time.
class ExitDeadline {
 public:
  ExitDeadline() = default;
  ~ExitDeadline();  ///< in time: nothing happens
  ExitDeadline(const ExitDeadline&) = delete;
  ExitDeadline& operator=(const ExitDeadline&) = delete;
  /// Once. When the time is over before this object, the message is printed and the process ends
  /// with kExitFailed.
  void Start(std::chrono::milliseconds time, const std::string& message);

 private:
  std::mutex mutex_;
  std::condition_variable ended_in_time_;
  bool in_time_ = false;
  std::thread thread_;
};

}  // namespace capi::cli
