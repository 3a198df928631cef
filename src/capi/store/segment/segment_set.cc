#include <algorithm>
#include <bit>
#include <utility>

#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/segment/segment_set_internal.h"

namespace capi::store {

namespace {

/// What a scan fetches ahead of the chunk that it reads: at 200 MiB/s more than 50 ms of work.
constexpr int64_t kScanAheadBytes = int64_t{12} << 20;

}  // namespace

Result<std::shared_ptr<const SegmentSet>> SegmentSet::Make(Parts parts) {
  std::shared_ptr<SegmentSet> set(new SegmentSet(std::move(parts)));
  CAPI_RETURN_NOT_OK(set->Prepare());
  return set;
}

Status SegmentSet::Prepare() {
  const auto num_chunks = static_cast<uint32_t>(parts_.chunks.size());
  const auto slots = static_cast<size_t>(parts_.layout.num_slots);
  if (parts_.blocks.size() != num_chunks * slots) {
    return EnvironmentError("table directory has another number of blocks than of columns");
  }
  chunk_places_.resize(num_chunks);
  segment_places_.resize(parts_.segments.size());
  for (size_t s = 0; s < parts_.segments.size(); ++s) {
    const SegmentDescriptor& segment = parts_.segments[s];
    const uint32_t end =
        s + 1 < parts_.segments.size() ? parts_.segments[s + 1].first_chunk : num_chunks;
    SegmentPlace& place = segment_places_[s];
    place.rows = segment.rows;
    place.first_jump = static_cast<uint32_t>(jumps_.size());
    if (end < segment.first_chunk || end > num_chunks) {
      return EnvironmentError("table directory has chunks out of order");
    }
    int64_t rows = 0;
    for (uint32_t c = segment.first_chunk; c < end; ++c) {
      const int64_t chunk_rows = parts_.chunks[c].rows;
      if (chunk_rows <= 0 || chunk_rows > kMaxChunkRows) {
        return EnvironmentError("table directory has a chunk of a wrong size");
      }
      chunk_places_[c] = {rows, rows + chunk_rows, static_cast<int64_t>(s)};
      rows += chunk_rows;
    }
    if (rows != segment.rows) {
      return EnvironmentError("table directory has another number of rows than its chunks");
    }
    if (rows == 0) continue;
    if (segment.file >= parts_.files.size()) {
      return EnvironmentError("table directory names a file outside its list");
    }
    const File& file = parts_.files[segment.file];
    const auto file_size = static_cast<int64_t>(file.mapping->bytes().size());
    if (segment.offset < 0 || segment.length < 0 || segment.offset > file_size ||
        segment.length > file_size - segment.offset) {
      return Damaged(file.path, file_size, "file is too short");
    }
    // Entries are about as many as chunks, so that few steps lead from an entry to the chunk.
    const auto average = static_cast<uint64_t>(rows / (end - segment.first_chunk));
    place.shift = std::bit_width(average) - 1;
    uint32_t chunk = segment.first_chunk;
    for (int64_t ordinal = 0; ordinal < rows; ordinal += int64_t{1} << place.shift) {
      while (chunk_places_[chunk].end <= ordinal) ++chunk;
      jumps_.push_back(chunk);
    }
  }
  for (const File& file : parts_.files) {
    remote_ = remote_ || (file.mapping != nullptr && file.mapping->remote());
  }
  slots_ = std::vector<SlotViews>(slots);
  return Status::OK();
}

Status SegmentSet::MakeViews(int slot) const {
  SlotViews& target = slots_[static_cast<size_t>(slot)];
  const bool is_reference = slot >= parts_.layout.first_group_slot;
  data::FieldType type = data::FieldType::kInt;
  if (!is_reference) {
    for (size_t f = 0; f < parts_.layout.places.size(); ++f) {
      const TableLayout::Place& place = parts_.layout.places[f];
      if (place.group < 0 && place.slot == slot) type = parts_.layout.types[f];
    }
  }
  target.views.resize(parts_.chunks.size());
  target.verified = std::make_unique<std::atomic<uint8_t>[]>(parts_.chunks.size());
  for (int64_t c = 0; c < num_chunks(); ++c) {
    const SegmentDescriptor& segment = parts_.segments[Index(SegmentOfChunk(c))];
    const BlockDescriptor& block = BlockOf(slot, c);
    const File& file = FileOf(c);
    const int64_t position = segment.offset + block.offset;
    if (block.offset < 0 || block.length < 0 || block.offset % kAlignment != 0 ||
        block.length > segment.length - block.offset) {
      return Damaged(file.path, position, "block lies outside its attempt");
    }
    const auto* bytes = reinterpret_cast<const uint8_t*>(file.mapping->bytes().data()) + position;
    if (!MakeBlockView(block, type, is_reference, parts_.chunks[Index(c)].rows, bytes,
                       &target.views[Index(c)])) {
      return Damaged(file.path, position, "block does not fit its description");
    }
  }
  return Status::OK();
}

Result<const BlockView*> SegmentSet::ViewsOf(int slot) const {
  SlotViews& target = slots_[static_cast<size_t>(slot)];
  std::call_once(target.once, [&] { target.status = MakeViews(slot); });
  CAPI_RETURN_NOT_OK(target.status);
  return static_cast<const BlockView*>(target.views.data());
}

Status SegmentSet::MakeDictionary(int slot) const {
  SlotViews& target = slots_[static_cast<size_t>(slot)];
  if (!SharedDictionary::MayExist(target.views)) return Status::OK();
  if (remote_) {
    for (int64_t c = 0; c < num_chunks(); ++c) BeginFetch(slot, c, MappedFile::Need::kNow);
  }
  for (int64_t c = 0; c < num_chunks(); ++c) CAPI_RETURN_NOT_OK(Touch(slot, c));
  CAPI_ASSIGN_OR_RETURN(target.dictionary, SharedDictionary::Build(target.views));
  return Status::OK();
}

Result<const SharedDictionary*> SegmentSet::DictionaryOf(int slot) const {
  CAPI_RETURN_NOT_OK(ViewsOf(slot).status());
  SlotViews& target = slots_[static_cast<size_t>(slot)];
  if (!target.dictionary_known.load(std::memory_order_acquire)) [[unlikely]] {
    const std::lock_guard<std::mutex> guard(target.dictionary_mutex);
    if (!target.dictionary_known.load(std::memory_order_relaxed)) {
      // A failure is not kept: blocks that could not be fetched now may be later.
      CAPI_RETURN_NOT_OK(MakeDictionary(slot));
      target.dictionary_known.store(true, std::memory_order_release);
    }
  }
  return static_cast<const SharedDictionary*>(target.dictionary.get());
}

Status SegmentSet::Touch(int slot, int64_t chunk) const {
  const SlotViews& target = slots_[static_cast<size_t>(slot)];
  if (target.verified[Index(chunk)].load(std::memory_order_acquire) != 0) [[likely]] {
    return Status::OK();
  }
  return Verify(slot, chunk);
}

Status SegmentSet::Verify(int slot, int64_t chunk) const {
  const BlockDescriptor& block = BlockOf(slot, chunk);
  const File& file = FileOf(chunk);
  const int64_t position = parts_.segments[Index(SegmentOfChunk(chunk))].offset + block.offset;
  CAPI_RETURN_NOT_OK(file.mapping->EnsureRange(position, block.length));
  const std::string_view bytes = file.mapping->bytes().substr(static_cast<size_t>(position),
                                                              static_cast<size_t>(block.length));
  // Several threads may do this at once; all come to the same result.
  if (Checksum(bytes) != block.checksum) return Damaged(file.path, position, "wrong checksum");
  slots_[static_cast<size_t>(slot)].verified[Index(chunk)].store(1, std::memory_order_release);
  return Status::OK();
}

Status SegmentSet::Locate(int slot, const data::RowId* rows, int64_t n, Location* locations) const {
  const auto num_batches = static_cast<uint64_t>(segment_places_.size());
  const std::atomic<uint8_t>* verified = slots_[static_cast<size_t>(slot)].verified.get();
  for (int64_t i = 0; i < n; ++i) {
    const data::RowId row = rows[i];
    if (row == data::kNoRow) {
      locations[i] = {kNoChunk, 0};
      continue;
    }
    const auto batch = static_cast<uint64_t>(data::BatchOf(row) - parts_.first_batch);
    const int64_t ordinal = data::OrdinalOf(row);
    if (batch >= num_batches || ordinal >= segment_places_[batch].rows) {
      return BugError("row does not exist in the table: " + std::to_string(row));
    }
    const Location location = Find(row);
    if (verified[location.chunk].load(std::memory_order_acquire) == 0) [[unlikely]] {
      if (remote_) BeginFetchOfRows(slot, rows + i, n - i);
      CAPI_RETURN_NOT_OK(Verify(slot, location.chunk));
    }
    locations[i] = location;
  }
  return Status::OK();
}

Result<const Table*> SegmentSet::SourceOf(int group) const {
  const std::shared_ptr<const Table>& source = parts_.sources[static_cast<size_t>(group)];
  if (source == nullptr) {
    const TableId& id = parts_.layout.groups[static_cast<size_t>(group)].source;
    return BugError("referenced table is not open: " + id.name + " of run " +
                    std::to_string(id.run_id));
  }
  return source.get();
}

Result<std::vector<data::RowId>> SegmentSet::ReadRowIds(int group, int64_t chunk, int64_t begin,
                                                        int64_t end) const {
  const int slot = parts_.layout.first_group_slot + group;
  CAPI_ASSIGN_OR_RETURN(const BlockView* views, ViewsOf(slot));
  CAPI_RETURN_NOT_OK(Touch(slot, chunk));
  const BlockView& view = views[chunk];
  std::vector<data::RowId> rows(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i) rows[Index(i - begin)] = view.Row(i);
  return rows;
}

Result<std::shared_ptr<arrow::Array>> SegmentSet::ReadColumn(int field, int64_t chunk,
                                                             int64_t begin, int64_t end) const {
  const TableLayout::Place& place = parts_.layout.places[static_cast<size_t>(field)];
  const data::FieldType type = parts_.layout.types[static_cast<size_t>(field)];
  if (place.group >= 0) {
    const GroupLayout& group = parts_.layout.groups[static_cast<size_t>(place.group)];
    CAPI_ASSIGN_OR_RETURN(const Table* source, SourceOf(place.group));
    CAPI_ASSIGN_OR_RETURN(const std::vector<data::RowId> rows,
                          ReadRowIds(place.group, chunk, begin, end));
    const auto i = static_cast<size_t>(place.in_group);
    return source->Gather(group.fields[i].second, rows.data(), end - begin, &group.missing[i]);
  }
  CAPI_ASSIGN_OR_RETURN(const BlockView* views, ViewsOf(place.slot));
  CAPI_RETURN_NOT_OK(Touch(place.slot, chunk));
  return DecodeRange(views[chunk], type, begin, end, FileOf(chunk).mapping);
}

void SegmentSet::BeginFetch(int slot, int64_t chunk, MappedFile::Need need) const {
  const SlotViews& target = slots_[static_cast<size_t>(slot)];
  if (target.verified != nullptr &&
      target.verified[Index(chunk)].load(std::memory_order_acquire) != 0) {
    return;
  }
  const BlockDescriptor& block = BlockOf(slot, chunk);
  FileOf(chunk).mapping->BeginFetch(
      parts_.segments[Index(SegmentOfChunk(chunk))].offset + block.offset, block.length, need);
}

void SegmentSet::BeginFetchOfRows(int slot, const data::RowId* rows, int64_t n) const {
  uint32_t previous = kNoChunk;
  for (int64_t i = 0; i < n; ++i) {
    if (rows[i] == data::kNoRow || !Exists(rows[i])) continue;
    const uint32_t chunk = Find(rows[i]).chunk;
    if (chunk != previous) BeginFetch(slot, chunk, MappedFile::Need::kNow);
    previous = chunk;
  }
}

void SegmentSet::BeginFetchForScan(const std::vector<int>& slots, int64_t chunk,
                                   int64_t last_chunk) const {
  int64_t bytes = 0;
  for (int64_t c = chunk; c <= last_chunk && bytes < kScanAheadBytes; ++c) {
    for (const int slot : slots) {
      BeginFetch(slot, c, c == chunk ? MappedFile::Need::kNow : MappedFile::Need::kSoon);
      if (c > chunk) bytes += BlockOf(slot, c).length;
    }
  }
}

void SegmentSet::Prefetch() const {
  for (const File& file : parts_.files) file.mapping->AdviseSequential(true);
}

}  // namespace capi::store
