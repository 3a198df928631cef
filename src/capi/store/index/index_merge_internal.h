#pragma once

// Merging the sorted runs of many attempts into one.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/exec/context.h"
#include "capi/exec/memory.h"
#include "capi/store/index/entry_run_internal.h"
#include "capi/store/segment/segment_files_internal.h"

namespace capi::store {

/// Sorted entries of one range of hashes.
struct MergedRange {
  std::unique_ptr<IndexEntry[]> entries;
  int64_t count = 0;
  exec::Reservation reservation;
};

/// Merges by ranges of hashes: `check` sees a whole range (all entries of a hash together; it may
/// remove entries) in parallel with others, `emit` gets the ranges in order.
Status MergeRuns(const exec::Context& context, const std::vector<const EntryRun*>& runs,
                 const std::function<Status(MergedRange*)>& check,
                 const std::function<Status(std::span<const IndexEntry>)>& emit);

/// Builds the bucket table of an index from its entries in order.
class BucketWriter {
 public:
  /// `most` is an upper bound of the number of entries.
  BucketWriter(const exec::Context& context, int64_t most);
  Status Add(std::span<const IndexEntry> entries);
  /// Writes the table to the end of the file and fills the descriptor's bucket fields and count.
  Status Finish(SequentialFile* file, IndexDescriptor* descriptor);

 private:
  Status PutOffset();

  const exec::Context context_;
  uint32_t bits_ = 1;
  uint32_t width_ = 4;
  uint64_t next_bucket_ = 0;
  int64_t count_ = 0;
  std::string bytes_;
  std::unique_ptr<exec::SpillFile> spilled_;
};

}  // namespace capi::store
