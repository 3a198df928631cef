#include <algorithm>

#include "capi/store/index/entry_run_internal.h"
#include "capi/store/segment/segment_files_internal.h"

namespace capi::store {

namespace {

constexpr auto kEntryBytes = static_cast<int64_t>(sizeof(IndexEntry));

std::string_view BytesOf(const IndexEntry* entries, int64_t count) {
  return {reinterpret_cast<const char*>(entries), static_cast<size_t>(count) * sizeof(IndexEntry)};
}

}  // namespace

Status EntryRun::Verify(int64_t page) const {
  const int64_t begin = page * kIndexPageEntries;
  const int64_t size = std::min(kIndexPageEntries, count_ - begin);
  const int64_t position = position_ + begin * kEntryBytes;
  CAPI_RETURN_NOT_OK(file_->EnsureRange(position, size * kEntryBytes));
  if (Checksum(BytesOf(entries_ + begin, size)) != checksums_[page]) {
    return Damaged(path_, position, "wrong checksum");
  }
  verified_[static_cast<size_t>(page)].store(1, std::memory_order_release);
  return Status::OK();
}

void EntryRun::BeginFetch(int64_t begin, int64_t end, MappedFile::Need need) const {
  if (begin >= end) return;
  const int64_t last = (end - 1) / kIndexPageEntries;
  for (int64_t page = begin / kIndexPageEntries; page <= last; ++page) {
    if (verified_[static_cast<size_t>(page)].load(std::memory_order_acquire) != 0) continue;
    const int64_t first = page * kIndexPageEntries;
    file_->BeginFetch(position_ + first * kEntryBytes,
                      std::min(kIndexPageEntries, count_ - first) * kEntryBytes, need);
  }
}

Result<int64_t> EntryRun::LowerBound(uint64_t hash, int64_t begin) const {
  int64_t end = count_;
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    CAPI_RETURN_NOT_OK(Touch(middle, middle + 1));
    if (entries_[middle].hash < hash) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

Status EntryPageWriter::WritePage(const IndexEntry* entries, size_t count) {
  const std::string_view bytes = BytesOf(entries, static_cast<int64_t>(count));
  checksums_.push_back(Checksum(bytes));
  return sink_(bytes);
}

Status EntryPageWriter::Add(std::span<const IndexEntry> entries) {
  constexpr auto kPage = static_cast<size_t>(kIndexPageEntries);
  count_ += static_cast<int64_t>(entries.size());
  while (!entries.empty()) {
    if (page_.empty() && entries.size() >= kPage) {
      CAPI_RETURN_NOT_OK(WritePage(entries.data(), kPage));
      entries = entries.subspan(kPage);
      continue;
    }
    const size_t taken = std::min(kPage - page_.size(), entries.size());
    page_.insert(page_.end(), entries.begin(),
                 entries.begin() + static_cast<std::ptrdiff_t>(taken));
    entries = entries.subspan(taken);
    if (page_.size() == kPage) {
      CAPI_RETURN_NOT_OK(WritePage(page_.data(), kPage));
      page_.clear();
    }
  }
  return Status::OK();
}

Status EntryPageWriter::Finish() {
  if (!page_.empty()) CAPI_RETURN_NOT_OK(WritePage(page_.data(), page_.size()));
  page_.clear();
  return Status::OK();
}

}  // namespace capi::store
