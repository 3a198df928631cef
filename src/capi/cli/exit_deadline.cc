#include "capi/cli/exit_deadline.h"

#include <unistd.h>

#include <cstdio>

#include "capi/cli/commands.h"

namespace capi::cli {

ExitDeadline::~ExitDeadline() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    in_time_ = true;
  }
  ended_in_time_.notify_all();
  thread_.join();
}

void ExitDeadline::Start(std::chrono::milliseconds time, const std::string& message) {
  thread_ = std::thread([this, end = std::chrono::steady_clock::now() + time, message] {
    std::unique_lock lock(mutex_);
    if (ended_in_time_.wait_until(lock, end, [this] { return in_time_; })) return;
    std::fprintf(stderr, "%s\n", message.c_str());
    _exit(kExitFailed);
  });
}

}  // namespace capi::cli
