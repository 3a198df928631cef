#include "capi/files/compression.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "arrow/util/compression.h"
#include "capi/files/source.h"

namespace capi::files {

namespace {

/// Text is packed in pieces of this size: what the codecs see must not depend on the callers.
constexpr size_t kPieceBytes = 1 << 20;
constexpr int64_t kPackedBytes = 256 << 10;

Result<std::unique_ptr<arrow::util::Codec>> NewCodec(Compression compression) {
  constexpr int kGzipLevel = 6;
  constexpr int kZstdLevel = 3;
  Result<std::unique_ptr<arrow::util::Codec>> codec =
      compression == Compression::kGzip
          ? arrow::util::Codec::Create(arrow::Compression::GZIP, kGzipLevel)
          : arrow::util::Codec::Create(arrow::Compression::ZSTD, kZstdLevel);
  if (!codec.ok()) return BugError("cannot make a codec: " + codec.status().message());
  return codec;
}

Status PackingError(const Status& status) {
  return EnvironmentError("cannot pack the output file: " + status.message());
}

class PackingSink final : public Sink {
 public:
  PackingSink(std::unique_ptr<arrow::util::Codec> codec,
              std::shared_ptr<arrow::util::Compressor> compressor, std::unique_ptr<Sink> target)
      : codec_(std::move(codec)),
        compressor_(std::move(compressor)),
        target_(std::move(target)),
        packed_(static_cast<size_t>(kPackedBytes)) {}

  Status Append(std::string_view bytes) override {
    if (sealed_) return BugError("write to a sealed output file");
    while (!bytes.empty()) {
      const std::string_view piece = bytes.substr(0, kPieceBytes - piece_.size());
      piece_ += piece;
      bytes.remove_prefix(piece.size());
      if (piece_.size() == kPieceBytes) CAPI_RETURN_NOT_OK(PackPiece());
    }
    return Status::OK();
  }

  Result<int64_t> Seal() override {
    if (sealed_) return BugError("output file sealed twice");
    CAPI_RETURN_NOT_OK(PackPiece());
    while (true) {
      const auto ended = compressor_->End(static_cast<int64_t>(packed_.size()), packed_.data());
      if (!ended.ok()) return PackingError(ended.status());
      CAPI_RETURN_NOT_OK(Write(ended->bytes_written));
      if (!ended->should_retry) break;
    }
    sealed_ = true;
    return target_->Seal();
  }

 private:
  Status PackPiece() {
    const auto* at = reinterpret_cast<const uint8_t*>(piece_.data());
    auto rest = static_cast<int64_t>(piece_.size());
    while (rest > 0) {
      const auto packed =
          compressor_->Compress(rest, at, static_cast<int64_t>(packed_.size()), packed_.data());
      if (!packed.ok()) return PackingError(packed.status());
      CAPI_RETURN_NOT_OK(Write(packed->bytes_written));
      at += packed->bytes_read;
      rest -= packed->bytes_read;
      if (packed->bytes_read == 0 && packed->bytes_written == 0) packed_.resize(2 * packed_.size());
    }
    piece_.clear();
    return Status::OK();
  }
  Status Write(int64_t size) {
    if (size == 0) return Status::OK();
    return target_->Append(
        {reinterpret_cast<const char*>(packed_.data()), static_cast<size_t>(size)});
  }

  const std::unique_ptr<arrow::util::Codec> codec_;
  const std::shared_ptr<arrow::util::Compressor> compressor_;
  const std::unique_ptr<Sink> target_;
  std::vector<uint8_t> packed_;
  std::string piece_;
  bool sealed_ = false;
};

}  // namespace

Compression CompressionOf(const std::string& url) {
  std::string path = url;
  const Scheme scheme = SchemeOf(url);
  if (scheme == Scheme::kHttp || scheme == Scheme::kHttps) {
    path = path.substr(0, path.find_first_of("?#"));
  }
  std::string ending = path.substr(path.size() - std::min<size_t>(path.size(), 4));
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (ending.ends_with(".gz")) return Compression::kGzip;
  if (ending.ends_with(".zst")) return Compression::kZstd;
  return Compression::kNone;
}

Unpacker::Unpacker(Compression compression, std::string url)
    : compression_(compression), url_(std::move(url)) {}

Unpacker::~Unpacker() = default;

Result<std::unique_ptr<Unpacker>> Unpacker::Make(Compression compression, std::string url) {
  std::unique_ptr<Unpacker> unpacker(new Unpacker(compression, std::move(url)));
  CAPI_ASSIGN_OR_RETURN(unpacker->codec_, NewCodec(compression));
  auto decompressor = unpacker->codec_->MakeDecompressor();
  if (!decompressor.ok()) return BugError("cannot unpack: " + decompressor.status().message());
  unpacker->decompressor_ = *std::move(decompressor);
  return unpacker;
}

Status Unpacker::Corrupt(std::string_view why) const {
  return UserError("corrupt_file",
                   "cannot unpack the " +
                       std::string(compression_ == Compression::kGzip ? "gzip" : "Zstandard") +
                       " file, " + std::string(why) + " at byte " + std::to_string(packed_bytes_) +
                       ": " + Redacted(url_));
}

Status Unpacker::Push(std::string_view packed, const Output& output) {
  constexpr std::string_view kGzipMagic = "\x1f\x8b";
  while (true) {
    if (at_member_begin_) {
      if (packed.empty()) return Status::OK();
      // Tapes and some tools pad gzip files with zeros.
      if (compression_ == Compression::kGzip && packed_bytes_ > 0 &&
          (in_padding_ || packed.front() == '\0')) {
        in_padding_ = true;
        if (packed.find_first_not_of('\0') != std::string_view::npos) {
          return Corrupt("garbage behind its end");
        }
        packed_bytes_ += static_cast<int64_t>(packed.size());
        return Status::OK();
      }
      if (packed_bytes_ > 0) {
        const Status reset = decompressor_->Reset();
        if (!reset.ok()) return BugError("cannot unpack: " + reset.message());
      }
      at_member_begin_ = false;
      magic_bytes_ = 0;
    }
    // zlib would take other formats too.
    for (size_t i = 0; compression_ == Compression::kGzip && magic_bytes_ < 2 && i < packed.size();
         ++i, ++magic_bytes_) {
      if (packed[i] != kGzipMagic[static_cast<size_t>(magic_bytes_)]) {
        return Corrupt(packed_bytes_ == 0 ? "it is none" : "garbage behind its end");
      }
    }
    CAPI_ASSIGN_OR_RETURN(const auto room, output.room());
    const auto unpacked = decompressor_->Decompress(
        static_cast<int64_t>(packed.size()), reinterpret_cast<const uint8_t*>(packed.data()),
        room.second, reinterpret_cast<uint8_t*>(room.first));
    if (!unpacked.ok()) return Corrupt("it is damaged");
    packed_bytes_ += unpacked->bytes_read;
    packed.remove_prefix(static_cast<size_t>(unpacked->bytes_read));
    if (unpacked->bytes_written > 0) CAPI_RETURN_NOT_OK(output.wrote(unpacked->bytes_written));
    if (decompressor_->IsFinished()) {
      at_member_begin_ = true;
    } else if (unpacked->bytes_read == 0 && unpacked->bytes_written == 0) {
      return packed.empty() ? Status::OK() : Corrupt("it is damaged");
    } else if (packed.empty() && unpacked->bytes_written < room.second) {
      return Status::OK();
    }
  }
}

Status Unpacker::Finish() const {
  if (at_member_begin_ && packed_bytes_ > 0) return Status::OK();
  return Corrupt(packed_bytes_ == 0 ? "it is empty" : "it ends early");
}

Result<std::unique_ptr<Sink>> NewPackingSink(Compression compression,
                                             std::unique_ptr<Sink> target) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<arrow::util::Codec> codec, NewCodec(compression));
  const auto compressor = codec->MakeCompressor();
  if (!compressor.ok()) return PackingError(compressor.status());
  return std::make_unique<PackingSink>(std::move(codec), *compressor, std::move(target));
}

}  // namespace capi::files
