#include "capi/cli/go_duration.h"

#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace capi::cli {
namespace {

TEST(GoDurationTest, LikeGo) {
  const std::vector<std::pair<int64_t, std::string>> cases = {
      {0, "0s"},
      {1, "1ns"},
      {999, "999ns"},
      {1500, "1.5\u00b5s"},
      {999999, "999.999\u00b5s"},
      {15000000, "15ms"},
      {1244671072, "1.244671072s"},
      {1000000000, "1s"},
      {123400000000, "2m3.4s"},
      {3600000000000, "1h0m0s"},
      {3600500000000, "1h0m0.5s"},
      {90061000000001, "25h1m1.000000001s"},
      {-1500000, "-1.5ms"},
      {INT64_MAX, "2562047h47m16.854775807s"},
      {INT64_MIN, "-2562047h47m16.854775808s"}};
  for (const auto& [nanoseconds, text] : cases) EXPECT_EQ(GoDuration(nanoseconds), text);
}

}  // namespace
}  // namespace capi::cli
