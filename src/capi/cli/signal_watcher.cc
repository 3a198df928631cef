#include "capi/cli/signal_watcher.h"

#include <pthread.h>
#include <unistd.h>

#include <utility>

#include "capi/cli/commands.h"

namespace capi::cli {

SignalWatcher::SignalWatcher() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  sigaddset(&signals_, SIGUSR1);  // ends the watcher
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

void SignalWatcher::Start(std::function<void(const char* reason)> on_signal) {
  thread_ = std::thread([this, on_signal = std::move(on_signal)] {
    for (bool first = true;; first = false) {
      int signal = 0;
      if (sigwait(&signals_, &signal) != 0 || signal == SIGUSR1) return;
      if (!first) _exit(kExitInterrupted);
      on_signal(signal == SIGINT ? "interrupted by Ctrl-C" : "interrupted by SIGTERM");
    }
  });
}

SignalWatcher::~SignalWatcher() { Stop(); }

void SignalWatcher::Stop() {
  if (!thread_.joinable()) return;
  pthread_kill(thread_.native_handle(), SIGUSR1);
  thread_.join();
}

}  // namespace capi::cli
