#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/store/table/frozen_table_internal.h"

namespace capi::store {

namespace {

constexpr int64_t kWordBits = 64;

/// Bytes of the deletion bitmap of a chunk: whole words.
int64_t BitmapBytes(int64_t rows) { return (rows + kWordBits - 1) / kWordBits * 8; }

Result<std::vector<std::shared_ptr<const Table>>> ResolveSources(
    const TableLayout& layout, const TableStore::Resolver& resolver) {
  std::vector<std::shared_ptr<const Table>> sources;
  for (const GroupLayout& group : layout.groups) {
    if (resolver == nullptr) return BugError("table with references opened without a resolver");
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<const Table> source, resolver(group.source));
    if (source == nullptr) return BugError("referenced table is not there: " + group.source.name);
    for (const auto& [field, source_field] : group.fields) {
      const std::vector<data::Field>& fields = source->schema().fields;
      if (source_field < 0 || static_cast<size_t>(source_field) >= fields.size() ||
          fields[static_cast<size_t>(source_field)].type !=
              layout.types[static_cast<size_t>(field)]) {
        return BugError("referenced table has other fields: " + group.source.name);
      }
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace

Result<std::shared_ptr<const FrozenTable>> FrozenTable::Open(SegmentFiles* files,
                                                             const std::string& manifest_text,
                                                             const TableStore::Resolver& resolver) {
  CAPI_ASSIGN_OR_RETURN(const Manifest manifest, Manifest::Parse(manifest_text));
  if (manifest.kind != Manifest::Kind::kTable) return BugError("manifest is not that of a table");
  std::shared_ptr<FrozenTable> table(new FrozenTable());
  table->table_path_ = files->PathOf(manifest.Ref(), FileType::kTable);
  CAPI_ASSIGN_OR_RETURN(table->table_file_,
                        files->Map(manifest.Ref(), FileType::kTable, manifest.length));
  MappedFile* const file = table->table_file_.get();
  CAPI_ASSIGN_OR_RETURN(TableDirectory directory,
                        TableDirectory::Parse(manifest, file, table->table_path_));
  table->id_ = directory.description.id;
  table->schema_ = std::move(directory.description.schema);
  for (size_t f = 0; f < table->schema_.fields.size(); ++f) {
    table->field_positions_.emplace(table->schema_.fields[f].name, static_cast<int>(f));
  }

  SegmentSet::Parts parts;
  parts.layout = std::move(directory.description.layout);
  CAPI_ASSIGN_OR_RETURN(parts.sources, ResolveSources(parts.layout, resolver));
  // Containers may still be growing: what counts is that these attempts are inside.
  std::vector<int64_t> needed(directory.files.size(), 0);
  for (const SegmentDescriptor& segment : directory.segments) {
    if (segment.rows == 0) continue;
    if (segment.file >= needed.size()) {
      return Damaged(table->table_path_, manifest.directory, "directory cannot be read");
    }
    needed[segment.file] = std::max(needed[segment.file], segment.offset + segment.length);
  }
  for (size_t i = 0; i < needed.size(); ++i) {
    const FileRef container = directory.FileAt(i);
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> mapping,
                          files->Map(container, FileType::kContainer, needed[i]));
    parts.files.push_back({std::move(mapping), files->PathOf(container, FileType::kContainer)});
  }
  parts.segments.assign(directory.segments.begin(), directory.segments.end());
  parts.chunks.assign(directory.chunks.begin(), directory.chunks.end());
  parts.blocks = directory.blocks;
  parts.blocks_owner = table->table_file_;

  const DirectoryHeader& header = directory.header;
  const std::string_view bytes = file->bytes();
  const auto fits = [](int64_t offset, int64_t length, std::string_view in) {
    const auto size = static_cast<int64_t>(in.size());
    return offset >= 0 && length >= 0 && offset <= size && length <= size - offset;
  };
  if (!fits(header.deletions_offset, header.deletions_length, bytes)) {
    return Damaged(table->table_path_, header.deletions_offset, "part lies outside the file");
  }
  CAPI_RETURN_NOT_OK(file->EnsureRange(header.deletions_offset, header.deletions_length));
  const std::string_view deletions = bytes.substr(static_cast<size_t>(header.deletions_offset),
                                                  static_cast<size_t>(header.deletions_length));
  if (header.deletions_length > 0 && Checksum(deletions) != header.deletions_checksum) {
    return Damaged(table->table_path_, header.deletions_offset, "wrong checksum");
  }
  table->deletions_ = reinterpret_cast<const uint8_t*>(deletions.data());
  int64_t live = 0;
  for (const ChunkDescriptor& chunk : parts.chunks) {
    table->live_before_.push_back(live);
    if (chunk.deleted > chunk.rows ||
        (chunk.deleted > 0 && !fits(chunk.deletions, BitmapBytes(chunk.rows), deletions))) {
      return Damaged(table->table_path_, header.deletions_offset, "part lies outside the file");
    }
    live += chunk.rows - chunk.deleted;
  }
  table->live_before_.push_back(live);

  for (size_t i = 0; i < directory.indexes.size(); ++i) {
    IndexPlace place;
    place.descriptor = directory.indexes[i];
    const bool in_table = place.descriptor.file == kTableFile;
    MappedFile* const holder = in_table ? file : parts.files[place.descriptor.file].mapping.get();
    const std::string_view in = holder->bytes();
    const std::string& path =
        in_table ? table->table_path_ : parts.files[place.descriptor.file].path;
    const int64_t count = place.descriptor.count;
    if (count > static_cast<int64_t>(in.size()) ||
        !fits(place.descriptor.offset, count * static_cast<int64_t>(sizeof(IndexEntry)), in) ||
        place.descriptor.offset % 8 != 0) {
      return Damaged(path, place.descriptor.offset, "part lies outside the file");
    }
    place.entries = std::make_shared<EntryRun>(holder, place.descriptor.offset, count,
                                               directory.page_checksums[i].data(), path);
    table->indexes_.push_back(std::move(place));
  }
  CAPI_ASSIGN_OR_RETURN(table->rows_, SegmentSet::Make(std::move(parts)));
  if (live != header.rows) {
    return Damaged(table->table_path_, manifest.directory, "another number of rows");
  }
  return table;
}

int FrozenTable::FieldIndex(std::string_view name) const {
  const auto found = field_positions_.find(name);
  return found == field_positions_.end() ? -1 : found->second;
}

int FrozenTable::IndexPosition(std::string_view name) const {
  for (size_t i = 0; i < schema_.indexes.size(); ++i) {
    if (schema_.indexes[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

Result<const FrozenTable::IndexPlace*> FrozenTable::OpenIndexPlace(int index) const {
  const IndexPlace& place = indexes_[static_cast<size_t>(index)];
  const IndexDescriptor& descriptor = place.descriptor;
  if (descriptor.count == 0) return &place;
  constexpr uint32_t kMaxBucketBits = 40;
  const std::string_view bytes = table_file_->bytes();
  const auto size = static_cast<int64_t>(bytes.size());
  const bool width_fits = descriptor.bucket_width == 4 || descriptor.bucket_width == 8;
  if (!width_fits || descriptor.bucket_bits == 0 || descriptor.bucket_bits > kMaxBucketBits) {
    return Damaged(table_path_, descriptor.buckets_offset, "bad bucket table");
  }
  const int64_t length =
      ((int64_t{1} << descriptor.bucket_bits) + 1) * static_cast<int64_t>(descriptor.bucket_width);
  if (descriptor.buckets_offset < 0 || descriptor.buckets_offset > size ||
      length > size - descriptor.buckets_offset) {
    return Damaged(table_path_, descriptor.buckets_offset, "part lies outside the file");
  }
  CAPI_RETURN_NOT_OK(table_file_->EnsureRange(descriptor.buckets_offset, length));
  if (Checksum(bytes.substr(static_cast<size_t>(descriptor.buckets_offset),
                            static_cast<size_t>(length))) != descriptor.buckets_checksum) {
    return Damaged(table_path_, descriptor.buckets_offset, "wrong checksum");
  }
  return &place;
}

const uint8_t* FrozenTable::BucketsOf(const IndexPlace& place) const {
  return reinterpret_cast<const uint8_t*>(table_file_->bytes().data()) +
         place.descriptor.buckets_offset;
}

int FrozenTable::SlotOf(int field) const {
  const TableLayout::Place& place = rows_->layout().places[static_cast<size_t>(field)];
  return place.group < 0 ? place.slot : rows_->layout().first_group_slot + place.group;
}

bool FrozenTable::IsDeleted(int64_t chunk, int64_t row) const {
  const uint8_t* bits = deletions_ + rows_->chunks()[static_cast<size_t>(chunk)].deletions;
  return ((bits[row >> 3] >> (row & 7)) & 1) != 0;
}

int64_t FrozenTable::PhysicalRow(int64_t chunk, int64_t n) const {
  const ChunkDescriptor& descriptor = rows_->chunks()[static_cast<size_t>(chunk)];
  if (descriptor.deleted == 0) return n;
  const uint8_t* bits = deletions_ + descriptor.deletions;
  int64_t row = 0;
  while (true) {
    uint64_t word;
    std::memcpy(&word, bits + row / 8, sizeof(word));
    const int64_t live = kWordBits - std::popcount(word);
    if (n < live) break;
    n -= live;
    row += kWordBits;
  }
  while (true) {
    if (!IsDeleted(chunk, row) && n-- == 0) return row;
    ++row;
  }
}

std::vector<Table::Morsel> FrozenTable::Morsels(int64_t begin, int64_t end) const {
  std::vector<Morsel> morsels;
  if (begin >= end) return morsels;
  // The chunk that holds live position `begin`: the last one that starts at or before it.
  auto chunk =
      static_cast<int64_t>(std::upper_bound(live_before_.begin(), live_before_.end() - 1, begin) -
                           live_before_.begin() - 1);
  for (; chunk < rows_->num_chunks(); ++chunk) {
    const int64_t first = live_before_[static_cast<size_t>(chunk)];
    const int64_t last = live_before_[static_cast<size_t>(chunk) + 1];
    if (first >= end) break;
    const int64_t from = std::max(begin, first) - first;
    const int64_t to = std::min(end, last) - first;
    if (from >= to) continue;
    Morsel morsel;
    morsel.segment = rows_->SegmentOfChunk(chunk);
    morsel.chunk = chunk;
    morsel.begin = PhysicalRow(chunk, from);
    morsel.end = PhysicalRow(chunk, to - 1) + 1;
    morsel.num_rows = to - from;
    morsel.first_position = first + from;
    morsels.push_back(morsel);
  }
  for (Morsel& morsel : morsels) morsel.last_chunk = morsels.back().chunk;
  return morsels;
}

std::vector<int32_t> FrozenTable::LiveRows(const Morsel& morsel) const {
  std::vector<int32_t> live;
  live.reserve(static_cast<size_t>(morsel.num_rows));
  for (int64_t row = morsel.begin; row < morsel.end; ++row) {
    if (!IsDeleted(morsel.chunk, row)) live.push_back(static_cast<int32_t>(row - morsel.begin));
  }
  return live;
}

Result<Table::ScanBatch> FrozenTable::Read(const Morsel& morsel,
                                           const std::vector<int>& fields) const {
  const bool all_live = morsel.num_rows == morsel.end - morsel.begin;
  std::vector<int32_t> live;
  if (!all_live) live = LiveRows(morsel);
  ScanBatch batch;
  batch.num_rows = morsel.num_rows;
  const data::RowId first = rows_->FirstRowOf(morsel.chunk) + morsel.begin;
  batch.row_ids.resize(static_cast<size_t>(morsel.num_rows));
  for (size_t i = 0; i < batch.row_ids.size(); ++i) {
    batch.row_ids[i] = first + (all_live ? static_cast<int64_t>(i) : live[i]);
  }
  const TableLayout& layout = rows_->layout();
  if (rows_->remote()) {
    std::vector<int> slots;
    for (const int field : fields) slots.push_back(SlotOf(field));
    rows_->BeginFetchForScan(slots, morsel.chunk, morsel.last_chunk);
  }
  std::vector<std::optional<std::vector<data::RowId>>> references(layout.groups.size());
  for (const int field : fields) {
    const TableLayout::Place& place = layout.places[static_cast<size_t>(field)];
    std::shared_ptr<arrow::Array> column;
    if (place.group >= 0) {
      // Fields of one group share the row ids.
      auto& source_rows = references[static_cast<size_t>(place.group)];
      if (!source_rows.has_value()) {
        CAPI_ASSIGN_OR_RETURN(source_rows, ReadReferences(morsel, place.group));
      }
      const GroupLayout& group = layout.groups[static_cast<size_t>(place.group)];
      const auto i = static_cast<size_t>(place.in_group);
      CAPI_ASSIGN_OR_RETURN(column, rows_->sources()[static_cast<size_t>(place.group)]->Gather(
                                        group.fields[i].second, source_rows->data(),
                                        morsel.num_rows, &group.missing[i]));
    } else {
      CAPI_ASSIGN_OR_RETURN(column,
                            rows_->ReadColumn(field, morsel.chunk, morsel.begin, morsel.end));
      if (!all_live) {
        CAPI_ASSIGN_OR_RETURN(column, data::Take(column, live.data(), morsel.num_rows));
      }
    }
    batch.columns.push_back(std::move(column));
  }
  return batch;
}

Result<std::vector<std::shared_ptr<arrow::Array>>> FrozenTable::GatherFields(
    const std::vector<int>& fields, const data::RowId* rows, int64_t n) const {
  const TableLayout& layout = rows_->layout();
  std::vector<std::optional<std::vector<data::RowId>>> references(layout.groups.size());
  std::vector<std::shared_ptr<arrow::Array>> columns;
  columns.reserve(fields.size());
  for (const int field : fields) {
    const TableLayout::Place& place = layout.places[static_cast<size_t>(field)];
    std::shared_ptr<arrow::Array> column;
    if (place.group < 0) {
      CAPI_ASSIGN_OR_RETURN(column, rows_->Gather(field, rows, n, nullptr));
    } else {
      auto& source_rows = references[static_cast<size_t>(place.group)];
      if (!source_rows.has_value()) {
        CAPI_ASSIGN_OR_RETURN(source_rows, rows_->GatherRowIds(place.group, rows, n));
      }
      const GroupLayout& group = layout.groups[static_cast<size_t>(place.group)];
      const auto i = static_cast<size_t>(place.in_group);
      CAPI_ASSIGN_OR_RETURN(column,
                            rows_->sources()[static_cast<size_t>(place.group)]->Gather(
                                group.fields[i].second, source_rows->data(), n, &group.missing[i]));
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

std::optional<Table::Reference> FrozenTable::ReferenceOf(int field) const {
  const TableLayout& layout = rows_->layout();
  const TableLayout::Place& place = layout.places[static_cast<size_t>(field)];
  if (place.group < 0) return std::nullopt;
  const GroupLayout& group = layout.groups[static_cast<size_t>(place.group)];
  Reference reference;
  reference.source = rows_->sources()[static_cast<size_t>(place.group)];
  reference.source_field = group.fields[static_cast<size_t>(place.in_group)].second;
  reference.group = place.group;
  reference.missing = group.missing[static_cast<size_t>(place.in_group)];
  return reference;
}

Result<std::vector<data::RowId>> FrozenTable::ReadReferences(const Morsel& morsel,
                                                             int group) const {
  CAPI_ASSIGN_OR_RETURN(std::vector<data::RowId> rows,
                        rows_->ReadRowIds(group, morsel.chunk, morsel.begin, morsel.end));
  if (morsel.num_rows == morsel.end - morsel.begin) return rows;
  const std::vector<int32_t> live = LiveRows(morsel);
  for (size_t i = 0; i < live.size(); ++i) rows[i] = rows[static_cast<size_t>(live[i])];
  rows.resize(live.size());
  return rows;
}

void FrozenTable::Prefetch(const std::vector<int>& fields) const {
  if (!fields.empty()) rows_->Prefetch();
}

std::pair<int64_t, int64_t> PartitionRange(int64_t num_rows, int64_t p, int64_t n) {
  // In 128 bits: rows times partitions may pass 64.
  const auto at = [&](int64_t part) {
    return static_cast<int64_t>(static_cast<data::int128>(num_rows) * part / n);
  };
  return {at(p), at(p + 1)};
}

}  // namespace capi::store
