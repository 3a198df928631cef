#pragma once

// Matching when the right side does not fit the memory budget: both sides are partitioned by key
// hash into spill files, partitions are joined in memory, and the matches are merged by left row
// (architecture P4). Everything is read sequentially.

#include <cstdint>
#include <memory>

#include "capi/node/lookup_internal.h"

namespace capi::node {

/// The right side of a lookup node, partitioned once and shared by all batches. Thread-safe.
class PartitionedRight {
 public:
  /// Partitions the rows by the top bits of their key hash so that one takes about
  /// `partition_bytes`.
  static Result<std::unique_ptr<PartitionedRight>> Make(const exec::Context& context,
                                                        const NodeSetup& setup,
                                                        const LookupPlan& plan,
                                                        int64_t partition_bytes);
  virtual ~PartitionedRight() = default;
};

/// Bytes of index entries, keys and needed fields of the right side (strings estimated).
int64_t EstimateRightBytes(const NodeSetup& setup, const LookupPlan& plan);

/// Joins the batch's left rows with all partitions; `right` must outlive the source.
Result<std::unique_ptr<MatchSource>> OpenPartitionedMatches(const exec::Context& context,
                                                            const NodeSetup& setup,
                                                            const LookupPlan& plan,
                                                            const PartitionedRight* right,
                                                            int64_t batch_index);

}  // namespace capi::node
