#pragma once

// How long to wait before the next attempt to connect: growing, and jittered so that the processes
// of a cluster do not come back in step.

#include <algorithm>
#include <cstdint>

#include "capi/base/env.h"

namespace capi::queue {

/// One thread at a time.
class ReconnectPause {
 public:
  ReconnectPause(Env* env, int64_t first_ms, int64_t longest_ms)
      : env_(env), first_ms_(first_ms), longest_ms_(longest_ms), next_ms_(first_ms) {}

  /// Between half of the present pause and the whole; the next one is doubled.
  int64_t NextMillis() {
    const int64_t whole = next_ms_;
    next_ms_ = std::min(longest_ms_, next_ms_ * 2);
    const int64_t half = whole / 2;
    return whole - half + static_cast<int64_t>(env_->Random() % static_cast<uint64_t>(half + 1));
  }
  void Reset() { next_ms_ = first_ms_; }

 private:
  Env* const env_;
  const int64_t first_ms_;
  const int64_t longest_ms_;
  int64_t next_ms_;
};

}  // namespace capi::queue
