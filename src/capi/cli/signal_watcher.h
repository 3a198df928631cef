#pragma once

// SIGINT and SIGTERM for commands that end in good order.

#include <signal.h>

#include <functional>
#include <thread>

namespace capi::cli {

/// Waits for the signals in a thread of its own, because hardly anything may be called in a signal
/// handler. Made before other threads, so that they inherit the mask. One per process.
class SignalWatcher {
 public:
  SignalWatcher();
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;
  /// Once. `on_signal` gets "interrupted by Ctrl-C" or "interrupted by SIGTERM". A second signal
  /// ends the process at once with kExitInterrupted: nothing partial is visible then, and what was
  /// not committed is done again.
  void Start(std::function<void(const char* reason)> on_signal);
  /// Returns when `on_signal` will not be called any more: before what it uses is destroyed.
  void Stop();

 private:
  sigset_t signals_;
  std::thread thread_;
};

}  // namespace capi::cli
