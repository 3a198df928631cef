#pragma once

// What the operating system tells about this process, as all clients of Prometheus name it.

#include <cstdint>
#include <optional>

namespace capi::service {

struct ProcessUsage {
  int64_t resident_bytes = 0;
  int64_t virtual_bytes = 0;
  double cpu_seconds = 0;    ///< of user and system
  double start_seconds = 0;  ///< since 1970 UTC
  int64_t open_files = 0;
  std::optional<int64_t> max_files;  ///< none: no limit
};

/// Nothing where /proc is not mounted.
std::optional<ProcessUsage> ReadProcessUsage();

}  // namespace capi::service
