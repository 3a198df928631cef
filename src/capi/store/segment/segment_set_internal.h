#pragma once

// The rows of a table (or of one attempt): chunks of encoded columns addressed by row id. Knows
// nothing of deletions and indexes.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/segment/block_view_internal.h"
#include "capi/store/segment/format_internal.h"
#include "capi/store/segment/layout_internal.h"
#include "capi/store/segment/shared_dictionary_internal.h"

namespace capi::store {

/// Immutable, thread-safe. Each block's checksum is verified once, when it is first touched.
class SegmentSet {
 public:
  struct File {
    std::shared_ptr<MappedFile> mapping;
    std::string path;
  };
  struct Parts {
    TableLayout layout;
    std::vector<File> files;
    std::vector<SegmentDescriptor> segments;
    std::vector<ChunkDescriptor> chunks;
    std::span<const BlockDescriptor> blocks;  ///< chunk by chunk, one per slot
    std::shared_ptr<const void> blocks_owner;
    /// Per reference group; null where its fields are not going to be read.
    std::vector<std::shared_ptr<const Table>> sources;
    int64_t first_batch = 0;  ///< batch index of segment 0
  };

  static Result<std::shared_ptr<const SegmentSet>> Make(Parts parts);

  const TableLayout& layout() const { return parts_.layout; }
  const std::vector<std::shared_ptr<const Table>>& sources() const { return parts_.sources; }
  int64_t num_segments() const { return static_cast<int64_t>(parts_.segments.size()); }
  int64_t num_chunks() const { return static_cast<int64_t>(parts_.chunks.size()); }
  const std::vector<ChunkDescriptor>& chunks() const { return parts_.chunks; }
  int64_t SegmentOfChunk(int64_t chunk) const { return chunk_places_[Index(chunk)].segment; }
  /// Row id of the first row of a chunk; the others follow without gaps.
  data::RowId FirstRowOf(int64_t chunk) const {
    const ChunkPlace& place = chunk_places_[Index(chunk)];
    return data::MakeRowId(parts_.first_batch + place.segment, place.begin);
  }

  /// Physical rows [begin, end) of a chunk; reference fields are fetched from their source.
  Result<std::shared_ptr<arrow::Array>> ReadColumn(int field, int64_t chunk, int64_t begin,
                                                   int64_t end) const;
  /// Row ids in the source table of `group`, for physical rows [begin, end) of a chunk.
  Result<std::vector<data::RowId>> ReadRowIds(int group, int64_t chunk, int64_t begin,
                                              int64_t end) const;

  /// See Table::Gather.
  Result<std::shared_ptr<arrow::Array>> Gather(int field, const data::RowId* rows, int64_t n,
                                               const data::Value* missing) const;
  /// Row ids in the source of `group`; kNoRow for kNoRow.
  Result<std::vector<data::RowId>> GatherRowIds(int group, const data::RowId* rows,
                                                int64_t n) const;

  /// Where a row is. chunk == kNoChunk stands for kNoRow.
  struct Location {
    uint32_t chunk = 0;
    uint32_t row = 0;
  };
  static constexpr uint32_t kNoChunk = 0xFFFFFFFF;

  /// Finds n rows and verifies the blocks of `slot` they are in. kBug for rows that do not exist.
  Status Locate(int slot, const data::RowId* rows, int64_t n, Location* locations) const;
  /// Finds one row that exists. Reads no block.
  Location Find(data::RowId row) const {
    const SegmentPlace& segment = segment_places_[Index(data::BatchOf(row) - parts_.first_batch)];
    const int64_t ordinal = data::OrdinalOf(row);
    uint32_t chunk = jumps_[segment.first_jump + Index(ordinal >> segment.shift)];
    while (ordinal >= chunk_places_[chunk].end) ++chunk;
    return {chunk, static_cast<uint32_t>(ordinal - chunk_places_[chunk].begin)};
  }
  /// Views of a slot, one per chunk. A view may be read only after Locate or Touch has verified it.
  Result<const BlockView*> ViewsOf(int slot) const;
  Status Touch(int slot, int64_t chunk) const;

  /// The dictionary shared by all chunks of a string slot; null if there is none.
  Result<const SharedDictionary*> DictionaryOf(int slot) const;

  /// Tells the kernel that the fields' pages will be read from begin to end.
  void Prefetch() const;

  /// True if blocks may have to come from another machine: then the calls below help.
  bool remote() const { return remote_; }
  /// Begins to fetch the block of a slot, if it was not read yet.
  void BeginFetch(int slot, int64_t chunk, MappedFile::Need need) const;
  /// Begins to fetch these slots of `chunk`, and of so many of the chunks behind it, up to
  /// last_chunk, that scanning does not wait.
  void BeginFetchForScan(const std::vector<int>& slots, int64_t chunk, int64_t last_chunk) const;

 private:
  struct SegmentPlace {
    int64_t rows = 0;
    uint32_t first_jump = 0;
    int32_t shift = 0;
  };
  struct ChunkPlace {
    int64_t begin = 0;  // ordinals in the segment
    int64_t end = 0;
    int64_t segment = 0;
  };
  struct SlotViews {
    std::once_flag once;
    Status status;
    std::vector<BlockView> views;
    std::unique_ptr<std::atomic<uint8_t>[]> verified;
    std::atomic<bool> dictionary_known{false};
    std::mutex dictionary_mutex;                   // while it is not known
    std::unique_ptr<SharedDictionary> dictionary;  // null: there is none
  };

  explicit SegmentSet(Parts parts) : parts_(std::move(parts)) {}
  static size_t Index(int64_t position) { return static_cast<size_t>(position); }
  Status Prepare();
  Status MakeViews(int slot) const;
  Status MakeDictionary(int slot) const;
  Status Verify(int slot, int64_t chunk) const;
  void BeginFetchOfRows(int slot, const data::RowId* rows, int64_t n) const;
  bool Exists(data::RowId row) const {
    const auto batch = static_cast<uint64_t>(data::BatchOf(row) - parts_.first_batch);
    return batch < segment_places_.size() && data::OrdinalOf(row) < segment_places_[batch].rows;
  }
  const BlockDescriptor& BlockOf(int slot, int64_t chunk) const {
    return parts_.blocks[Index(chunk * parts_.layout.num_slots + slot)];
  }
  const File& FileOf(int64_t chunk) const {
    return parts_.files[parts_.segments[Index(SegmentOfChunk(chunk))].file];
  }
  Result<const Table*> SourceOf(int group) const;

  Result<std::shared_ptr<arrow::Array>> GatherReference(const TableLayout::Place& place,
                                                        data::FieldType type,
                                                        const data::RowId* rows, int64_t n,
                                                        const data::Value* missing) const;

  const Parts parts_;
  std::vector<SegmentPlace> segment_places_;
  std::vector<ChunkPlace> chunk_places_;
  bool remote_ = false;
  std::vector<uint32_t> jumps_;  // per segment: the chunk that holds ordinal k << shift
  mutable std::vector<SlotViews> slots_;
};

}  // namespace capi::store
