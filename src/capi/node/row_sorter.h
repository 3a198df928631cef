#pragma once

// Order of rows for `top` (spec/script.md 10): compact sort keys over row ids. Values are not kept;
// they are gathered again block by block when the sorted rows are written.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capi/exec/context.h"
#include "capi/node/field_programs.h"
#include "capi/node/node.h"

namespace capi::node {

/// The rows of one batch in their final order.
class SortedRows {
 public:
  virtual ~SortedRows() = default;
  /// in, filtered and beyond_limit.
  virtual const RowCounts& counts() const = 0;
  /// Up to `max_rows` next row ids, nullopt at the end. One thread at a time.
  virtual Result<std::optional<std::vector<data::RowId>>> Next(int64_t max_rows) = 0;
};

/// How the rows of a table_file node with `top` are ordered. Thread-safe.
class SortPlan {
 public:
  static Result<std::unique_ptr<SortPlan>> Make(const NodeSetup& setup);
  virtual ~SortPlan() = default;
  /// Scans the batch's rows, computes the order columns, applies having, sorts; equal keys keep
  /// row-id order. Sorted runs are spilled when the memory budget is short.
  virtual Result<std::unique_ptr<SortedRows>> Sort(const exec::Context& context,
                                                   int64_t batch_index) const = 0;
};

}  // namespace capi::node
