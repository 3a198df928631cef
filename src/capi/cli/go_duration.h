#pragma once

#include <cstdint>
#include <string>

namespace capi::cli {

/// As Go prints a time.Duration: "1.234567s", "2m3.4s", "1h0m0.5s", "15ms", "1.5µs", "0s".
std::string GoDuration(int64_t nanoseconds);

}  // namespace capi::cli
