#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/exec/context.h"
#include "capi/store/index/duplicate_finder_internal.h"
#include "capi/store/index/index_merge_internal.h"
#include "capi/store/segment/directory_internal.h"
#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/segment/segment_set_internal.h"
#include "capi/store/table_store.h"

namespace capi::store {

/// Rows found to be duplicates: one bit per row, whole words per chunk. Mark is thread-safe.
class DeletionMap {
 public:
  explicit DeletionMap(const std::vector<ChunkDescriptor>& chunks);
  void Mark(SegmentSet::Location location);
  bool Contains(SegmentSet::Location location) const;
  /// Fills in the chunks' deletion fields; returns the bitmaps of those with deletions.
  std::string Finish(std::vector<ChunkDescriptor>* chunks) const;
  int64_t count() const;

 private:
  std::vector<uint64_t> words_;
  std::vector<size_t> first_words_;  // per chunk, and the end
};

/// One call of TableStore::FreezeTable.
class TableFreezer {
 public:
  TableFreezer(const exec::Context& context, SegmentFiles* files, TableId id, TableSchema schema,
               TableStore::Resolver resolver)
      : context_(context),
        files_(files),
        id_(std::move(id)),
        schema_(std::move(schema)),
        resolver_(std::move(resolver)) {}
  /// Removes the table file of a failed call.
  ~TableFreezer();

  Result<FreezeResult> Run(const std::vector<std::string>& attempts);

 private:
  Status ReadAttempts(const std::vector<std::string>& attempts);
  Status BeginFetchOfDirectory(const Manifest& manifest);
  Status AddAttempt(const Manifest& manifest);
  Status OpenRows();
  Status WriteIndex(size_t position, IndexDescriptor* descriptor);
  Status ReuseRun(size_t position, IndexDescriptor* descriptor);
  Status MergeIndex(size_t position, IndexDescriptor* descriptor);
  Status WriteDirectory(std::vector<IndexDescriptor> indexes);
  bool IsDistinct(size_t position) const {
    return !schema_.distinct_index.empty() &&
           schema_.indexes[position].name == schema_.distinct_index;
  }

  const exec::Context context_;
  SegmentFiles* const files_;
  const TableId id_;
  const TableSchema schema_;
  const TableStore::Resolver resolver_;

  std::string layout_text_;  // of the first attempt with rows
  TableLayout layout_;
  std::vector<uint64_t> file_ids_;
  std::vector<SharedFileDescriptor> shared_files_;                   // per file
  std::map<std::pair<uint64_t, int64_t>, uint32_t> file_positions_;  // by id and owner
  std::vector<std::shared_ptr<MappedFile>> ahead_;                   // being fetched
  std::vector<SegmentSet::File> file_views_;
  std::vector<std::shared_ptr<MappedFile>> outgrown_;  // mappings that runs_ still point into
  std::vector<SegmentDescriptor> segments_;
  std::vector<ChunkDescriptor> chunks_;
  std::vector<BlockDescriptor> blocks_;
  /// Per index, the runs of the attempts with rows; runs_[i][0] is that of first_segment_.
  std::vector<std::vector<std::unique_ptr<EntryRun>>> runs_;
  std::vector<std::vector<uint64_t>> page_checksums_;  // per index, of the finished run
  /// Attempt-relative place of the first attempt's run per index, for reuse.
  std::vector<IndexRun> first_runs_;
  std::vector<std::vector<uint64_t>> first_checksums_;
  size_t first_segment_ = 0;
  int num_nonempty_ = 0;
  bool deduplicated_ = true;
  int64_t physical_rows_ = 0;

  std::shared_ptr<const SegmentSet> rows_;
  std::unique_ptr<DeletionMap> deletions_;
  int64_t num_deleted_ = 0;
  std::vector<std::vector<int>> key_fields_;
  std::unique_ptr<SequentialFile> file_;
  Manifest manifest_;
};

}  // namespace capi::store
