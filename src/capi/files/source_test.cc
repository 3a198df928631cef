#include "capi/files/source.h"

#include <gtest/gtest.h>

#include <string>

#include "capi/base/status.h"
#include "capi/base/test_directory.h"

namespace capi::files {
namespace {

TEST(AddressTest, SchemeOf) {
  EXPECT_EQ(SchemeOf("/data/in.csv"), Scheme::kLocal);
  EXPECT_EQ(SchemeOf("in.csv"), Scheme::kLocal);
  EXPECT_EQ(SchemeOf(""), Scheme::kLocal);
  EXPECT_EQ(SchemeOf("file:///data/in.csv"), Scheme::kLocal);
  EXPECT_EQ(SchemeOf("http://h/in.csv"), Scheme::kHttp);
  EXPECT_EQ(SchemeOf("HTTPS://h/in.csv"), Scheme::kHttps);
  EXPECT_EQ(SchemeOf("sftp://u@h/in.csv"), Scheme::kSftp);
  EXPECT_EQ(SchemeOf("s3://bucket/in.csv"), Scheme::kS3);
  EXPECT_EQ(SchemeOf("ftp://h/in.csv"), Scheme::kOther);
  // Not schemes: plain paths with odd names.
  EXPECT_EQ(SchemeOf("data/s3://x"), Scheme::kLocal);
  EXPECT_EQ(SchemeOf("://x"), Scheme::kLocal);
  EXPECT_EQ(SchemeOf("3s://x"), Scheme::kLocal);
  EXPECT_EQ(SchemeOf("http:/x"), Scheme::kLocal);
}

TEST(AddressTest, LocalPath) {
  EXPECT_EQ(LocalPath("/data/in.csv"), "/data/in.csv");
  EXPECT_EQ(LocalPath("file:///data/in.csv"), "/data/in.csv");
  EXPECT_EQ(LocalPath("FILE://rel/in.csv"), "rel/in.csv");
}

TEST(FingerprintTest, TextRoundTrip) {
  const Fingerprint fingerprint{12, 1700000000123456789, 18446744073709551615u};
  EXPECT_EQ(ToText(fingerprint), "12:1700000000123456789:18446744073709551615");
  EXPECT_EQ(ParseFingerprint(ToText(fingerprint)).ValueOrDie(), fingerprint);
  const Fingerprint remote{-1, 5, 0, "W/\"a:b\nc\""};
  EXPECT_EQ(ToText(remote).find('\n'), std::string::npos);
  EXPECT_EQ(ParseFingerprint(ToText(remote)).ValueOrDie(), remote);
  const Fingerprint before_1970{0, -5, 1};
  EXPECT_EQ(ParseFingerprint(ToText(before_1970)).ValueOrDie(), before_1970);
}

TEST(FingerprintTest, RefusesOtherTexts) {
  for (const char* text : {"", "1", "1:2", "1:2:", "1:2:3:", "1:2:3 ", " 1:2:3", "-2:2:3", "a:b:c",
                           "1:2:-3", "99999999999999999999:2:3"}) {
    EXPECT_FALSE(ParseFingerprint(text).ok()) << text;
  }
}

class SourceTest : public testing::Test {
 protected:
  SourceTest() : directory_(testing::TempDir()) {}
  void Write(const std::string& path, std::string_view content) {
    auto file = env_->NewWritableFile(path).ValueOrDie();
    ASSERT_TRUE(file->Append(content).ok());
    ASSERT_TRUE(file->Close().ok());
  }

  Env* const env_ = Env::Default();
  const TestDirectory directory_;
};

TEST_F(SourceTest, OpensLocalFiles) {
  const std::string path = directory_ / "in.csv";
  Write(path, "a,b\n");
  const Fingerprint fingerprint = FingerprintOf(env_, path).ValueOrDie();
  EXPECT_EQ(fingerprint.size, 4);
  EXPECT_EQ(OpenInput(env_, path, nullptr).ValueOrDie()->bytes(), "a,b\n");
  EXPECT_EQ(OpenInput(env_, "file://" + path, &fingerprint).ValueOrDie()->bytes(), "a,b\n");
  Write(path, "");
  EXPECT_EQ(OpenInput(env_, path, nullptr).ValueOrDie()->bytes(), "");
}

TEST_F(SourceTest, NoticesChangedInputs) {
  const std::string path = directory_ / "in.csv";
  Write(path, "a,b\n");
  const Fingerprint pinned = FingerprintOf(env_, path).ValueOrDie();
  // Same size and content, but another file.
  Write(directory_ / "new", "a,b\n");
  ASSERT_TRUE(env_->Rename(directory_ / "new", path).ok());
  const Status status = OpenInput(env_, path, &pinned).status();
  EXPECT_EQ(ErrorClassOf(status), "input_changed");
  EXPECT_NE(status.message().find(path), std::string::npos) << status;
  EXPECT_NE(status.message().find(ToText(pinned)), std::string::npos) << status;
  ASSERT_TRUE(env_->RemoveFile(path).ok());
  EXPECT_EQ(ErrorClassOf(OpenInput(env_, path, &pinned).status()), "file_not_found");
}

TEST_F(SourceTest, RefusesWhatIsNotAFile) {
  for (const std::string& path : {directory_.path(), std::string("/dev/null")}) {
    EXPECT_EQ(ErrorClassOf(OpenInput(env_, path, nullptr).status()), "not_a_file");
    EXPECT_EQ(ErrorClassOf(FingerprintOf(env_, path).status()), "not_a_file");
  }
  EXPECT_EQ(ErrorClassOf(OpenInput(env_, "", nullptr).status()), "bad_address");
  EXPECT_EQ(ErrorClassOf(OpenInput(env_, "file://", nullptr).status()), "bad_address");
}

TEST_F(SourceTest, RefusesOtherSchemes) {
  const auto fetcher = NewFetcher(env_);
  for (const std::string scheme : {"http", "https", "sftp", "s3"}) {
    const std::string url = scheme + "://host/in.csv";
    for (const Status& status :
         {FingerprintOf(env_, url).status(), OpenInput(env_, url, nullptr).status(),
          fetcher->Fetch(url).status()}) {
      EXPECT_EQ(KindOf(status), ErrorKind::kUser);
      EXPECT_EQ(ErrorClassOf(status), "unsupported_scheme");
      EXPECT_EQ(status.message(), "reading " + scheme + " addresses is not possible here: " + url);
    }
  }
  EXPECT_EQ(ErrorClassOf(fetcher->Fetch("gopher://host/x").status()), "unsupported_scheme");
}

TEST_F(SourceTest, FetchesSmallFiles) {
  const auto fetcher = NewFetcher(env_);
  const std::string path = directory_ / "script.json";
  Write(path, "{}");
  EXPECT_EQ(fetcher->Fetch(path).ValueOrDie(), "{}");
  EXPECT_EQ(fetcher->Fetch("file://" + path).ValueOrDie(), "{}");
  EXPECT_EQ(ErrorClassOf(fetcher->Fetch(directory_ / "missing").status()), "file_not_found");
  EXPECT_EQ(ErrorClassOf(fetcher->Fetch(directory_.path()).status()), "not_a_file");
  EXPECT_EQ(ErrorClassOf(fetcher->Fetch("").status()), "bad_address");
}

}  // namespace
}  // namespace capi::files
