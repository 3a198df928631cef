#include "capi/files/compression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace capi::files {
namespace {

class StringSink final : public Sink {
 public:
  explicit StringSink(std::string* out) : out_(out) {}
  Status Append(std::string_view bytes) override {
    *out_ += bytes;
    return Status::OK();
  }
  Result<int64_t> Seal() override { return static_cast<int64_t>(out_->size()); }

 private:
  std::string* const out_;
};

std::string Pack(Compression compression, const std::string& text, size_t piece = 1000) {
  std::string packed;
  auto sink = NewPackingSink(compression, std::make_unique<StringSink>(&packed)).ValueOrDie();
  for (size_t at = 0; at < text.size(); at += piece) {
    EXPECT_TRUE(sink->Append(std::string_view(text).substr(at, piece)).ok());
  }
  const int64_t size = sink->Seal().ValueOrDie();
  EXPECT_EQ(size, static_cast<int64_t>(packed.size()));
  return packed;
}

/// Unpacks what comes in pieces, with little room for the text.
Result<std::string> Unpack(Compression compression, const std::string& packed, size_t piece,
                           int64_t room = 777) {
  CAPI_ASSIGN_OR_RETURN(auto unpacker, Unpacker::Make(compression, "data.csv"));
  std::string text;
  std::string buffer(static_cast<size_t>(room), '\0');
  const Unpacker::Output output{
      [&]() -> Result<std::pair<char*, int64_t>> { return std::pair(buffer.data(), room); },
      [&](int64_t size) {
        text.append(buffer, 0, static_cast<size_t>(size));
        return Status::OK();
      }};
  for (size_t at = 0; at < packed.size(); at += piece) {
    CAPI_RETURN_NOT_OK(unpacker->Push(std::string_view(packed).substr(at, piece), output));
  }
  CAPI_RETURN_NOT_OK(unpacker->Finish());
  return text;
}

std::string SomeText(size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) text += std::to_string(random() % 100000) + ",abc\n";
  return text;
}

class CompressionTest : public testing::TestWithParam<Compression> {};

TEST_P(CompressionTest, RoundTrip) {
  for (const std::string& text : {std::string(), std::string("a"), SomeText(3000000)}) {
    const std::string packed = Pack(GetParam(), text);
    for (const size_t piece : {size_t{1}, size_t{1000}, size_t{10000000}}) {
      if (piece == 1 && packed.size() > 100000) continue;
      EXPECT_EQ(Unpack(GetParam(), packed, piece).ValueOrDie(), text);
      EXPECT_EQ(Unpack(GetParam(), packed, piece, 1 << 20).ValueOrDie(), text);
    }
  }
}

TEST_P(CompressionTest, BytesDependOnTheTextOnly) {
  const std::string text = SomeText(3000000);
  const std::string packed = Pack(GetParam(), text, 1);
  EXPECT_EQ(packed, Pack(GetParam(), text, 65536));
  EXPECT_EQ(packed, Pack(GetParam(), text, 10000000));
  EXPECT_LT(packed.size(), text.size() / 2);
}

TEST_P(CompressionTest, SeveralMembers) {
  const std::string packed = Pack(GetParam(), "one\n") + Pack(GetParam(), "") +
                             Pack(GetParam(), "two\n") + Pack(GetParam(), SomeText(100000));
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1000000}}) {
    EXPECT_EQ(Unpack(GetParam(), packed, piece).ValueOrDie(), "one\ntwo\n" + SomeText(100000));
  }
}

TEST_P(CompressionTest, CutAnywhereIsAnError) {
  const std::string packed = Pack(GetParam(), SomeText(300));
  for (size_t size = 0; size < packed.size(); ++size) {
    for (const size_t piece : {size_t{1}, size_t{1000}}) {
      const Status status = Unpack(GetParam(), packed.substr(0, size), piece).status();
      EXPECT_EQ(InfoOf(status).error_class, "corrupt_file") << size;
      EXPECT_EQ(KindOf(status), ErrorKind::kUser);
      EXPECT_NE(status.message().find("data.csv"), std::string::npos);
    }
  }
}

TEST_P(CompressionTest, OtherFilesAndGarbage) {
  const std::string packed = Pack(GetParam(), "text\n");
  for (const std::string& bytes :
       {std::string("a,b\n1,2\n"), packed + "garbage", packed + "\x1fgarbage behind",
        std::string(100, '\0'), packed.substr(1)}) {
    EXPECT_EQ(InfoOf(Unpack(GetParam(), bytes, 1000).status()).error_class, "corrupt_file");
    EXPECT_EQ(InfoOf(Unpack(GetParam(), bytes, 1).status()).error_class, "corrupt_file");
  }
}

TEST_P(CompressionTest, UseAfterSealing) {
  std::string packed;
  auto sink = NewPackingSink(GetParam(), std::make_unique<StringSink>(&packed)).ValueOrDie();
  ASSERT_TRUE(sink->Seal().ok());
  EXPECT_EQ(KindOf(sink->Append("x")), ErrorKind::kBug);
  EXPECT_EQ(KindOf(sink->Seal().status()), ErrorKind::kBug);
}

INSTANTIATE_TEST_SUITE_P(All, CompressionTest,
                         testing::Values(Compression::kGzip, Compression::kZstd));

TEST(GzipTest, HeaderHasNoTimeAndPaddingIsFine) {
  const std::string packed = Pack(Compression::kGzip, "text\n");
  EXPECT_EQ(packed.substr(0, 4), std::string("\x1f\x8b\x08\x00", 4));
  EXPECT_EQ(packed.substr(4, 4), std::string(4, '\0'));
  EXPECT_EQ(Unpack(Compression::kGzip, packed + std::string(512, '\0'), 100).ValueOrDie(),
            "text\n");
  EXPECT_FALSE(Unpack(Compression::kGzip, packed + std::string(512, '\0') + "x", 100).ok());
}

TEST(GzipTest, AFlippedBitIsNoticed) {
  const std::string text = SomeText(2000);
  const std::string packed = Pack(Compression::kGzip, text);
  for (size_t at = 10; at < packed.size(); ++at) {
    std::string damaged = packed;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_FALSE(Unpack(Compression::kGzip, damaged, 1000).ok()) << at;
  }
}

TEST(CompressionOfTest, Endings) {
  EXPECT_EQ(CompressionOf("/in/a.csv.gz"), Compression::kGzip);
  EXPECT_EQ(CompressionOf("A.CSV.GZ"), Compression::kGzip);
  EXPECT_EQ(CompressionOf("s3://b/a.csv.zst"), Compression::kZstd);
  EXPECT_EQ(CompressionOf("https://h/a.csv.gz?token=1"), Compression::kGzip);
  EXPECT_EQ(CompressionOf("https://h/a.csv?x=.gz"), Compression::kNone);
  EXPECT_EQ(CompressionOf("a.csv"), Compression::kNone);
  EXPECT_EQ(CompressionOf("gz"), Compression::kNone);
  EXPECT_EQ(CompressionOf(""), Compression::kNone);
}

}  // namespace
}  // namespace capi::files
