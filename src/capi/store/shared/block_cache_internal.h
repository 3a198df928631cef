#pragma once

// The cache of shared files on this machine's disk. Files are kept in sparse files, small ones many
// to one; what a process writes itself is in it at once. It is worth nothing after the process:
// emptied at the start, never synced.
//
// The limit is a soft one: files in use are never evicted, and small files go with their space.

#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/blob_store.h"
#include "capi/store/shared/cached_file_internal.h"
#include "capi/store/shared/piece_fetcher_internal.h"

namespace capi::store {

/// Larger files have a space of their own.
constexpr int64_t kSmallFileBytes = int64_t{8} << 20;
/// Size of a space for small files.
constexpr int64_t kSpaceBytes = int64_t{128} << 20;

/// Thread-safe. Lives as long as one of its files is in use.
class BlockCache : public std::enable_shared_from_this<BlockCache> {
 public:
  /// Empties the directory, which must be this process's own.
  static Result<std::shared_ptr<BlockCache>> Open(
      Env* env, const std::string& directory, int64_t limit_bytes, std::unique_ptr<BlobStore> blobs,
      int64_t max_bytes_in_flight, std::shared_ptr<CacheCounters> counters = nullptr);

  Env* env() const { return env_; }
  BlobStore* blobs() const { return blobs_.get(); }
  CacheCounters* counters() const { return counters_.get(); }
  PieceFetcher* fetcher() { return &fetcher_; }
  /// See PieceFetcher::Stop.
  void Stop() { fetcher_.Stop(); }

  /// A view of a file of `size` bytes; reads nothing. Views in use are shared.
  Result<std::shared_ptr<MappedFile>> Map(const BlobId& id, int64_t size, int32_t piece_bytes);

  // What this process has written.
  /// A whole small file.
  Status Insert(const BlobId& id, int32_t piece_bytes, std::string_view bytes);
  /// A space for a file whose size is not known yet; its bytes are written from its beginning.
  Result<std::shared_ptr<CacheSpace>> NewSpace(int64_t size);
  /// Makes a space the place of a finished file.
  Status Insert(const BlobId& id, int64_t size, int32_t piece_bytes,
                std::shared_ptr<CacheSpace> space);
  /// Forgets a file that is removed from the store.
  void Forget(const BlobId& id);

  /// Removes spaces that nobody uses, the longest unused first, until the limit is kept.
  void EvictBeyondLimit();
  /// Marks a space as used now.
  void Touch(CacheSpace* space) { space->last_use.store(clock_.fetch_add(1) + 1); }
  int64_t bytes() const { return total_->load(); }

 private:
  struct Place {
    std::shared_ptr<CacheEntry> entry;
    std::weak_ptr<CacheSpace> space;  // held by spaces_
  };

  BlockCache(Env* env, std::string directory, int64_t limit_bytes, std::unique_ptr<BlobStore> blobs,
             int64_t max_bytes_in_flight, std::shared_ptr<CacheCounters> counters);
  Result<std::shared_ptr<MappedFile>> View(const Place& place);
  /// Finds room for a new file. The lock is held.
  Result<Place> Allocate(const BlobId& id, int64_t size, int32_t piece_bytes);

  Env* const env_;
  const std::string directory_;
  const int64_t limit_bytes_;
  const std::unique_ptr<BlobStore> blobs_;
  const std::shared_ptr<std::atomic<int64_t>> total_;
  const std::shared_ptr<CacheCounters> counters_;
  std::atomic<uint64_t> clock_{0};
  std::mutex mutex_;
  std::map<BlobId, Place> entries_;
  std::list<std::shared_ptr<CacheSpace>> spaces_;
  std::shared_ptr<CacheSpace> filling_;  // the space that takes the next small file; in spaces_ too
  PieceFetcher fetcher_;                 // last: its thread uses the above
};

}  // namespace capi::store
