#pragma once

// A shared file as its readers on this machine see it: a part of a sparse file of the cache that is
// filled piece by piece.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/blob_store.h"
#include "capi/store/cache_counters.h"

namespace capi::store {

class BlockCache;
class PieceFetcher;

/// A sparse file of the cache: one large file, or many small ones side by side. It is removed with
/// the last reference to it, so that whoever reads keeps it.
struct CacheSpace {
  CacheSpace(Env* the_env, std::string the_path, std::shared_ptr<std::atomic<int64_t>> the_total,
             std::shared_ptr<CacheCounters> the_counters)
      : env(the_env),
        path(std::move(the_path)),
        total(std::move(the_total)),
        counters(std::move(the_counters)) {}
  CacheSpace(const CacheSpace&) = delete;
  CacheSpace& operator=(const CacheSpace&) = delete;
  ~CacheSpace();

  /// Writes and counts the bytes.
  Status Write(int64_t offset, std::string_view bytes);

  Env* const env;
  const std::string path;
  const std::shared_ptr<std::atomic<int64_t>> total;  // bytes of all spaces
  const std::shared_ptr<CacheCounters> counters;      // of all caches
  std::atomic<int64_t> bytes{0};                      // written here
  std::atomic<uint64_t> last_use{0};
  std::shared_ptr<MappedFile> mapping;  // set before the first reader comes
  // Guarded by the cache.
  int64_t used = 0;  // end of the last file
  std::vector<BlobId> files;
};

/// What is known of a file's bytes in the cache; lives as long as its space.
struct CacheEntry {
  CacheEntry(const BlobId& the_id, int64_t the_size, int32_t the_piece_bytes);
  int64_t num_pieces() const { return (size + piece_bytes - 1) / piece_bytes; }
  int64_t PieceSize(int64_t piece) const {
    return std::min<int64_t>(piece_bytes, size - piece * piece_bytes);
  }
  bool Has(int64_t piece) const {
    return present[static_cast<size_t>(piece)].load(std::memory_order_acquire) != 0;
  }

  const BlobId id;
  const int64_t size;
  const int32_t piece_bytes;
  int64_t offset = 0;  // in the space
  std::unique_ptr<std::atomic<uint8_t>[]> present;
  std::weak_ptr<MappedFile> view;  // guarded by the cache
};

/// Thread-safe.
class CachedFile final : public MappedFile, public std::enable_shared_from_this<CachedFile> {
 public:
  CachedFile(std::shared_ptr<BlockCache> cache, std::shared_ptr<CacheSpace> space,
             std::shared_ptr<CacheEntry> entry)
      : cache_(std::move(cache)), space_(std::move(space)), entry_(std::move(entry)) {}
  ~CachedFile() override;

  const std::shared_ptr<CacheEntry>& entry() const { return entry_; }
  std::string_view bytes() const override {
    return space_->mapping->bytes().substr(static_cast<size_t>(entry_->offset),
                                           static_cast<size_t>(entry_->size));
  }
  void AdviseSequential(bool) override {}  // BeginFetch is what helps here
  Status EnsureRange(int64_t offset, int64_t length) override;
  void BeginFetch(int64_t offset, int64_t length, Need need) override;
  bool remote() const override { return true; }

  /// Puts the bytes of a piece into their place. Called once per piece.
  Status Store(int64_t piece, std::string_view bytes);

 private:
  /// Pieces that are touched by a range; an empty one: first > last.
  struct Pieces {
    int64_t first = 0;
    int64_t last = -1;
  };
  Pieces PiecesOf(int64_t offset, int64_t length) const;
  bool HasAll(Pieces pieces) const;

  const std::shared_ptr<BlockCache> cache_;
  const std::shared_ptr<CacheSpace> space_;
  const std::shared_ptr<CacheEntry> entry_;
};

}  // namespace capi::store
