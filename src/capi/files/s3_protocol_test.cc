#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "capi/files/backend_internal.h"
#include "capi/files/s3_protocol_internal.h"
#include "capi/files/sha256.h"

namespace capi::files {
namespace {

TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.Finish(), Sha256Hex("abc"));
  EXPECT_EQ(HexOf(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/// The examples in Amazon's documentation of Signature Version 4 for S3.
std::string SignatureOf(const std::string& url,
                        AwsCredentials credentials = {"AKIAIOSFODNN7EXAMPLE",
                                                      "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                                      ""}) {
  HttpRequest request;
  request.url = url;
  constexpr int64_t kExampleSeconds = 1369353600;  // 2013-05-24
  EXPECT_TRUE(SignS3Request(credentials, "us-east-1", kExampleSeconds, &request).ok());
  for (const std::string& header : request.headers) {
    if (header.starts_with("Authorization: ")) return header;
  }
  return "";
}

TEST(S3SignatureTest, DocumentedExamples) {
  EXPECT_EQ(
      SignatureOf("https://examplebucket.s3.amazonaws.com/?" + CanonicalQuery({{"lifecycle", ""}})),
      "Authorization: AWS4-HMAC-SHA256 "
      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
      "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
      "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_NE(SignatureOf("https://examplebucket.s3.amazonaws.com/?" +
                        CanonicalQuery({{"prefix", "J"}, {"max-keys", "2"}}))
                .find("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
            std::string::npos);
}

TEST(S3SignatureTest, TokensAreSignedAndUsualPortsLeftOut) {
  const std::string header =
      SignatureOf("https://examplebucket.s3.amazonaws.com/", {"key", "secret", "token"});
  EXPECT_NE(header.find("x-amz-date;x-amz-security-token"), std::string::npos) << header;
  EXPECT_EQ(SignatureOf("https://h:443/"), SignatureOf("https://h/"));
  EXPECT_NE(SignatureOf("https://h:444/"), SignatureOf("https://h/"));
  EXPECT_NE(SignatureOf("http://h:443/"), SignatureOf("http://h/"));
}

TEST(S3SignatureTest, CanonicalQuery) {
  EXPECT_EQ(CanonicalQuery({{"uploads", ""}, {"prefix", "a b/c+d"}}),
            "prefix=a%20b%2Fc%2Bd&uploads=");
  EXPECT_EQ(CanonicalQuery({}), "");
}

TEST(XmlTest, Elements) {
  const std::string xml =
      "<?xml version=\"1.0\"?><L xmlns=\"x\"><K>a&amp;b&lt;&#39;&#x41;</K><K></K><KK>no</KK></L>";
  EXPECT_EQ(XmlText(xml, "K"), "a&b<'A");
  EXPECT_EQ(XmlElements(xml, "K").size(), 2u);
  EXPECT_EQ(XmlText(xml, "M"), std::nullopt);
  EXPECT_EQ(XmlText("<K>open", "K"), std::nullopt);
  EXPECT_EQ(XmlText("<K>a&b;&#zz</K>", "K"), "a&b;&#zz");
}

TEST(HttpDateTest, Parse) {
  EXPECT_EQ(ParseHttpDate("Fri, 24 May 2013 00:00:00 GMT"), int64_t{1369353600} * 1000000000);
  EXPECT_EQ(ParseHttpDate(""), 0);
  EXPECT_EQ(ParseHttpDate("no date"), 0);
}

}  // namespace
}  // namespace capi::files
