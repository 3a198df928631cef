#include "capi/base/redact.h"

#include "gtest/gtest.h"

namespace capi {
namespace {

TEST(RedactUrlTest, PasswordsAreReplaced) {
  EXPECT_EQ(RedactUrl("amqp://guest:guest@127.0.0.1/"), "amqp://guest:...@127.0.0.1/");
  EXPECT_EQ(RedactUrl("amqps://a:b:c@host:5671/v?x=1"), "amqps://a:...@host:5671/v?x=1");
  EXPECT_EQ(RedactUrl("https://u:@h/p"), "https://u:...@h/p");
  EXPECT_EQ(RedactUrl("https://u:p@ss@h/p"), "https://u:...@h/p");
}

TEST(RedactUrlTest, PasswordsThatOughtToBeEncodedAreFound) {
  EXPECT_EQ(RedactUrl("amqp://guest:pa/ss@host/x"), "amqp://guest:...@host/x");
  EXPECT_EQ(RedactUrl("amqp://guest:pa?s#s@host"), "amqp://guest:...@host");
}

TEST(RedactUrlTest, OtherAddressesStay) {
  for (const char* url :
       {"", "plain text", "/a/b@c:d", "https://host/path", "https://host:8080/a@b", "sftp://u@h/p",
        "https://[::1]:80/x@y", "https://h/p?month=2026-10&keyboard=us#top", "s3://bucket/a:b@c"}) {
    EXPECT_EQ(RedactUrl(url), url);
  }
}

TEST(RedactUrlTest, SignedQueriesAreReplaced) {
  EXPECT_EQ(RedactUrl("https://b.s3.amazonaws.com/k?X-Amz-Credential=AK/2&X-Amz-Signature=abc&x=1"),
            "https://b.s3.amazonaws.com/k?X-Amz-Credential=...&X-Amz-Signature=...&x=1");
  EXPECT_EQ(RedactUrl("https://h/?a=b;TOKEN=t#sig=s"), "https://h/?a=b;TOKEN=...#sig=...");
  EXPECT_EQ(RedactUrl("https://h?key"), "https://h?key");
}

}  // namespace
}  // namespace capi
