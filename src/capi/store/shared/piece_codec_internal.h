#pragma once

// What is stored of a piece: a head, then its bytes, compressed where that pays.

#include <cstdint>
#include <string>
#include <string_view>

#include "capi/base/status.h"
#include "capi/store/blob_store.h"

namespace capi::store {

enum class PieceCodec : uint8_t { kPlain = 0, kLz4 = 1, kZstd = 2 };

/// The codec of new pieces; readers take any. Level 1 of zstd saves a quarter of what LZ4 leaves,
/// on every replica's disk, for less CPU than the servers save (docs/design/store-cluster.md).
constexpr PieceCodec kPieceCodec = PieceCodec::kZstd;

/// Little-endian, followed by the stored bytes.
struct PieceHead {
  uint64_t magic = 0;
  PieceCodec codec = PieceCodec::kPlain;
  uint8_t reserved[3] = {};
  uint32_t plain_bytes = 0;  ///< of the piece
  /// XXH3-64 of the stored bytes; its seed is made of everything above and of the piece's identity,
  /// so that a piece in another's place is found out.
  uint64_t checksum = 0;
};
static_assert(sizeof(PieceHead) == 24);
constexpr uint64_t kPieceMagic = 0x3145434549504143;  // "CAPIECE1"

Result<std::string> EncodePiece(const BlobId& id, int64_t piece, std::string_view bytes,
                                PieceCodec codec = kPieceCodec);

/// The piece, which must have `size` bytes. DamagedPiece otherwise.
Result<std::string> DecodePiece(const BlobId& id, int64_t piece, std::string_view stored,
                                int64_t size);

}  // namespace capi::store
