#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <utility>

#include "capi/store/index/entry_sort_internal.h"

namespace capi::store {

namespace {

std::atomic<uint64_t> hash_mask{~uint64_t{0}};

/// Each further pass looks at this many bits.
constexpr int kRadixBits = 8;
constexpr size_t kRadixBuckets = size_t{1} << kRadixBits;
/// The first pass makes buckets of about this many entries, which fit the second-level cache ...
constexpr int64_t kFirstBucketEntries = 4096;
/// ... but not more buckets than write streams the processor can follow.
constexpr int kMaxFirstBits = 11;
constexpr int64_t kInsertionSortEntries = 24;

void InsertionSort(IndexEntry* entries, int64_t count) {
  for (int64_t i = 1; i < count; ++i) {
    const IndexEntry entry = entries[i];
    int64_t at = i;
    while (at > 0 && entry < entries[at - 1]) {
      entries[at] = entries[at - 1];
      --at;
    }
    entries[at] = entry;
  }
}

/// Sorts entries whose hashes agree above bit `shift` + kRadixBits.
void SortBucket(IndexEntry* entries, int64_t count, int shift, IndexEntry* scratch) {
  if (count <= kInsertionSortEntries) {
    InsertionSort(entries, count);
    return;
  }
  if (shift < 0) {
    std::sort(entries, entries + count);
    return;
  }
  std::array<uint32_t, kRadixBuckets + 1> ends{};
  for (int64_t i = 0; i < count; ++i) {
    ++ends[((entries[i].hash >> shift) & (kRadixBuckets - 1)) + 1];
  }
  const uint32_t largest = *std::max_element(ends.begin() + 1, ends.end());
  if (static_cast<int64_t>(largest) == count) {
    // All alike in these bits: entries of few keys would go through every pass in vain.
    if (std::is_sorted(entries, entries + count)) return;
    SortBucket(entries, count, shift - kRadixBits, scratch);
    return;
  }
  for (size_t b = 1; b <= kRadixBuckets; ++b) ends[b] += ends[b - 1];
  std::array<uint32_t, kRadixBuckets> next;
  std::copy_n(ends.begin(), kRadixBuckets, next.begin());
  for (int64_t i = 0; i < count; ++i) {
    scratch[next[(entries[i].hash >> shift) & (kRadixBuckets - 1)]++] = entries[i];
  }
  std::memcpy(entries, scratch, static_cast<size_t>(count) * sizeof(IndexEntry));
  for (size_t b = 0; b < kRadixBuckets; ++b) {
    const int64_t size = ends[b + 1] - ends[b];
    if (size > 1) {
      SortBucket(entries + ends[b], size, shift - kRadixBits, scratch + ends[b]);
    }
  }
}

int FirstBits(int64_t count) {
  const auto buckets = static_cast<uint64_t>(count / kFirstBucketEntries);
  return std::clamp(static_cast<int>(std::bit_width(buckets)), 1, kMaxFirstBits);
}

}  // namespace

void SetIndexHashBitsForTesting(int bits) {
  hash_mask = bits >= kHashBits ? ~uint64_t{0} : ~(~uint64_t{0} >> bits);
}

Status HashIndexKeys(const std::vector<data::KeyComponent>& components,
                     const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows,
                     uint64_t* hashes) {
  CAPI_RETURN_NOT_OK(data::HashKeys(components, columns, num_rows, hashes));
  const uint64_t mask = hash_mask.load(std::memory_order_relaxed);
  if (mask != ~uint64_t{0}) {
    for (int64_t i = 0; i < num_rows; ++i) hashes[i] &= mask;
  }
  return Status::OK();
}

Result<std::unique_ptr<IndexEntry[]>> SortedEntries(const std::vector<HashedRows>& pieces,
                                                    int64_t count, exec::TaskPool* pool) {
  auto entries = std::make_unique_for_overwrite<IndexEntry[]>(static_cast<size_t>(count));
  const int bits = FirstBits(count);
  const int shift = kHashBits - bits;
  const size_t buckets = size_t{1} << bits;
  std::vector<int64_t> ends(buckets + 1, 0);
  for (const HashedRows& piece : pieces) {
    for (const uint64_t hash : piece.hashes) ++ends[(hash >> shift) + 1];
  }
  int64_t largest = 0;
  for (size_t b = 1; b <= buckets; ++b) {
    largest = std::max(largest, ends[b]);
    ends[b] += ends[b - 1];
  }
  std::vector<int64_t> next(ends.begin(), ends.end() - 1);
  for (const HashedRows& piece : pieces) {
    data::RowId row = piece.first_row;
    for (const uint64_t hash : piece.hashes) entries[next[hash >> shift]++] = {hash, row++};
  }
  // Buckets are independent; groups of them make tasks of a useful size.
  constexpr int64_t kTaskEntries = int64_t{1} << 17;
  std::vector<size_t> tasks{0};
  for (size_t b = 1; b <= buckets; ++b) {
    if (b == buckets || ends[b] - ends[tasks.back()] >= kTaskEntries) tasks.push_back(b);
  }
  const auto sort_task = [&](int64_t task) {
    auto scratch = std::make_unique_for_overwrite<IndexEntry[]>(static_cast<size_t>(largest));
    for (size_t b = tasks[static_cast<size_t>(task)]; b < tasks[static_cast<size_t>(task) + 1];
         ++b) {
      SortBucket(entries.get() + ends[b], ends[b + 1] - ends[b], shift - kRadixBits, scratch.get());
    }
    return Status::OK();
  };
  const auto num_tasks = static_cast<int64_t>(tasks.size()) - 1;
  if (pool == nullptr || num_tasks == 1) {
    for (int64_t task = 0; task < num_tasks; ++task) CAPI_RETURN_NOT_OK(sort_task(task));
  } else {
    CAPI_RETURN_NOT_OK(exec::ParallelFor(pool, num_tasks, sort_task));
  }
  return entries;
}

void SortEntries(IndexEntry* entries, int64_t count, IndexEntry* scratch) {
  SortBucket(entries, count, kHashBits - kRadixBits, scratch);
}

}  // namespace capi::store
