#pragma once

// Values with units as people write them.

#include <cstdint>
#include <string_view>

#include "capi/base/status.h"

namespace capi::config {

/// "2GiB", "64MiB", "500MB", "1000000": bytes. kUser error of class "usage".
Result<int64_t> ParseBytes(std::string_view text);
/// "1500", "1500ms", "5s", "2m", "1h", "1.5s": milliseconds. kUser error of class "usage".
Result<int64_t> ParseMilliseconds(std::string_view text);

}  // namespace capi::config
