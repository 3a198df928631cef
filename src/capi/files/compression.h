#pragma once

// Compressed text files: gzip (RFC 1952) and Zstandard (RFC 8878), by Arrow's codecs.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "capi/base/status.h"
#include "capi/files/sink.h"

namespace arrow::util {
class Codec;
class Decompressor;
}  // namespace arrow::util

namespace capi::files {

enum class Compression : uint8_t { kNone, kGzip, kZstd };
/// By the ending of the path, in any case: ".gz", ".zst". Queries of http addresses do not count.
Compression CompressionOf(const std::string& url);

/// Unpacks pieces of a compressed file, member after member (gzip) or frame after frame
/// (Zstandard). Used by one thread at a time.
class Unpacker {
 public:
  /// Hands out a place for at least one byte of text, then is told how many were written.
  struct Output {
    std::function<Result<std::pair<char*, int64_t>>()> room;
    std::function<Status(int64_t)> wrote;
  };
  /// `url` is for messages. kNone is not allowed.
  static Result<std::unique_ptr<Unpacker>> Make(Compression compression, std::string url);
  ~Unpacker();

  /// kUser "corrupt_file".
  Status Push(std::string_view packed, const Output& output);
  /// After the last byte. kUser "corrupt_file" when the file ends early.
  Status Finish() const;

 private:
  Unpacker(Compression compression, std::string url);
  Status Corrupt(std::string_view why) const;

  const Compression compression_;
  const std::string url_;
  std::unique_ptr<arrow::util::Codec> codec_;
  std::shared_ptr<arrow::util::Decompressor> decompressor_;
  int64_t packed_bytes_ = 0;
  /// Between members: the next byte begins a new one, if there is one.
  bool at_member_begin_ = true;
  /// gzip only: bytes of the member's magic number seen so far.
  int magic_bytes_ = 0;
  bool in_padding_ = false;
};

/// A sink that packs what it gets for another. The bytes depend on the text only: not on how it
/// came in pieces, and no time is written.
Result<std::unique_ptr<Sink>> NewPackingSink(Compression compression, std::unique_ptr<Sink> target);

}  // namespace capi::files
