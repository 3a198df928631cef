#pragma once

// Structures on disk (FORMAT.md describes them for readers without this code). Little-endian, every
// structure a multiple of 8 bytes, so that arrays of them are used in place in a mapped file.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "capi/data/types.h"

namespace capi::store {

static_assert(std::endian::native == std::endian::little);

/// Bumped when a structure changes; a file of another version is refused.
constexpr uint32_t kFormatVersion = 1;
constexpr uint64_t kContainerMagic = 0x3147455349504143;  // "CAPISEG1"
constexpr uint64_t kTableMagic = 0x314C425449504143;      // "CAPITBL1"
constexpr uint64_t kAttemptMagic = 0x3154544149504143;    // "CAPIATT1"
constexpr uint64_t kDirectoryMagic = 0x3152494449504143;  // "CAPIDIR1"

/// Attempts, blocks and the parts of a block begin at multiples of this.
constexpr int64_t kAlignment = 64;
constexpr int64_t AlignUp(int64_t position) {
  return (position + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr int64_t kMaxChunkRows = data::kMaxBatchRows;
/// Entries of an index that share one checksum.
constexpr int64_t kIndexPageEntries = 16384;

struct FileHeader {
  uint64_t magic = 0;
  uint32_t version = kFormatVersion;
  uint32_t reserved = 0;
  uint64_t id = 0;  ///< the number in the file's name
  uint64_t padding[5] = {};
};
static_assert(sizeof(FileHeader) == kAlignment);

enum class Encoding : uint8_t {
  /// 8-byte values as base + unsigned number of `width` bytes (0, 1, 2, 4; 8: the values
  /// themselves).
  kNumber = 1,
  /// decimal128: 16 bytes each; width 0: all equal to base (low) and base2 (high).
  kWide = 2,
  /// Booleans, one bit each; width 0: all equal to base.
  kBits = 3,
  /// int32 offsets (rows + 1), then, aligned, the bytes. With kFixedLength there are no offsets,
  /// and every
  /// string has `base` bytes.
  kText = 4,
  /// Codes of `width` bytes (0: all rows have entry 0), then, aligned, the entries as in kText.
  kDictionary = 5,
  /// Row ids of another table: ordinals of `width` bytes over base, then, aligned, batch indexes of
  /// `width2` bytes over base2. With kHasMissing ordinals are one higher and 0 stands for kNoRow.
  kRowIds = 6,
};

/// Flags of a block.
constexpr uint8_t kHasMissing = 1;
constexpr uint8_t kFixedLength = 2;

struct BlockDescriptor {
  Encoding encoding = Encoding::kNumber;
  uint8_t width = 0;
  uint8_t width2 = 0;
  uint8_t flags = 0;
  uint32_t dictionary_size = 0;
  int64_t offset = 0;  ///< from the beginning of the attempt
  int64_t length = 0;
  uint64_t checksum = 0;  ///< XXH3-64 of the block
  int64_t base = 0;
  int64_t base2 = 0;
  int64_t text_bytes = 0;  ///< string bytes of kText and kDictionary
  int64_t reserved = 0;
};
static_assert(sizeof(BlockDescriptor) == 64);

struct ChunkDescriptor {
  uint32_t rows = 0;
  uint32_t deleted = 0;  ///< rows in the deletion bitmap
  /// First byte of its bitmap inside the deletion part of a table file; -1: nothing is deleted.
  int64_t deletions = -1;
};
static_assert(sizeof(ChunkDescriptor) == 16);

struct IndexEntry {
  uint64_t hash = 0;
  int64_t row = 0;
};
static_assert(sizeof(IndexEntry) == 16);

constexpr bool operator<(const IndexEntry& left, const IndexEntry& right) {
  return left.hash != right.hash ? left.hash < right.hash : left.row < right.row;
}

/// Sorted entries of one index, in an attempt or in a table file.
struct IndexRun {
  int64_t offset = 0;  ///< of the entries, from the beginning of the attempt or table file
  int64_t count = 0;
};

/// Head of the directory that ends an attempt. Followed by the layout text, the chunks, the blocks
/// (chunk by chunk, one per slot), the index runs and their page checksums, each part aligned to 8.
struct AttemptHeader {
  uint64_t magic = kAttemptMagic;
  uint32_t version = kFormatVersion;
  uint32_t hash_version = 0;
  int64_t batch_index = 0;
  int64_t rows = 0;
  uint32_t num_slots = 0;
  uint32_t num_chunks = 0;
  uint32_t num_indexes = 0;
  uint32_t layout_bytes = 0;
  /// 1: no two rows share a key of the distinct index.
  uint32_t deduplicated = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(AttemptHeader) == 56);

/// One committed attempt inside a table, in batch order. Segment numbers are batch indexes.
struct SegmentDescriptor {
  uint32_t file = 0;         ///< position in the file list
  uint32_t first_chunk = 0;  ///< its chunks end where the next segment's begin
  int64_t offset = 0;        ///< in the file
  int64_t length = 0;
  int64_t rows = 0;
};
static_assert(sizeof(SegmentDescriptor) == 32);

/// Where a table's index is, and its bucket table.
struct IndexDescriptor {
  uint32_t file = 0;  ///< position in the file list; kTableFile: the table file itself
  uint32_t bucket_bits = 0;
  int64_t offset = 0;  ///< of the entries, in that file
  int64_t count = 0;
  int64_t buckets_offset =
      0;  ///< in the table file; 2^bucket_bits + 1 numbers of bucket_width bytes
  uint64_t buckets_checksum = 0;
  uint32_t bucket_width = 4;
  uint32_t reserved = 0;
};
static_assert(sizeof(IndexDescriptor) == 48);
constexpr uint32_t kTableFile = 0xFFFFFFFF;

/// Head of the directory that ends a table file. Followed by the description (name, schema,
/// layout), the file ids, segments, chunks, blocks, indexes and page checksums, each part aligned
/// to 8.
struct DirectoryHeader {
  uint64_t magic = kDirectoryMagic;
  uint32_t version = kFormatVersion;
  uint32_t hash_version = 0;
  int64_t rows = 0;  ///< live rows
  uint32_t description_bytes = 0;
  uint32_t num_files = 0;
  uint32_t num_segments = 0;
  uint32_t num_chunks = 0;
  uint32_t num_slots = 0;
  uint32_t num_indexes = 0;
  int64_t deletions_offset = 0;
  int64_t deletions_length = 0;
  uint64_t deletions_checksum = 0;
};
static_assert(sizeof(DirectoryHeader) == 72);

/// Who wrote a container, and the pieces it is cut into: in table files of shared stores only,
/// behind everything else, one for each file id.
struct SharedFileDescriptor {
  int64_t owner = 0;
  int32_t piece_bytes = 0;
  uint32_t reserved = 0;
};
static_assert(sizeof(SharedFileDescriptor) == 16);

/// Sizes of pieces that a reader accepts.
constexpr int32_t kMinPieceBytes = 4096;
constexpr int32_t kMaxPieceBytes = 1 << 20;
constexpr bool IsPieceSize(int64_t bytes) {
  return bytes >= kMinPieceBytes && bytes <= kMaxPieceBytes && bytes % kMinPieceBytes == 0;
}

constexpr int64_t NumIndexPages(int64_t entries) {
  return (entries + kIndexPageEntries - 1) / kIndexPageEntries;
}

/// XXH3-64.
uint64_t Checksum(std::string_view bytes);

}  // namespace capi::store
