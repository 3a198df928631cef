#pragma once

// Factors between the units of time that counts of 64 bits are kept in.

#include <cstdint>

namespace capi {

inline constexpr int64_t kMillisPerSecond = 1000;
inline constexpr int64_t kNanosPerMilli = 1000000;
inline constexpr int64_t kNanosPerSecond = 1000000000;

}  // namespace capi
