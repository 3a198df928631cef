#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <utility>

#include "capi/exec/ordered_pipeline.h"
#include "capi/store/index/entry_sort_internal.h"
#include "capi/store/index/index_merge_internal.h"

namespace capi::store {

namespace {

/// Entries of a range, about.
constexpr int64_t kRangeEntries = int64_t{1} << 18;
/// Ranges with more than this are halved.
constexpr int64_t kMaxRangeEntries = 2 * kRangeEntries;
/// Entries of a bucket, about.
constexpr int64_t kBucketEntries = 4;
constexpr size_t kBucketBufferBytes = size_t{4} << 20;

struct Slice {
  const EntryRun* run;
  int64_t begin;
  int64_t end;
};

struct RangePlan {
  std::vector<Slice> slices;
  int64_t count = 0;
};

/// Cuts the runs into ranges of hashes, from the smallest up.
class RangePlanner {
 public:
  explicit RangePlanner(const std::vector<const EntryRun*>& runs)
      : runs_(runs), cursors_(runs.size(), 0) {
    int64_t total = 0;
    for (const EntryRun* run : runs) total += run->count();
    const int bits = std::bit_width(static_cast<uint64_t>(total / kRangeEntries));
    // Last range at the bottom of the stack.
    const uint64_t last = bits == 0 ? 0 : (uint64_t{1} << bits) - 1;
    for (uint64_t range = last;; --range) {
      const uint64_t low = bits == 0 ? 0 : range << (kHashBits - bits);
      const uint64_t high = bits == 0 ? ~uint64_t{0} : low | (~uint64_t{0} >> bits);
      pending_.push_back({low, high});
      if (range == 0) break;
    }
  }

  Result<std::optional<RangePlan>> Next() {
    while (!pending_.empty()) {
      const Range range = pending_.back();
      pending_.pop_back();
      RangePlan plan;
      std::vector<int64_t> ends(runs_.size());
      for (size_t r = 0; r < runs_.size(); ++r) {
        const int64_t begin = cursors_[r];
        ends[r] = runs_[r]->count();
        if (range.high != ~uint64_t{0} && begin < ends[r]) {
          CAPI_ASSIGN_OR_RETURN(ends[r], runs_[r]->LowerBound(range.high + 1, begin));
        }
        if (begin < ends[r]) plan.slices.push_back({runs_[r], begin, ends[r]});
        plan.count += ends[r] - begin;
      }
      if (plan.count == 0) continue;
      if (plan.count > kMaxRangeEntries && range.low < range.high) {
        const uint64_t middle = range.low + (range.high - range.low) / 2;
        pending_.push_back({middle + 1, range.high});
        pending_.push_back({range.low, middle});
        continue;
      }
      cursors_ = std::move(ends);
      return std::optional<RangePlan>(std::move(plan));
    }
    return std::optional<RangePlan>();
  }

 private:
  struct Range {
    uint64_t low;
    uint64_t high;  // inclusive
  };
  const std::vector<const EntryRun*>& runs_;
  std::vector<int64_t> cursors_;
  std::vector<Range> pending_;
};

Result<std::shared_ptr<MergedRange>> MergeRange(const exec::Context& context,
                                                const RangePlan& plan) {
  auto merged = std::make_shared<MergedRange>();
  const auto count = static_cast<size_t>(plan.count);
  // Ranges are as small as they can be: without them nothing can be merged.
  merged->reservation = exec::Reservation(context.memory);
  merged->reservation.ForceGrow(2 * plan.count * static_cast<int64_t>(sizeof(IndexEntry)));
  merged->entries = std::make_unique_for_overwrite<IndexEntry[]>(count);
  for (const Slice& slice : plan.slices) {
    CAPI_RETURN_NOT_OK(slice.run->Touch(slice.begin, slice.end));
    std::copy(slice.run->entries() + slice.begin, slice.run->entries() + slice.end,
              merged->entries.get() + merged->count);
    merged->count += slice.end - slice.begin;
  }
  if (plan.slices.size() > 1) {
    const auto scratch = std::make_unique_for_overwrite<IndexEntry[]>(count);
    SortEntries(merged->entries.get(), merged->count, scratch.get());
  }
  merged->reservation.Shrink(plan.count * static_cast<int64_t>(sizeof(IndexEntry)));
  return merged;
}

}  // namespace

Status MergeRuns(const exec::Context& context, const std::vector<const EntryRun*>& runs,
                 const std::function<Status(MergedRange*)>& check,
                 const std::function<Status(std::span<const IndexEntry>)>& emit) {
  RangePlanner planner(runs);
  using Merged = std::shared_ptr<MergedRange>;
  return exec::OrderedPipeline<RangePlan, Merged>(
      context.pool, context.cancel, /*window=*/0, [&] { return planner.Next(); },
      [&](RangePlan plan) -> Result<Merged> {
        CAPI_ASSIGN_OR_RETURN(Merged merged, MergeRange(context, plan));
        CAPI_RETURN_NOT_OK(check(merged.get()));
        return merged;
      },
      [&](Merged merged) {
        return emit({merged->entries.get(), static_cast<size_t>(merged->count)});
      });
}

BucketWriter::BucketWriter(const exec::Context& context, int64_t most) : context_(context) {
  bits_ = static_cast<uint32_t>(
      std::max(1, static_cast<int>(std::bit_width(static_cast<uint64_t>(most / kBucketEntries)))));
  width_ = most > std::numeric_limits<uint32_t>::max() ? 8 : 4;
}

Status BucketWriter::PutOffset() {
  bytes_.append(reinterpret_cast<const char*>(&count_), width_);
  ++next_bucket_;
  if (bytes_.size() < kBucketBufferBytes) return Status::OK();
  if (spilled_ == nullptr) {
    CAPI_ASSIGN_OR_RETURN(spilled_, exec::NewSpillFile(context_));
  }
  CAPI_RETURN_NOT_OK(spilled_->Append(bytes_));
  bytes_.clear();
  return Status::OK();
}

Status BucketWriter::Add(std::span<const IndexEntry> entries) {
  const uint32_t shift = kHashBits - bits_;
  for (const IndexEntry& entry : entries) {
    const uint64_t bucket = entry.hash >> shift;
    while (next_bucket_ <= bucket) CAPI_RETURN_NOT_OK(PutOffset());
    ++count_;
  }
  return Status::OK();
}

Status BucketWriter::Finish(SequentialFile* file, IndexDescriptor* descriptor) {
  const uint64_t last = uint64_t{1} << bits_;
  while (next_bucket_ <= last) CAPI_RETURN_NOT_OK(PutOffset());
  CAPI_RETURN_NOT_OK(file->Align());
  descriptor->bucket_bits = bits_;
  descriptor->bucket_width = width_;
  descriptor->count = count_;
  descriptor->buckets_offset = file->size();
  if (spilled_ == nullptr) {
    descriptor->buckets_checksum = Checksum(bytes_);
    return file->Append(bytes_);
  }
  CAPI_RETURN_NOT_OK(spilled_->Append(bytes_));
  CAPI_ASSIGN_OR_RETURN(const std::string_view all, spilled_->FinishAndMap());
  descriptor->buckets_checksum = Checksum(all);
  constexpr size_t kStep = size_t{1} << 20;
  for (size_t at = 0; at < all.size(); at += kStep) {
    CAPI_RETURN_NOT_OK(file->Append(all.substr(at, kStep)));
  }
  return Status::OK();
}

}  // namespace capi::store
