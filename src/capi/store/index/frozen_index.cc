#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/key.h"
#include "capi/store/index/duplicate_finder_internal.h"
#include "capi/store/index/entry_sort_internal.h"
#include "capi/store/index/frozen_index_internal.h"

namespace capi::store {

namespace {

/// Left rows whose cache misses overlap.
constexpr int64_t kProbeBlock = 256;
/// Candidates are compared when there are this many.
constexpr size_t kCompareCandidates = 8192;
/// Longer buckets (few different hashes) are searched by halving.
constexpr int64_t kLongBucket = 16;

template <typename Offset>
int64_t LoadOffset(const uint8_t* buckets, uint64_t bucket) {
  Offset offset;
  std::memcpy(&offset, buckets + bucket * sizeof(Offset), sizeof(Offset));
  return static_cast<int64_t>(offset);
}

}  // namespace

Result<std::shared_ptr<const Index>> FrozenIndex::Open(std::shared_ptr<const FrozenTable> table,
                                                       const std::string& name) {
  const int position = table->IndexPosition(name);
  if (position < 0) {
    return BugError("table " + table->id().name + " has no index " + name);
  }
  std::shared_ptr<FrozenIndex> index(new FrozenIndex());
  index->schema_ = &table->schema().indexes[static_cast<size_t>(position)];
  CAPI_ASSIGN_OR_RETURN(index->key_fields_, KeyFieldsOf(table->schema(), *index->schema_));
  CAPI_ASSIGN_OR_RETURN(const FrozenTable::IndexPlace* place, table->OpenIndexPlace(position));
  index->entries_ = place->entries;
  index->count_ = place->descriptor.count;
  index->buckets_ = table->BucketsOf(*place);
  index->bucket_width_ = place->descriptor.bucket_width;
  index->shift_ = kHashBits - static_cast<int>(place->descriptor.bucket_bits);
  index->table_ = std::move(table);
  return index;
}

int64_t FrozenIndex::BucketBegin(uint64_t bucket) const {
  return bucket_width_ == 4 ? LoadOffset<uint32_t>(buckets_, bucket)
                            : LoadOffset<uint64_t>(buckets_, bucket);
}

Result<int64_t> FrozenIndex::LowerBound(uint64_t hash) const {
  if (count_ == 0) return 0;
  const uint64_t bucket = hash >> shift_;
  CAPI_RETURN_NOT_OK(entries_->Touch(BucketBegin(bucket), BucketBegin(bucket + 1)));
  const IndexEntry* entries = entries_->entries();
  const IndexEntry* found = std::lower_bound(
      entries + BucketBegin(bucket), entries + BucketBegin(bucket + 1), hash,
      [](const IndexEntry& entry, uint64_t wanted) { return entry.hash < wanted; });
  return found - entries;
}

Status FrozenIndex::ReadEntries(int64_t begin, int64_t end, std::vector<uint64_t>* hashes,
                                std::vector<data::RowId>* rows) const {
  if (begin < 0 || begin > end || end > count_) {
    return BugError("entries outside the index are read: " + schema_->name);
  }
  CAPI_RETURN_NOT_OK(entries_->Touch(begin, end));
  const auto n = static_cast<size_t>(end - begin);
  hashes->resize(n);
  rows->resize(n);
  const IndexEntry* entries = entries_->entries() + begin;
  for (size_t i = 0; i < n; ++i) {
    (*hashes)[i] = entries[i].hash;
    (*rows)[i] = entries[i].row;
  }
  return Status::OK();
}

Status FrozenIndex::Compare(KeyMatcher* matcher, Candidates* candidates,
                            std::vector<int32_t>* left_rows, std::vector<data::RowId>* right_rows) {
  const size_t n = candidates->left.size();
  candidates->equal.resize(n);
  CAPI_RETURN_NOT_OK(matcher->Match(candidates->left.data(), candidates->right.data(),
                                    static_cast<int64_t>(n), candidates->equal.data()));
  // Nearly all are equal: written without branches, then cut.
  size_t found = left_rows->size();
  left_rows->resize(found + n);
  right_rows->resize(found + n);
  for (size_t i = 0; i < n; ++i) {
    (*left_rows)[found] = static_cast<int32_t>(candidates->left[i]);
    (*right_rows)[found] = candidates->right[i];
    found += candidates->equal[i];
  }
  left_rows->resize(found);
  right_rows->resize(found);
  candidates->left.clear();
  candidates->right.clear();
  return Status::OK();
}

template <typename Offset>
Status FrozenIndex::FindCandidates(const uint64_t* hashes, int64_t n,
                                   const std::vector<std::shared_ptr<arrow::Array>>& keys,
                                   std::vector<int32_t>* left_rows,
                                   std::vector<data::RowId>* right_rows) const {
  const IndexEntry* entries = entries_->entries();
  CAPI_ASSIGN_OR_RETURN(KeyMatcher matcher, KeyMatcher::Make(&table_->rows(), &schema_->components,
                                                             &key_fields_, &keys));
  const bool remote = entries_->remote();
  Candidates candidates;
  candidates.left.reserve(kCompareCandidates);
  candidates.right.reserve(kCompareCandidates);
  std::array<int64_t, kProbeBlock> begins;
  std::array<int64_t, kProbeBlock> ends;
  for (int64_t block = 0; block < n; block += kProbeBlock) {
    const auto count = static_cast<size_t>(std::min(kProbeBlock, n - block));
    const uint64_t* wanted = hashes + block;
    for (size_t i = 0; i < count; ++i) {
      __builtin_prefetch(buckets_ + (wanted[i] >> shift_) * sizeof(Offset));
    }
    for (size_t i = 0; i < count; ++i) {
      const uint64_t bucket = wanted[i] >> shift_;
      begins[i] = LoadOffset<Offset>(buckets_, bucket);
      ends[i] = LoadOffset<Offset>(buckets_, bucket + 1);
      __builtin_prefetch(entries + begins[i]);
      // A bucket may begin anywhere in a cache line.
      __builtin_prefetch(entries + begins[i] + 3);
    }
    if (remote) {
      for (size_t i = 0; i < count; ++i) {
        entries_->BeginFetch(begins[i], ends[i], MappedFile::Need::kNow);
      }
    }
    for (size_t i = 0; i < count; ++i) {
      const uint64_t hash = wanted[i];
      CAPI_RETURN_NOT_OK(entries_->Touch(begins[i], ends[i]));
      const IndexEntry* entry = entries + begins[i];
      const IndexEntry* end = entries + ends[i];
      if (end - entry > kLongBucket) {
        entry = std::lower_bound(entry, end, hash, [](const IndexEntry& left, uint64_t right) {
          return left.hash < right;
        });
      }
      while (entry != end && entry->hash < hash) ++entry;
      for (; entry != end && entry->hash == hash; ++entry) {
        candidates.left.push_back(block + static_cast<int64_t>(i));
        candidates.right.push_back(entry->row);
        if (candidates.left.size() == kCompareCandidates) {
          CAPI_RETURN_NOT_OK(Compare(&matcher, &candidates, left_rows, right_rows));
        }
      }
    }
  }
  return candidates.left.empty() ? Status::OK()
                                 : Compare(&matcher, &candidates, left_rows, right_rows);
}

Status FrozenIndex::Find(const std::vector<std::shared_ptr<arrow::Array>>& keys, int64_t n,
                         std::vector<int32_t>* left_rows,
                         std::vector<data::RowId>* right_rows) const {
  left_rows->clear();
  right_rows->clear();
  if (keys.size() != key_fields_.size()) {
    return BugError("index " + schema_->name + " is asked with another number of key columns");
  }
  for (const std::shared_ptr<arrow::Array>& key : keys) {
    if (key->length() < n) return BugError("key column is too short for index " + schema_->name);
  }
  if (n == 0 || count_ == 0) return Status::OK();
  std::vector<uint64_t> hashes(static_cast<size_t>(n));
  CAPI_RETURN_NOT_OK(HashIndexKeys(schema_->components, keys, n, hashes.data()));
  return bucket_width_ == 4
             ? FindCandidates<uint32_t>(hashes.data(), n, keys, left_rows, right_rows)
             : FindCandidates<uint64_t>(hashes.data(), n, keys, left_rows, right_rows);
}

}  // namespace capi::store
