#pragma once

// Bytes of an address, for the rooms that must not know about protocols (script). Implemented by
// files/.

#include <string>

#include "capi/base/status.h"

namespace capi {

/// Thread-safe.
class Fetcher {
 public:
  virtual ~Fetcher() = default;
  /// Whole content of a small text file: script, parameters, tag criteria, Python source.
  /// Errors: kUser class "file_not_found", kRetriable for connectivity, kEnvironment otherwise.
  virtual Result<std::string> Fetch(const std::string& url) = 0;
};

}  // namespace capi
