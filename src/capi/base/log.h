#pragma once

// Log lines for operators, on standard error. Level: environment variable CAPI_LOG = debug, info,
// warn (default), error or off.

#include <cstdint>
#include <string_view>

namespace capi {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError, kOff };

/// Parses "debug", "info", "warn" (or "warning"), "error", "off"; false when unknown.
bool ParseLogLevel(std::string_view text, LogLevel* level);
void SetLogLevel(LogLevel level);
/// True when lines of this level are written: ask before building an expensive message.
bool LogEnabled(LogLevel level);

/// One line per call. Thread-safe; never fails.
void LogDebug(std::string_view message);
void LogInfo(std::string_view message);
void LogWarn(std::string_view message);
void LogError(std::string_view message);

}  // namespace capi
