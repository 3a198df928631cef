#include <algorithm>
#include <numeric>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/type.h"
#include "capi/base/fault_point.h"
#include "capi/data/column.h"
#include "capi/data/key.h"
#include "capi/store/index/duplicate_finder_internal.h"
#include "capi/store/index/entry_run_internal.h"
#include "capi/store/segment/byte_stream_internal.h"
#include "capi/store/segment/manifest_internal.h"
#include "capi/store/writer/attempt_writer_internal.h"

namespace capi::store {

namespace {

constexpr int64_t kMaxBatches = int64_t{1} << 20;

/// Bytes of a string column once a dictionary is decoded.
Result<int64_t> TextBytes(const arrow::Array& column) {
  CAPI_ASSIGN_OR_RETURN(const data::StringReader text, data::StringReader::Make(column));
  if (column.type_id() == arrow::Type::STRING && column.length() > 0) {
    return text[column.length() - 1].data() + text[column.length() - 1].size() - text[0].data();
  }
  int64_t bytes = 0;
  for (int64_t row = 0; row < column.length(); ++row) {
    bytes += static_cast<int64_t>(text[row].size());
  }
  return bytes;
}

}  // namespace

Result<std::unique_ptr<TableWriter>> AttemptWriter::Make(const exec::Context& context,
                                                         SegmentFiles* files, const TableId& id,
                                                         const TableSchema& schema,
                                                         int64_t batch_index,
                                                         std::vector<ReferenceGroup> groups) {
  if (batch_index < 0 || batch_index >= kMaxBatches) {
    return BugError("batch index out of range: " + std::to_string(batch_index));
  }
  CAPI_ASSIGN_OR_RETURN(TableLayout layout, TableLayout::Make(schema, groups));
  std::unique_ptr<AttemptWriter> writer(
      new AttemptWriter(context, files, id, schema, batch_index, std::move(groups)));
  writer->layout_ = std::move(layout);
  for (size_t i = 0; i < schema.indexes.size(); ++i) {
    CAPI_ASSIGN_OR_RETURN(std::vector<int> fields, KeyFieldsOf(schema, schema.indexes[i]));
    writer->key_fields_.push_back(std::move(fields));
    writer->collectors_.emplace_back(context);
    if (schema.indexes[i].name == schema.distinct_index) {
      writer->distinct_index_ = static_cast<int>(i);
    }
  }
  if (!schema.distinct_index.empty() && writer->distinct_index_ < 0) {
    return BugError("table has no index " + schema.distinct_index);
  }
  return writer;
}

Status AttemptWriter::Check(const Batch& batch) const {
  if (batch.num_rows < 0 || batch.num_rows > kMaxChunkRows) {
    return BugError("batch of " + std::to_string(batch.num_rows) + " rows put into table " +
                    schema_.name);
  }
  if (batch.columns.size() != schema_.fields.size() ||
      batch.reference_rows.size() != groups_.size()) {
    return BugError("batch has another number of columns than table " + schema_.name);
  }
  for (size_t f = 0; f < batch.columns.size(); ++f) {
    const bool stored = layout_.places[f].group < 0;
    const std::shared_ptr<arrow::Array>& column = batch.columns[f];
    if (stored != (column != nullptr) ||
        (column != nullptr && column->length() != batch.num_rows)) {
      return BugError("batch lacks rows of field " + schema_.fields[f].name);
    }
  }
  for (const std::vector<data::RowId>& rows : batch.reference_rows) {
    if (static_cast<int64_t>(rows.size()) != batch.num_rows) {
      return BugError("batch lacks row ids of a reference group of table " + schema_.name);
    }
  }
  return Status::OK();
}

Result<std::vector<std::shared_ptr<arrow::Array>>> AttemptWriter::KeyColumns(
    size_t index, const Batch& batch) const {
  std::vector<std::shared_ptr<arrow::Array>> keys;
  for (const int field : key_fields_[index]) {
    const TableLayout::Place& place = layout_.places[static_cast<size_t>(field)];
    if (place.group < 0) {
      keys.push_back(batch.columns[static_cast<size_t>(field)]);
      continue;
    }
    const ReferenceGroup& group = groups_[static_cast<size_t>(place.group)];
    const auto i = static_cast<size_t>(place.in_group);
    CAPI_ASSIGN_OR_RETURN(
        std::shared_ptr<arrow::Array> key,
        group.source->Gather(group.fields[i].second,
                             batch.reference_rows[static_cast<size_t>(place.group)].data(),
                             batch.num_rows, &group.missing[i]));
    keys.push_back(std::move(key));
  }
  return keys;
}

Status AttemptWriter::Select(const std::vector<int32_t>& rows, EncodedRows* encoded) {
  const auto n = static_cast<int64_t>(rows.size());
  for (std::shared_ptr<arrow::Array>& column : encoded->batch.columns) {
    if (column == nullptr) continue;
    CAPI_ASSIGN_OR_RETURN(column, data::Take(column, rows.data(), n));
  }
  const auto select = [&](auto* values) {
    // Rows ascend: values are moved forward in place.
    for (size_t i = 0; i < rows.size(); ++i) {
      (*values)[i] = (*values)[static_cast<size_t>(rows[i])];
    }
    values->resize(rows.size());
  };
  for (std::vector<data::RowId>& group : encoded->batch.reference_rows) select(&group);
  for (std::vector<uint64_t>& hashes : encoded->hashes) select(&hashes);
  encoded->batch.num_rows = n;
  encoded->num_rows = n;
  return Status::OK();
}

Result<std::shared_ptr<TableWriter::Encoded>> AttemptWriter::Encode(const Batch& batch) const {
  CAPI_RETURN_NOT_OK(Check(batch));
  CAPI_RETURN_NOT_OK(context_.cancel.Check());
  auto encoded = std::make_shared<EncodedRows>();
  encoded->num_rows = batch.num_rows;
  if (batch.num_rows == 0) return encoded;
  for (size_t i = 0; i < key_fields_.size(); ++i) {
    CAPI_ASSIGN_OR_RETURN(const auto keys, KeyColumns(i, batch));
    std::vector<uint64_t> hashes(static_cast<size_t>(batch.num_rows));
    CAPI_RETURN_NOT_OK(
        HashIndexKeys(schema_.indexes[i].components, keys, batch.num_rows, hashes.data()));
    encoded->hashes.push_back(std::move(hashes));
    if (static_cast<int>(i) == distinct_index_) {
      CAPI_RETURN_NOT_OK(data::EncodeSortKeys(schema_.indexes[i].components, keys, batch.num_rows,
                                              &encoded->keys, &encoded->key_ends));
    }
  }
  if (distinct_index_ < 0 && batch.num_rows >= kDirectChunkRows) {
    CAPI_ASSIGN_OR_RETURN(encoded->chunk, EncodeChunk(layout_.types, batch.num_rows, batch.columns,
                                                      batch.reference_rows));
    return encoded;
  }
  encoded->batch = batch;
  if (distinct_index_ >= 0) {
    // Duplicates inside the batch are dropped here already, where it is done in parallel.
    KeySet keys_of_batch(nullptr);
    const std::vector<uint64_t>& hashes = encoded->hashes[static_cast<size_t>(distinct_index_)];
    std::vector<int32_t> kept;
    std::string kept_keys;
    std::vector<int64_t> kept_ends;
    int64_t begin = 0;
    for (int64_t row = 0; row < batch.num_rows; ++row) {
      const int64_t end = encoded->key_ends[static_cast<size_t>(row)];
      const std::string_view key =
          std::string_view(encoded->keys)
              .substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
      begin = end;
      if (keys_of_batch.Insert(hashes[static_cast<size_t>(row)], key) == KeySet::Answer::kKnown) {
        continue;
      }
      kept.push_back(static_cast<int32_t>(row));
      kept_keys.append(key);
      kept_ends.push_back(static_cast<int64_t>(kept_keys.size()));
    }
    encoded->dropped = batch.num_rows - static_cast<int64_t>(kept.size());
    if (encoded->dropped > 0) {
      CAPI_RETURN_NOT_OK(Select(kept, encoded.get()));
      encoded->keys = std::move(kept_keys);
      encoded->key_ends = std::move(kept_ends);
    }
  }
  for (const std::shared_ptr<arrow::Array>& column : encoded->batch.columns) {
    if (column == nullptr || (column->type_id() != arrow::Type::STRING &&
                              column->type_id() != arrow::Type::DICTIONARY)) {
      continue;
    }
    CAPI_ASSIGN_OR_RETURN(const int64_t bytes, TextBytes(*column));
    encoded->text_bytes = std::max(encoded->text_bytes, bytes);
  }
  return encoded;
}

Status AttemptWriter::DropDuplicates(EncodedRows* encoded) {
  const std::vector<uint64_t>& hashes = encoded->hashes[static_cast<size_t>(distinct_index_)];
  std::vector<int32_t> kept;
  int64_t begin = 0;
  for (int64_t row = 0; row < encoded->num_rows; ++row) {
    const int64_t end = encoded->key_ends[static_cast<size_t>(row)];
    const KeySet::Answer answer = known_keys_.Insert(
        hashes[static_cast<size_t>(row)],
        std::string_view(encoded->keys)
            .substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    begin = end;
    if (answer == KeySet::Answer::kKnown) continue;
    // What is not remembered is compared when the table is frozen.
    if (answer == KeySet::Answer::kNotTaken) deduplicated_ = false;
    kept.push_back(static_cast<int32_t>(row));
  }
  duplicates_ += encoded->num_rows - static_cast<int64_t>(kept.size());
  return static_cast<int64_t>(kept.size()) < encoded->num_rows ? Select(kept, encoded)
                                                               : Status::OK();
}

Status AttemptWriter::Append(std::shared_ptr<Encoded> encoded) {
  auto* rows = static_cast<EncodedRows*>(encoded.get());
  if (finished_) return BugError("rows put into a finished attempt of table " + schema_.name);
  if (distinct_index_ >= 0 && rows->num_rows > 0) {
    duplicates_ += rows->dropped;
    CAPI_RETURN_NOT_OK(DropDuplicates(rows));
  }
  if (rows->num_rows == 0) return Status::OK();
  for (size_t i = 0; i < collectors_.size(); ++i) {
    CAPI_RETURN_NOT_OK(
        collectors_[i].Add(data::MakeRowId(batch_index_, rows_), std::move(rows->hashes[i])));
  }
  rows_ += rows->num_rows;
  if (rows->chunk.has_value()) {
    CAPI_RETURN_NOT_OK(WriteCollected());
    return WriteChunk(std::move(*rows->chunk));
  }
  if (collected_rows_ + rows->num_rows > kMaxChunkRows ||
      collected_text_bytes_ + rows->text_bytes > kCollectedTextBytes) {
    CAPI_RETURN_NOT_OK(WriteCollected());
  }
  collected_rows_ += rows->num_rows;
  collected_text_bytes_ += rows->text_bytes;
  collected_.push_back(std::move(rows->batch));
  return collected_rows_ >= kCollectedChunkRows ? WriteCollected() : Status::OK();
}

Status AttemptWriter::WriteCollected() {
  if (collected_.empty()) return Status::OK();
  Batch all = std::move(collected_[0]);
  if (collected_.size() > 1) {
    for (size_t f = 0; f < all.columns.size(); ++f) {
      if (all.columns[f] == nullptr) continue;
      std::vector<std::shared_ptr<arrow::Array>> pieces{all.columns[f]};
      for (size_t b = 1; b < collected_.size(); ++b) pieces.push_back(collected_[b].columns[f]);
      CAPI_ASSIGN_OR_RETURN(all.columns[f], data::Concatenate(pieces));
    }
    for (size_t g = 0; g < all.reference_rows.size(); ++g) {
      for (size_t b = 1; b < collected_.size(); ++b) {
        const std::vector<data::RowId>& more = collected_[b].reference_rows[g];
        all.reference_rows[g].insert(all.reference_rows[g].end(), more.begin(), more.end());
      }
    }
  }
  CAPI_ASSIGN_OR_RETURN(EncodedChunk chunk, EncodeChunk(layout_.types, collected_rows_, all.columns,
                                                        all.reference_rows));
  collected_.clear();
  collected_rows_ = 0;
  collected_text_bytes_ = 0;
  return WriteChunk(std::move(chunk));
}

Status AttemptWriter::WriteChunk(EncodedChunk chunk) {
  ChunkDescriptor descriptor;
  descriptor.rows = static_cast<uint32_t>(chunk.rows);
  chunks_.push_back(descriptor);
  for (BlockDescriptor& block : chunk.blocks) {
    block.offset += sink_.position();
    blocks_.push_back(block);
  }
  return sink_.Write(chunk.bytes.view());
}

Result<const SegmentSet*> AttemptWriter::WrittenRows() {
  if (written_rows_ == nullptr) {
    CAPI_ASSIGN_OR_RETURN(snapshot_, sink_.TakeSnapshot());
    SegmentSet::Parts parts;
    parts.layout = layout_;
    parts.files = {{snapshot_->mapping, snapshot_->path}};
    SegmentDescriptor segment;
    segment.offset = snapshot_->offset;
    segment.length = sink_.position();
    segment.rows = rows_;
    parts.segments = {segment};
    parts.chunks = chunks_;
    parts.blocks = blocks_;
    for (const ReferenceGroup& group : groups_) parts.sources.push_back(group.source);
    parts.first_batch = batch_index_;
    CAPI_ASSIGN_OR_RETURN(written_rows_, SegmentSet::Make(std::move(parts)));
  }
  return written_rows_.get();
}

Status AttemptWriter::WriteIndexes() {
  // Values are read in whole words and strings in whole steps, beyond the end of the last block:
  // also while nothing else is behind it yet.
  CAPI_RETURN_NOT_OK(sink_.WriteZeros(kAlignment));
  for (size_t i = 0; i < collectors_.size(); ++i) {
    const IndexSchema& index = schema_.indexes[i];
    CAPI_RETURN_NOT_OK(sink_.Align());
    IndexRun run;
    run.offset = sink_.position();
    EntryPageWriter pages([&](std::string_view bytes) { return sink_.Write(bytes); });
    KeyViolation violation;
    DuplicateFinder finder(
        &index, &key_fields_[i], [&] { return WrittenRows(); },
        [&](data::RowId first, data::RowId second) { violation.Offer(first, second); });
    const bool unique = index.unique && static_cast<int>(i) != distinct_index_;
    CAPI_RETURN_NOT_OK(collectors_[i].Finish([&](std::span<const IndexEntry> entries) {
      CAPI_RETURN_NOT_OK(context_.cancel.Check());
      if (unique) CAPI_RETURN_NOT_OK(finder.Add(entries));
      return pages.Add(entries);
    }));
    CAPI_RETURN_NOT_OK(finder.Finish());
    CAPI_RETURN_NOT_OK(pages.Finish());
    if (violation.found()) {
      CAPI_ASSIGN_OR_RETURN(const SegmentSet* rows, WrittenRows());
      return DuplicateKeyError(schema_.name, index, key_fields_[i], *rows, violation);
    }
    run.count = pages.count();
    runs_.push_back(run);
    page_checksums_.insert(page_checksums_.end(), pages.checksums().begin(),
                           pages.checksums().end());
  }
  return Status::OK();
}

Status AttemptWriter::WriteDirectory() {
  CAPI_RETURN_NOT_OK(sink_.Align());
  directory_ = sink_.position();
  const std::string layout = layout_.Serialize();
  AttemptHeader header;
  header.hash_version = data::kKeyHashVersion;
  header.batch_index = batch_index_;
  header.rows = rows_;
  header.num_slots = static_cast<uint32_t>(layout_.num_slots);
  header.num_chunks = static_cast<uint32_t>(chunks_.size());
  header.num_indexes = static_cast<uint32_t>(runs_.size());
  header.layout_bytes = static_cast<uint32_t>(layout.size());
  header.deduplicated = deduplicated_ ? 1 : 0;
  ByteWriter out;
  out.Put(header);
  out.PutBytes(layout);
  out.Align(alignof(int64_t));
  out.PutArray<ChunkDescriptor>(chunks_);
  out.PutArray<BlockDescriptor>(blocks_);
  out.PutArray<IndexRun>(runs_);
  out.PutArray<uint64_t>(page_checksums_);
  // Whole lines, so that reading a little beyond any block stays inside the attempt.
  out.Align(static_cast<size_t>(kAlignment));
  directory_checksum_ = Checksum(out.bytes());
  return sink_.Write(out.bytes());
}

Result<AttemptManifest> AttemptWriter::Finish() {
  if (finished_) return BugError("attempt finished twice: table " + schema_.name);
  CAPI_RETURN_NOT_OK(WriteCollected());
  finished_ = true;
  Manifest manifest;
  manifest.table = id_;
  manifest.batch = batch_index_;
  manifest.rows = rows_;
  if (rows_ > 0) {
    CAPI_RETURN_NOT_OK(WriteIndexes());
    CAPI_RETURN_NOT_OK(WriteDirectory());
    manifest.length = sink_.position();
    manifest.directory = directory_;
    manifest.checksum = directory_checksum_;
    for (const GroupLayout& group : layout_.groups) manifest.references.push_back(group.source);
    std::sort(manifest.references.begin(), manifest.references.end());
    manifest.references.erase(std::unique(manifest.references.begin(), manifest.references.end()),
                              manifest.references.end());
    CAPI_FAULT_POINT("store.before_finish");
    CAPI_ASSIGN_OR_RETURN(const SegmentFiles::Placement placement, sink_.Finish());
    manifest.SetRef(placement.file);
    manifest.offset = placement.offset;
  }
  AttemptManifest result;
  result.text = manifest.ToText();
  result.rows = rows_;
  result.duplicates = duplicates_;
  result.bytes = manifest.length;
  return result;
}

}  // namespace capi::store
