#pragma once

// Sorted index entries on disk, and writing them.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/segment/format_internal.h"

namespace capi::store {

/// Where bytes of an attempt or a table file go.
using ByteSink = std::function<Status(std::string_view)>;

/// Sorted entries in a mapped file. Thread-safe. Does not own the mapping.
class EntryRun {
 public:
  /// `position` is that of the first entry in the file.
  EntryRun(MappedFile* file, int64_t position, int64_t count, const uint64_t* checksums,
           std::string path)
      : file_(file),
        entries_(reinterpret_cast<const IndexEntry*>(file->bytes().data() + position)),
        count_(count),
        checksums_(checksums),
        verified_(
            std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(NumIndexPages(count)))),
        path_(std::move(path)),
        position_(position) {}

  int64_t count() const { return count_; }
  /// Entries may be read after Touch.
  const IndexEntry* entries() const { return entries_; }
  /// Verifies the pages of entries [begin, end), each once per process.
  Status Touch(int64_t begin, int64_t end) const {
    if (begin >= end) return Status::OK();
    const int64_t last = (end - 1) / kIndexPageEntries;
    for (int64_t page = begin / kIndexPageEntries; page <= last; ++page) {
      if (verified_[static_cast<size_t>(page)].load(std::memory_order_acquire) == 0) [[unlikely]] {
        CAPI_RETURN_NOT_OK(Verify(page));
      }
    }
    return Status::OK();
  }
  /// True if Touch may have to wait for another machine; then BeginFetch helps.
  bool remote() const { return file_->remote(); }
  /// Begins to fetch the pages of entries [begin, end) that were not read yet.
  void BeginFetch(int64_t begin, int64_t end, MappedFile::Need need) const;
  /// First entry at or behind `begin` whose hash is >= `hash`.
  Result<int64_t> LowerBound(uint64_t hash, int64_t begin) const;

 private:
  Status Verify(int64_t page) const;

  MappedFile* file_;
  const IndexEntry* entries_;
  int64_t count_;
  const uint64_t* checksums_;
  std::unique_ptr<std::atomic<uint8_t>[]> verified_;
  std::string path_;
  int64_t position_;
};

/// Cuts a stream of sorted entries into pages, writes them and keeps their checksums.
class EntryPageWriter {
 public:
  explicit EntryPageWriter(ByteSink sink) : sink_(std::move(sink)) {}
  Status Add(std::span<const IndexEntry> entries);
  Status Finish();
  int64_t count() const { return count_; }
  const std::vector<uint64_t>& checksums() const { return checksums_; }

 private:
  Status WritePage(const IndexEntry* entries, size_t count);

  ByteSink sink_;
  std::vector<IndexEntry> page_;
  std::vector<uint64_t> checksums_;
  int64_t count_ = 0;
};

}  // namespace capi::store
