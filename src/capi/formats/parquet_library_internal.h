#pragma once

// The edge to Arrow's Parquet library, which throws: no exception passes it.

#include <string>
#include <utility>

#include "capi/base/status.h"

namespace capi::formats::internal {

/// To be called in a catch (...) block. What a file makes the library say is the user's error,
/// class "bad_parquet"; memory that cannot be had is the environment's.
Status StatusOfCaughtException();

/// Runs `body`, which returns a Status or a Result, and turns exceptions into its return type.
template <typename Body>
auto CatchExceptions(const Body& body) -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    return StatusOfCaughtException();
  }
}

}  // namespace capi::formats::internal
