#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <deque>
#include <mutex>
#include <set>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/data/key.h"
#include "capi/store/segment/byte_stream_internal.h"
#include "capi/store/table/table_freezer_internal.h"

namespace capi::store {

namespace {

constexpr size_t kWordBits = 64;
/// Attempts whose directories are fetched ahead, where they come from another machine.
constexpr size_t kAttemptsAhead = 64;

}  // namespace

DeletionMap::DeletionMap(const std::vector<ChunkDescriptor>& chunks) {
  size_t words = 0;
  for (const ChunkDescriptor& chunk : chunks) {
    first_words_.push_back(words);
    words += (chunk.rows + kWordBits - 1) / kWordBits;
  }
  first_words_.push_back(words);
  words_.resize(words, 0);
}

void DeletionMap::Mark(SegmentSet::Location location) {
  uint64_t& word = words_[first_words_[location.chunk] + location.row / kWordBits];
  std::atomic_ref<uint64_t>(word).fetch_or(uint64_t{1} << (location.row % kWordBits),
                                           std::memory_order_relaxed);
}

bool DeletionMap::Contains(SegmentSet::Location location) const {
  const uint64_t word = words_[first_words_[location.chunk] + location.row / kWordBits];
  return ((word >> (location.row % kWordBits)) & 1) != 0;
}

int64_t DeletionMap::count() const {
  int64_t count = 0;
  for (const uint64_t word : words_) count += std::popcount(word);
  return count;
}

std::string DeletionMap::Finish(std::vector<ChunkDescriptor>* chunks) const {
  std::string bitmaps;
  for (size_t c = 0; c < chunks->size(); ++c) {
    ChunkDescriptor& chunk = (*chunks)[c];
    uint32_t deleted = 0;
    for (size_t w = first_words_[c]; w < first_words_[c + 1]; ++w) {
      deleted += static_cast<uint32_t>(std::popcount(words_[w]));
    }
    chunk.deleted = deleted;
    chunk.deletions = deleted == 0 ? -1 : static_cast<int64_t>(bitmaps.size());
    if (deleted == 0) continue;
    bitmaps.append(reinterpret_cast<const char*>(words_.data() + first_words_[c]),
                   (first_words_[c + 1] - first_words_[c]) * sizeof(uint64_t));
  }
  return bitmaps;
}

TableFreezer::~TableFreezer() {
  if (file_ != nullptr) files_->Abandon(std::move(file_), FileType::kTable);
}

Status TableFreezer::BeginFetchOfDirectory(const Manifest& manifest) {
  if (manifest.file == 0) return Status::OK();
  CAPI_ASSIGN_OR_RETURN(
      std::shared_ptr<MappedFile> mapping,
      files_->Map(manifest.Ref(), FileType::kContainer, manifest.offset + manifest.length));
  mapping->BeginFetch(manifest.offset + manifest.directory, manifest.length - manifest.directory,
                      MappedFile::Need::kNow);
  ahead_.push_back(std::move(mapping));
  return Status::OK();
}

Status TableFreezer::AddAttempt(const Manifest& manifest) {
  SegmentDescriptor segment;
  segment.first_chunk = static_cast<uint32_t>(chunks_.size());
  if (manifest.rows == 0) {
    segments_.push_back(segment);
    return Status::OK();
  }
  const std::string path = files_->PathOf(manifest.Ref(), FileType::kContainer);
  const auto [known, added] = file_positions_.emplace(std::pair(manifest.file, manifest.owner),
                                                      static_cast<uint32_t>(file_ids_.size()));
  if (added) {
    file_ids_.push_back(manifest.file);
    shared_files_.push_back({manifest.owner, manifest.piece_bytes});
    file_views_.push_back({nullptr, path});
  }
  SegmentSet::File& view = file_views_[known->second];
  const int64_t end = manifest.offset + manifest.length;
  if (view.mapping == nullptr || static_cast<int64_t>(view.mapping->bytes().size()) < end) {
    if (view.mapping != nullptr) outgrown_.push_back(view.mapping);
    CAPI_ASSIGN_OR_RETURN(view.mapping, files_->Map(manifest.Ref(), FileType::kContainer, end));
  }
  CAPI_ASSIGN_OR_RETURN(const AttemptDirectory directory,
                        AttemptDirectory::Parse(manifest, view.mapping.get(), path));
  if (num_nonempty_ == 0) {
    layout_text_ = directory.layout;
    CAPI_ASSIGN_OR_RETURN(layout_, TableLayout::Parse(layout_text_));
    first_segment_ = segments_.size();
    first_runs_.assign(directory.runs.begin(), directory.runs.end());
    for (const auto& checksums : directory.page_checksums) {
      first_checksums_.emplace_back(checksums.begin(), checksums.end());
    }
  } else if (layout_text_ != directory.layout) {
    return BugError("attempts of one table were written with different layouts: " + id_.name);
  }
  if (directory.runs.size() != schema_.indexes.size()) {
    return BugError("attempt was written with other indexes: table " + id_.name);
  }
  ++num_nonempty_;
  deduplicated_ = deduplicated_ && directory.header.deduplicated != 0;
  segment.file = known->second;
  segment.offset = manifest.offset;
  segment.length = manifest.length;
  segment.rows = manifest.rows;
  segments_.push_back(segment);
  physical_rows_ += manifest.rows;
  chunks_.insert(chunks_.end(), directory.chunks.begin(), directory.chunks.end());
  blocks_.insert(blocks_.end(), directory.blocks.begin(), directory.blocks.end());
  for (size_t i = 0; i < directory.runs.size(); ++i) {
    const int64_t position = manifest.offset + directory.runs[i].offset;
    runs_[i].push_back(std::make_unique<EntryRun>(view.mapping.get(), position,
                                                  directory.runs[i].count,
                                                  directory.page_checksums[i].data(), path));
  }
  return Status::OK();
}

Status TableFreezer::ReadAttempts(const std::vector<std::string>& attempts) {
  runs_.resize(schema_.indexes.size());
  std::deque<Manifest> ahead;  // of the batches from `batch` on
  for (size_t batch = 0; batch < attempts.size(); ++batch) {
    CAPI_RETURN_NOT_OK(context_.cancel.Check());
    while (ahead.size() < kAttemptsAhead && batch + ahead.size() < attempts.size()) {
      CAPI_ASSIGN_OR_RETURN(Manifest next, Manifest::Parse(attempts[batch + ahead.size()]));
      if (next.owner != 0) CAPI_RETURN_NOT_OK(BeginFetchOfDirectory(next));
      ahead.push_back(std::move(next));
    }
    const Manifest manifest = std::move(ahead.front());
    ahead.pop_front();
    if (manifest.kind != Manifest::Kind::kAttempt || manifest.table != id_ ||
        manifest.batch != static_cast<int64_t>(batch)) {
      return BugError("manifest is not that of batch " + std::to_string(batch) + " of table " +
                      id_.name);
    }
    CAPI_RETURN_NOT_OK(AddAttempt(manifest));
  }
  if (num_nonempty_ == 0) {
    CAPI_ASSIGN_OR_RETURN(layout_, TableLayout::Make(schema_, {}));
  }
  if (layout_.types.size() != schema_.fields.size()) {
    return BugError("attempts were written with other fields: table " + id_.name);
  }
  for (size_t f = 0; f < layout_.types.size(); ++f) {
    if (layout_.types[f] != schema_.fields[f].type) {
      return BugError("attempts were written with another type of field " + schema_.fields[f].name +
                      ": table " + id_.name);
    }
  }
  return Status::OK();
}

Status TableFreezer::OpenRows() {
  SegmentSet::Parts parts;
  parts.layout = layout_;
  parts.files = file_views_;
  parts.segments = segments_;
  parts.chunks = chunks_;
  parts.blocks = blocks_;
  // Sources are needed only where keys are compared.
  std::set<int> groups_read;
  for (size_t i = 0; i < schema_.indexes.size(); ++i) {
    CAPI_ASSIGN_OR_RETURN(std::vector<int> fields, KeyFieldsOf(schema_, schema_.indexes[i]));
    if (schema_.indexes[i].unique || IsDistinct(i)) {
      for (const int field : fields) {
        groups_read.insert(layout_.places[static_cast<size_t>(field)].group);
      }
    }
    key_fields_.push_back(std::move(fields));
  }
  parts.sources.resize(layout_.groups.size());
  for (const int group : groups_read) {
    if (group < 0) continue;
    const TableId& source = layout_.groups[static_cast<size_t>(group)].source;
    if (resolver_ == nullptr) {
      return BugError("table with references frozen without a resolver: " + id_.name);
    }
    CAPI_ASSIGN_OR_RETURN(parts.sources[static_cast<size_t>(group)], resolver_(source));
  }
  CAPI_ASSIGN_OR_RETURN(rows_, SegmentSet::Make(std::move(parts)));
  deletions_ = std::make_unique<DeletionMap>(chunks_);
  return Status::OK();
}

Status TableFreezer::ReuseRun(size_t position, IndexDescriptor* descriptor) {
  const EntryRun& run = *runs_[position][0];
  if (run.remote()) run.BeginFetch(0, run.count(), MappedFile::Need::kSoon);
  BucketWriter buckets(context_, run.count());
  for (int64_t begin = 0; begin < run.count(); begin += kIndexPageEntries) {
    const int64_t end = std::min(begin + kIndexPageEntries, run.count());
    CAPI_RETURN_NOT_OK(run.Touch(begin, end));
    CAPI_RETURN_NOT_OK(buckets.Add({run.entries() + begin, static_cast<size_t>(end - begin)}));
  }
  const SegmentDescriptor& segment = segments_[first_segment_];
  descriptor->file = segment.file;
  descriptor->offset = segment.offset + first_runs_[position].offset;
  page_checksums_[position] = first_checksums_[position];
  return buckets.Finish(file_.get(), descriptor);
}

Status TableFreezer::MergeIndex(size_t position, IndexDescriptor* descriptor) {
  const IndexSchema& index = schema_.indexes[position];
  const bool distinct = IsDistinct(position);
  std::vector<const EntryRun*> runs;
  int64_t total = 0;
  for (const auto& run : runs_[position]) {
    runs.push_back(run.get());
    // All of it is going to be read.
    if (run->remote()) run->BeginFetch(0, run->count(), MappedFile::Need::kSoon);
    total += run->count();
  }
  CAPI_RETURN_NOT_OK(file_->Align());
  descriptor->file = kTableFile;
  descriptor->offset = file_->size();
  EntryPageWriter pages([&](std::string_view bytes) { return file_->Append(bytes); });
  BucketWriter buckets(context_, total);
  std::mutex mutex;
  KeyViolation violation;

  const auto remove_deleted = [&](MergedRange* range) {
    IndexEntry* const begin = range->entries.get();
    IndexEntry* const end = std::remove_if(
        begin, begin + range->count,
        [&](const IndexEntry& entry) { return deletions_->Contains(rows_->Find(entry.row)); });
    range->count = end - begin;
  };
  const auto check = [&](MergedRange* range) -> Status {
    if (num_deleted_ > 0) remove_deleted(range);
    if (!distinct && !index.unique) return Status::OK();
    bool lost = false;
    KeyViolation found;
    DuplicateFinder finder(
        &index, &key_fields_[position], [&] { return rows_.get(); },
        [&](data::RowId first, data::RowId second) {
          if (distinct) {
            deletions_->Mark(rows_->Find(second));
            lost = true;
          } else {
            found.Offer(first, second);
          }
        });
    CAPI_RETURN_NOT_OK(finder.Add({range->entries.get(), static_cast<size_t>(range->count)}));
    CAPI_RETURN_NOT_OK(finder.Finish());
    if (found.found()) {
      const std::lock_guard<std::mutex> guard(mutex);
      violation.Offer(found.first, found.second);
    }
    if (lost) remove_deleted(range);
    return Status::OK();
  };
  CAPI_RETURN_NOT_OK(MergeRuns(context_, runs, check, [&](std::span<const IndexEntry> entries) {
    CAPI_RETURN_NOT_OK(pages.Add(entries));
    return buckets.Add(entries);
  }));
  if (violation.found()) {
    return DuplicateKeyError(schema_.name, index, key_fields_[position], *rows_, violation);
  }
  CAPI_RETURN_NOT_OK(pages.Finish());
  if (distinct) num_deleted_ = deletions_->count();
  page_checksums_[position] = pages.checksums();
  return buckets.Finish(file_.get(), descriptor);
}

Status TableFreezer::WriteIndex(size_t position, IndexDescriptor* descriptor) {
  if (num_nonempty_ == 0) {
    descriptor->file = kTableFile;
    return Status::OK();
  }
  // The only attempt has checked its keys itself.
  const bool checked = num_nonempty_ == 1 && num_deleted_ == 0;
  if (checked && (!IsDistinct(position) || deduplicated_)) return ReuseRun(position, descriptor);
  return MergeIndex(position, descriptor);
}

Status TableFreezer::WriteDirectory(std::vector<IndexDescriptor> indexes) {
  CAPI_RETURN_NOT_OK(file_->Align());
  DirectoryHeader header;
  header.hash_version = data::kKeyHashVersion;
  header.deletions_offset = file_->size();
  const std::string bitmaps = deletions_->Finish(&chunks_);
  header.deletions_length = static_cast<int64_t>(bitmaps.size());
  header.deletions_checksum = Checksum(bitmaps);
  CAPI_RETURN_NOT_OK(file_->Append(bitmaps));
  CAPI_RETURN_NOT_OK(file_->Align());

  const std::string description = TableDescription{id_, schema_, layout_}.Serialize();
  header.rows = physical_rows_ - num_deleted_;
  header.description_bytes = static_cast<uint32_t>(description.size());
  header.num_files = static_cast<uint32_t>(file_ids_.size());
  header.num_segments = static_cast<uint32_t>(segments_.size());
  header.num_chunks = static_cast<uint32_t>(chunks_.size());
  header.num_slots = static_cast<uint32_t>(layout_.num_slots);
  header.num_indexes = static_cast<uint32_t>(indexes.size());
  ByteWriter out;
  out.Put(header);
  out.PutBytes(description);
  out.Align(alignof(int64_t));
  out.PutArray<uint64_t>(file_ids_);
  out.PutArray<SegmentDescriptor>(segments_);
  out.PutArray<ChunkDescriptor>(chunks_);
  out.PutArray<BlockDescriptor>(blocks_);
  out.PutArray<IndexDescriptor>(indexes);
  for (const std::vector<uint64_t>& checksums : page_checksums_) {
    out.PutArray<uint64_t>(checksums);
  }
  if (file_->ref().is_shared()) out.PutArray<SharedFileDescriptor>(shared_files_);
  manifest_.kind = Manifest::Kind::kTable;
  manifest_.table = id_;
  manifest_.rows = header.rows;
  manifest_.SetRef(file_->ref());
  manifest_.directory = file_->size();
  manifest_.checksum = Checksum(out.bytes());
  CAPI_RETURN_NOT_OK(file_->Append(out.bytes()));
  manifest_.length = file_->size();
  for (const GroupLayout& group : layout_.groups) manifest_.references.push_back(group.source);
  std::sort(manifest_.references.begin(), manifest_.references.end());
  manifest_.references.erase(std::unique(manifest_.references.begin(), manifest_.references.end()),
                             manifest_.references.end());
  return Status::OK();
}

Result<FreezeResult> TableFreezer::Run(const std::vector<std::string>& attempts) {
  CAPI_RETURN_NOT_OK(ReadAttempts(attempts));
  CAPI_RETURN_NOT_OK(OpenRows());
  CAPI_ASSIGN_OR_RETURN(file_, files_->NewFile(id_.run_id, FileType::kTable));
  std::vector<IndexDescriptor> indexes(schema_.indexes.size());
  page_checksums_.resize(schema_.indexes.size());
  // The distinct index decides which rows the others leave out.
  for (const bool distinct : {true, false}) {
    for (size_t i = 0; i < schema_.indexes.size(); ++i) {
      if (IsDistinct(i) == distinct) CAPI_RETURN_NOT_OK(WriteIndex(i, &indexes[i]));
    }
  }
  CAPI_RETURN_NOT_OK(WriteDirectory(std::move(indexes)));
  CAPI_FAULT_POINT("store.before_freeze_sync");
  CAPI_RETURN_NOT_OK(files_->FinishTable(std::move(file_)));
  FreezeResult result;
  result.manifest = manifest_.ToText();
  result.rows = manifest_.rows;
  result.duplicates = num_deleted_;
  return result;
}

}  // namespace capi::store
