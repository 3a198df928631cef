#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capi/exec/context.h"
#include "capi/store/index/index_collector_internal.h"
#include "capi/store/segment/chunk_builder_internal.h"
#include "capi/store/segment/layout_internal.h"
#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/segment/segment_set_internal.h"
#include "capi/store/table_store.h"
#include "capi/store/writer/attempt_sink_internal.h"
#include "capi/store/writer/key_set_internal.h"

namespace capi::store {

/// Batches of at least this many rows become a chunk of their own in Encode; smaller ones are
/// collected.
constexpr int64_t kDirectChunkRows = 8192;
/// Collected batches become a chunk when they have this many rows ...
constexpr int64_t kCollectedChunkRows = 32768;
/// ... or string bytes.
constexpr int64_t kCollectedTextBytes = int64_t{64} << 20;

class AttemptWriter : public TableWriter {
 public:
  static Result<std::unique_ptr<TableWriter>> Make(const exec::Context& context,
                                                   SegmentFiles* files, const TableId& id,
                                                   const TableSchema& schema, int64_t batch_index,
                                                   std::vector<ReferenceGroup> groups);

  Result<std::shared_ptr<Encoded>> Encode(const Batch& batch) const override;
  Status Append(std::shared_ptr<Encoded> encoded) override;
  Result<AttemptManifest> Finish() override;

 private:
  /// What Encode makes: either a chunk, or the batch as it is.
  struct EncodedRows : Encoded {
    int64_t num_rows = 0;
    std::optional<EncodedChunk> chunk;
    Batch batch;
    std::vector<std::vector<uint64_t>> hashes;  // per index
    int64_t dropped = 0;                        // rows whose key came earlier in the batch
    // Keys of the distinct index.
    std::string keys;
    std::vector<int64_t> key_ends;
    int64_t text_bytes = 0;
  };

  AttemptWriter(const exec::Context& context, SegmentFiles* files, const TableId& id,
                const TableSchema& schema, int64_t batch_index, std::vector<ReferenceGroup> groups)
      : context_(context),
        id_(id),
        schema_(schema),
        batch_index_(batch_index),
        groups_(std::move(groups)),
        sink_(files, id.run_id),
        known_keys_(context.memory) {}

  Status Check(const Batch& batch) const;
  Result<std::vector<std::shared_ptr<arrow::Array>>> KeyColumns(size_t index,
                                                                const Batch& batch) const;
  /// Keeps only the given rows.
  static Status Select(const std::vector<int32_t>& rows, EncodedRows* encoded);
  Status DropDuplicates(EncodedRows* encoded);
  Status WriteChunk(EncodedChunk chunk);
  Status WriteCollected();
  Status WriteIndexes();
  Status WriteDirectory();
  Result<const SegmentSet*> WrittenRows();

  const exec::Context context_;
  const TableId id_;
  const TableSchema schema_;
  const int64_t batch_index_;
  const std::vector<ReferenceGroup> groups_;
  TableLayout layout_;
  std::vector<std::vector<int>> key_fields_;  // per index
  int distinct_index_ = -1;

  AttemptSink sink_;
  std::vector<ChunkDescriptor> chunks_;
  std::vector<BlockDescriptor> blocks_;
  std::vector<Batch> collected_;
  int64_t collected_rows_ = 0;
  int64_t collected_text_bytes_ = 0;
  int64_t rows_ = 0;
  int64_t duplicates_ = 0;
  KeySet known_keys_;
  bool deduplicated_ = true;
  bool finished_ = false;
  std::vector<IndexCollector> collectors_;
  std::vector<IndexRun> runs_;
  std::vector<uint64_t> page_checksums_;  // of all runs
  int64_t directory_ = 0;
  uint64_t directory_checksum_ = 0;
  std::unique_ptr<AttemptSink::Snapshot> snapshot_;
  std::shared_ptr<const SegmentSet> written_rows_;
};

}  // namespace capi::store
