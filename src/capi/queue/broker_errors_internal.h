#pragma once

#include <string>
#include <utility>

#include "capi/base/status.h"

namespace capi::queue {

/// The error of broker.h for a broker that is away or cannot help now.
inline Status UnavailableError(std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kRetriable;
  info.error_class = "broker_unavailable";
  return MakeError(std::move(info), std::move(message));
}

}  // namespace capi::queue
