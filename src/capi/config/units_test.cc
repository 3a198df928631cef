#include "capi/config/units.h"

#include "gtest/gtest.h"

namespace capi::config {
namespace {

TEST(UnitsTest, Bytes) {
  EXPECT_EQ(*ParseBytes("1000000"), 1000000);
  EXPECT_EQ(*ParseBytes("2GiB"), int64_t{2} << 30);
  EXPECT_EQ(*ParseBytes("1.5kB"), 1500);
  for (const char* text : {"", "GiB", "-1", "0", "2 GiB", "2gib", "1e30", "nan", "inf"}) {
    EXPECT_FALSE(ParseBytes(text).ok()) << text;
  }
}

TEST(UnitsTest, Milliseconds) {
  EXPECT_EQ(*ParseMilliseconds("1500"), 1500);
  EXPECT_EQ(*ParseMilliseconds("0"), 0);
  EXPECT_EQ(*ParseMilliseconds("1.5s"), 1500);
  EXPECT_EQ(*ParseMilliseconds("2m"), 120000);
  for (const char* text : {"", "s", "-1s", "5 s", "5sec", "1e30", "nan", "inf"}) {
    EXPECT_FALSE(ParseMilliseconds(text).ok()) << text;
  }
}

}  // namespace
}  // namespace capi::config
