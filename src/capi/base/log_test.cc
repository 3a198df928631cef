#include "capi/base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace capi {
namespace {

TEST(LogTest, ParsesLevels) {
  LogLevel level = LogLevel::kOff;
  EXPECT_TRUE(ParseLogLevel("debug", &level));
  EXPECT_EQ(level, LogLevel::kDebug);
  EXPECT_TRUE(ParseLogLevel("warning", &level));
  EXPECT_EQ(level, LogLevel::kWarn);
  EXPECT_FALSE(ParseLogLevel("loud", &level));
  EXPECT_FALSE(ParseLogLevel("", &level));
  EXPECT_EQ(level, LogLevel::kWarn);
}

TEST(LogTest, WritesLinesOfTheLevelAndAboveToStandardError) {
  testing::internal::CaptureStderr();
  SetLogLevel(LogLevel::kInfo);
  EXPECT_TRUE(LogEnabled(LogLevel::kInfo));
  EXPECT_FALSE(LogEnabled(LogLevel::kDebug));
  LogDebug("too quiet");
  // Braces are text here, not a format.
  LogInfo("hello {} {0}");
  LogWarn("careful");
  LogError("broken");
  SetLogLevel(LogLevel::kOff);
  LogError("silenced");
  SetLogLevel(LogLevel::kWarn);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("info"), std::string::npos) << text;
  EXPECT_NE(text.find("hello {} {0}\n"), std::string::npos) << text;
  EXPECT_NE(text.find("careful"), std::string::npos);
  EXPECT_NE(text.find("broken"), std::string::npos);
  EXPECT_EQ(text.find("quiet"), std::string::npos);
  EXPECT_EQ(text.find("silenced"), std::string::npos);
}

}  // namespace
}  // namespace capi
