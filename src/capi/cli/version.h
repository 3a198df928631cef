#pragma once

namespace capi::cli {
inline constexpr char kVersion[] = "capi 0.1.0";
}  // namespace capi::cli
