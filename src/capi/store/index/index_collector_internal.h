#pragma once

// Collects the key hashes of an attempt for one index and yields them sorted.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "capi/base/status.h"
#include "capi/exec/context.h"
#include "capi/exec/memory.h"
#include "capi/store/index/entry_sort_internal.h"

namespace capi::store {

/// One thread at a time. Spills sorted runs when the memory budget is used up.
class IndexCollector {
 public:
  explicit IndexCollector(const exec::Context& context)
      : context_(context), reservation_(context.memory) {}

  /// Rows in ascending order over all calls.
  Status Add(data::RowId first_row, std::vector<uint64_t> hashes);
  /// Hands all entries to `emit`, sorted, in blocks.
  Status Finish(const std::function<Status(std::span<const IndexEntry>)>& emit);
  int64_t count() const { return count_; }

 private:
  Status Spill();

  exec::Context context_;
  exec::Reservation reservation_;
  std::vector<HashedRows> pieces_;
  int64_t held_ = 0;  // rows in pieces_
  int64_t count_ = 0;
  std::vector<std::unique_ptr<exec::SpillFile>> runs_;
};

}  // namespace capi::store
