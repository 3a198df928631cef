#include "capi/base/log.h"

#include <cstdlib>
#include <memory>

// Header-only use: linking the libraries would make them a dependency of every binary we ship.
#define FMT_HEADER_ONLY 1
#include "spdlog/logger.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace capi {

namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::warn;
}

spdlog::logger* MakeLogger() {
  auto* logger = new spdlog::logger("capi", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l [%t] %v");
  LogLevel level = LogLevel::kWarn;
  const char* text = std::getenv("CAPI_LOG");
  const bool known = text == nullptr || ParseLogLevel(text, &level);
  logger->set_level(ToSpdlog(level));
  logger->flush_on(spdlog::level::debug);
  if (!known) logger->warn("unknown log level in CAPI_LOG, using warn: {}", text);
  return logger;
}

spdlog::logger* Logger() {
  // Never destroyed: threads may log until the process ends.
  static spdlog::logger* const logger = MakeLogger();
  return logger;
}

void Write(LogLevel level, std::string_view message) {
  Logger()->log(ToSpdlog(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace

bool ParseLogLevel(std::string_view text, LogLevel* level) {
  if (text == "debug") {
    *level = LogLevel::kDebug;
  } else if (text == "info") {
    *level = LogLevel::kInfo;
  } else if (text == "warn" || text == "warning") {
    *level = LogLevel::kWarn;
  } else if (text == "error") {
    *level = LogLevel::kError;
  } else if (text == "off") {
    *level = LogLevel::kOff;
  } else {
    return false;
  }
  return true;
}

void SetLogLevel(LogLevel level) { Logger()->set_level(ToSpdlog(level)); }
bool LogEnabled(LogLevel level) { return Logger()->should_log(ToSpdlog(level)); }

void LogDebug(std::string_view message) { Write(LogLevel::kDebug, message); }
void LogInfo(std::string_view message) { Write(LogLevel::kInfo, message); }
void LogWarn(std::string_view message) { Write(LogLevel::kWarn, message); }
void LogError(std::string_view message) { Write(LogLevel::kError, message); }

}  // namespace capi
