#include <algorithm>
#include <utility>

#include "capi/store/index/index_collector_internal.h"

namespace capi::store {

namespace {

/// A hash while collecting, an entry and its copy while sorting.
constexpr int64_t kBytesPerRow = 8 + 2 * static_cast<int64_t>(sizeof(IndexEntry));
/// Runs are not made shorter than this even when memory is scarce.
constexpr int64_t kMinRunEntries = int64_t{1} << 16;
constexpr size_t kMergeBlock = 16384;

/// One run of a merge.
struct Cursor {
  const IndexEntry* at;
  const IndexEntry* end;
};

/// Heap order: the smallest entry on top.
bool Later(const Cursor& left, const Cursor& right) { return *right.at < *left.at; }

Status Merge(std::vector<Cursor> cursors,
             const std::function<Status(std::span<const IndexEntry>)>& emit) {
  std::erase_if(cursors, [](const Cursor& cursor) { return cursor.at == cursor.end; });
  std::make_heap(cursors.begin(), cursors.end(), Later);
  std::vector<IndexEntry> block;
  block.reserve(kMergeBlock);
  while (!cursors.empty()) {
    std::pop_heap(cursors.begin(), cursors.end(), Later);
    Cursor& smallest = cursors.back();
    block.push_back(*smallest.at++);
    if (smallest.at == smallest.end) {
      cursors.pop_back();
    } else {
      std::push_heap(cursors.begin(), cursors.end(), Later);
    }
    if (block.size() == kMergeBlock) {
      CAPI_RETURN_NOT_OK(emit(block));
      block.clear();
    }
  }
  return block.empty() ? Status::OK() : emit(block);
}

}  // namespace

Status IndexCollector::Add(data::RowId first_row, std::vector<uint64_t> hashes) {
  const auto rows = static_cast<int64_t>(hashes.size());
  if (rows == 0) return Status::OK();
  if (!reservation_.TryGrow(rows * kBytesPerRow)) {
    if (held_ >= kMinRunEntries) CAPI_RETURN_NOT_OK(Spill());
    reservation_.ForceGrow(rows * kBytesPerRow);
  }
  count_ += rows;
  held_ += rows;
  // Tiny pieces that follow one another are joined.
  if (!pieces_.empty()) {
    HashedRows& last = pieces_.back();
    const auto size = static_cast<int64_t>(last.hashes.size());
    if (last.first_row + size == first_row && size + rows <= kMinRunEntries) {
      last.hashes.insert(last.hashes.end(), hashes.begin(), hashes.end());
      return Status::OK();
    }
  }
  pieces_.push_back({first_row, std::move(hashes)});
  return Status::OK();
}

Status IndexCollector::Spill() {
  CAPI_ASSIGN_OR_RETURN(const auto entries, SortedEntries(pieces_, held_, context_.pool));
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<exec::SpillFile> run, exec::NewSpillFile(context_));
  CAPI_RETURN_NOT_OK(run->Append({reinterpret_cast<const char*>(entries.get()),
                                  static_cast<size_t>(held_) * sizeof(IndexEntry)}));
  runs_.push_back(std::move(run));
  pieces_.clear();
  held_ = 0;
  reservation_.Clear();
  return Status::OK();
}

Status IndexCollector::Finish(const std::function<Status(std::span<const IndexEntry>)>& emit) {
  std::unique_ptr<IndexEntry[]> entries;
  if (held_ > 0) {
    CAPI_ASSIGN_OR_RETURN(entries, SortedEntries(pieces_, held_, context_.pool));
  }
  pieces_.clear();
  if (runs_.empty()) {
    return held_ == 0 ? Status::OK() : emit({entries.get(), static_cast<size_t>(held_)});
  }
  std::vector<Cursor> cursors;
  for (const std::unique_ptr<exec::SpillFile>& run : runs_) {
    CAPI_ASSIGN_OR_RETURN(const std::string_view bytes, run->FinishAndMap());
    const auto* begin = reinterpret_cast<const IndexEntry*>(bytes.data());
    cursors.push_back({begin, begin + bytes.size() / sizeof(IndexEntry)});
  }
  cursors.push_back({entries.get(), entries.get() + held_});
  return Merge(std::move(cursors), emit);
}

}  // namespace capi::store
