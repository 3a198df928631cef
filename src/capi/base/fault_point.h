#pragma once

// Named places where a test makes the process die or a call fail. Off, a fault point costs one
// relaxed load. Armed by the environment variable CAPI_FAULT, a comma-separated list of
//   name:kill[:n]    the n-th hit (default: the first) ends the process at once with status 85
//   name:error[:n]   the n-th hit returns a kEnvironment error; hits before and after pass
//   name:stop[:n]    the n-th hit stops the process until it gets SIGCONT; then it goes on
// for example CAPI_FAULT="store.after_sync:kill:3".

#include <atomic>
#include <string_view>

#include "capi/base/status.h"

namespace capi {

inline constexpr int kFaultExitStatus = 85;

/// Replaces what is armed. kUser error "bad_fault_spec" when the text does not parse (nothing
/// changes then). An empty text disarms all.
Status ArmFaultPoints(std::string_view spec);

namespace internal {
extern std::atomic<bool> fault_points_armed;
Status HitFaultPoint(std::string_view name);
}  // namespace internal

}  // namespace capi

/// Usable in functions that return Status or Result.
#define CAPI_FAULT_POINT(name)                                                               \
  do {                                                                                       \
    if (::capi::internal::fault_points_armed.load(std::memory_order_relaxed)) [[unlikely]] { \
      CAPI_RETURN_NOT_OK(::capi::internal::HitFaultPoint(name));                             \
    }                                                                                        \
  } while (false)
