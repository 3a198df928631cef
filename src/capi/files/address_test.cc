#include <gtest/gtest.h>

#include <string>

#include "capi/base/status.h"
#include "capi/files/address_internal.h"

namespace capi::files {
namespace {

TEST(RedactedTest, HidesPasswordsAndQueries) {
  EXPECT_EQ(Redacted("sftp://joe:secret@h:22/a"), "sftp://joe:...@h:22/a");
  EXPECT_EQ(Redacted("https://joe:se@cret@h/a"), "https://joe:...@h/a");
  EXPECT_EQ(Redacted("https://joe:se/c?ret@h/a"), "https://joe:...@h/a");  // not encoded
  EXPECT_EQ(Redacted("https://h/a?X-Amz-Signature=12&x=1"), "https://h/a?...");
  EXPECT_EQ(Redacted("sftp://joe@h/a"), "sftp://joe@h/a");
  EXPECT_EQ(Redacted("https://h/user:x@b"), "https://h/user:x@b");
  EXPECT_EQ(Redacted("/local/a:b@c?d"), "/local/a:b@c?d");
  EXPECT_EQ(RedactedText("cannot read https://j:s@h/a?t=1 or sftp://k:u@h/b: why"),
            "cannot read https://j:...@h/a?... or sftp://k:...@h/b: why");
  EXPECT_EQ(RedactedText("no address"), "no address");
}

TEST(ParseRemoteTest, Parts) {
  const RemoteAddress address =
      ParseRemote("HTTPS://jo%65:pa%3Ass@Data.Example.COM:8443/a/b%20c?x=1#top").ValueOrDie();
  EXPECT_EQ(address.scheme, Scheme::kHttps);
  EXPECT_EQ(address.user, "joe");
  EXPECT_EQ(address.password, "pa:ss");
  EXPECT_EQ(address.host, "data.example.com");
  EXPECT_EQ(address.port, 8443);
  EXPECT_EQ(address.path, "/a/b%20c");
  EXPECT_EQ(address.query, "x=1");
  EXPECT_EQ(address.Authority(), "data.example.com:8443");
}

TEST(ParseRemoteTest, SftpPathsAndIpv6) {
  const RemoteAddress sftp = ParseRemote("sftp://u@[::1]:2222/in/a?.csv").ValueOrDie();
  EXPECT_EQ(sftp.host, "::1");
  EXPECT_EQ(sftp.Authority(), "[::1]:2222");
  EXPECT_EQ(sftp.path, "/in/a?.csv");
  EXPECT_EQ(sftp.query, "");
  EXPECT_EQ(ParseRemote("http://h").ValueOrDie().path, "");
}

TEST(ParseRemoteTest, Refuses) {
  for (const char* url :
       {"http:///a", "http://h:0/a", "http://h:65536/a", "http://h:x/a", "http://[::1/a",
        "http://h\n/a", "http://h:/a", "/local", "sftp://u@/a"}) {
    EXPECT_EQ(ErrorClassOf(ParseRemote(url).status()), "bad_address") << url;
  }
}

TEST(ParseS3Test, BothSpellings) {
  for (const char* url : {"s3://my-bucket/in/a b.csv", "s3://my-bucket//in/a b.csv",
                          "https://my-bucket.s3.amazonaws.com/in/a%20b.csv",
                          "https://my-bucket.s3.eu-west-1.amazonaws.com/in/a%20b.csv",
                          "https://my-bucket.s3-us-west-2.amazonaws.com/in/a%20b.csv",
                          "https://s3.eu-west-1.amazonaws.com/my-bucket/in/a%20b.csv",
                          "https://my-bucket.s3.dualstack.eu-west-1.amazonaws.com/in/a%20b.csv",
                          "https://my-bucket.s3.cn-north-1.amazonaws.com.cn/in/a%20b.csv"}) {
    EXPECT_TRUE(IsS3(url)) << url;
    EXPECT_EQ(HandlerOf(url), Scheme::kS3) << url;
    const Result<S3Address> address = ParseS3(url);
    ASSERT_TRUE(address.ok()) << url;
    EXPECT_EQ(address->bucket, "my-bucket") << url;
    EXPECT_EQ(address->key, "in/a b.csv") << url;
  }
  EXPECT_EQ(ParseS3("https://my.dotted.bucket.s3.amazonaws.com/k").ValueOrDie().bucket,
            "my.dotted.bucket");
}

TEST(ParseS3Test, OtherHttpsAddressesStayHttps) {
  for (const char* url :
       {"https://example.com/b/k", "https://b.s3.amazonaws.com.evil.com/k",
        "https://ec2.eu-west-1.amazonaws.com/k", "http://b.s3.amazonaws.com/k",
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=1", "https://b.s3.amazonaws.com:444/k"}) {
    EXPECT_FALSE(IsS3(url)) << url;
  }
}

TEST(ParseS3Test, Refuses) {
  for (const char* url : {"s3:///k", "s3://bucket", "s3://bucket/", "s3://u@bucket/k",
                          "s3://bucket:80/k", "s3://bu$ket/k", "https://s3.amazonaws.com/bucket"}) {
    EXPECT_EQ(ErrorClassOf(ParseS3(url).status()), "bad_address") << url;
  }
}

TEST(PercentTest, RoundTrip) {
  const std::string odd = "a b/c?d*e%f\xC3\xA9+~";
  EXPECT_EQ(PercentEncoded(odd, true), "a%20b/c%3Fd%2Ae%25f%C3%A9%2B~");
  EXPECT_EQ(PercentEncoded(odd, false), "a%20b%2Fc%3Fd%2Ae%25f%C3%A9%2B~");
  EXPECT_EQ(PercentDecoded(PercentEncoded(odd, false)), odd);
  EXPECT_EQ(PercentDecoded("100%"), "100%");
  EXPECT_EQ(PercentDecoded("%zz%4"), "%zz%4");
}

}  // namespace
}  // namespace capi::files
