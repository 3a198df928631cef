#include "capi/store/shared/piece_codec_internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "arrow/util/compression.h"
#include "capi/store/segment/manifest_internal.h"

namespace capi::store {

namespace {

/// What compression must save of a piece to be worth the reader's work.
constexpr int64_t kMinSavedPercent = 6;
constexpr int kZstdLevel = 1;

Result<std::unique_ptr<arrow::util::Codec>> MakeCodec(PieceCodec codec) {
  return codec == PieceCodec::kLz4
             ? arrow::util::Codec::Create(arrow::Compression::LZ4)
             : arrow::util::Codec::Create(arrow::Compression::ZSTD, kZstdLevel);
}

/// Compressors of this thread: making one costs more than using it.
Result<arrow::util::Codec*> CodecOf(PieceCodec codec) {
  thread_local std::unique_ptr<arrow::util::Codec> lz4;
  thread_local std::unique_ptr<arrow::util::Codec> zstd;
  std::unique_ptr<arrow::util::Codec>& kept = codec == PieceCodec::kLz4 ? lz4 : zstd;
  if (kept == nullptr) {
    CAPI_ASSIGN_OR_RETURN(kept, MakeCodec(codec));
  }
  return kept.get();
}

uint64_t ChecksumOf(const BlobId& id, int64_t piece, const PieceHead& head,
                    std::string_view stored) {
  struct {
    BlobId id;
    int64_t piece;
    PieceHead head;
  } identity{id, piece, head};
  identity.head.checksum = 0;
  const uint64_t seed = XXH3_64bits(&identity, sizeof(identity));
  return XXH3_64bits_withSeed(stored.data(), stored.size(), seed);
}

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

}  // namespace

std::string DescribeBlob(const BlobId& id) {
  return "run " + std::to_string(id.run_id) + ", file " + HexId(static_cast<uint64_t>(id.owner)) +
         "-" + HexId(id.file);
}

Status DamagedPiece(const BlobId& id, int64_t piece, std::string_view reason) {
  return EnvironmentError("table data is damaged: " + std::string(reason) + ": " +
                          DescribeBlob(id) + ", piece " + std::to_string(piece));
}

Result<std::string> EncodePiece(const BlobId& id, int64_t piece, std::string_view bytes,
                                PieceCodec codec) {
  const auto size = static_cast<int64_t>(bytes.size());
  PieceHead head;
  head.magic = kPieceMagic;
  head.codec = codec;
  head.plain_bytes = static_cast<uint32_t>(size);
  std::string blob;
  if (codec != PieceCodec::kPlain) {
    CAPI_ASSIGN_OR_RETURN(arrow::util::Codec * compressor, CodecOf(codec));
    const int64_t most = compressor->MaxCompressedLen(size, Bytes(bytes));
    blob.resize(sizeof(head) + static_cast<size_t>(most));
    CAPI_ASSIGN_OR_RETURN(
        const int64_t stored,
        compressor->Compress(size, Bytes(bytes), most,
                             reinterpret_cast<uint8_t*>(blob.data()) + sizeof(head)));
    if (stored * 100 <= size * (100 - kMinSavedPercent)) {
      blob.resize(sizeof(head) + static_cast<size_t>(stored));
    } else {
      head.codec = PieceCodec::kPlain;
    }
  }
  if (head.codec == PieceCodec::kPlain) {
    blob.resize(sizeof(head));
    blob.append(bytes);
  }
  head.checksum = ChecksumOf(id, piece, head, std::string_view(blob).substr(sizeof(head)));
  std::memcpy(blob.data(), &head, sizeof(head));
  return blob;
}

Result<std::string> DecodePiece(const BlobId& id, int64_t piece, std::string_view stored,
                                int64_t size) {
  PieceHead head;
  if (stored.size() < sizeof(head)) return DamagedPiece(id, piece, "piece is too short");
  std::memcpy(&head, stored.data(), sizeof(head));
  stored.remove_prefix(sizeof(head));
  if (head.magic != kPieceMagic) return DamagedPiece(id, piece, "not a piece of a table");
  if (head.checksum != ChecksumOf(id, piece, head, stored)) {
    return DamagedPiece(id, piece, "wrong checksum");
  }
  if (head.plain_bytes != size) return DamagedPiece(id, piece, "piece has another size");
  if (head.codec == PieceCodec::kPlain) {
    if (static_cast<int64_t>(stored.size()) != size) {
      return DamagedPiece(id, piece, "piece has another size");
    }
    return std::string(stored);
  }
  if (head.codec != PieceCodec::kLz4 && head.codec != PieceCodec::kZstd) {
    return DamagedPiece(id, piece, "unknown codec");
  }
  CAPI_ASSIGN_OR_RETURN(arrow::util::Codec * decompressor, CodecOf(head.codec));
  std::string plain;
  plain.resize(static_cast<size_t>(size));
  const Result<int64_t> length =
      decompressor->Decompress(static_cast<int64_t>(stored.size()), Bytes(stored), size,
                               reinterpret_cast<uint8_t*>(plain.data()));
  if (!length.ok() || *length != size) return DamagedPiece(id, piece, "piece cannot be unpacked");
  return plain;
}

}  // namespace capi::store
