#include <algorithm>
#include <utility>

#include "capi/store/shared/block_cache_internal.h"
#include "capi/store/shared/cached_file_internal.h"
#include "capi/store/shared/piece_fetcher_internal.h"

namespace capi::store {

CacheSpace::~CacheSpace() {
  mapping.reset();
  total->fetch_sub(bytes.load());
  counters->bytes.fetch_sub(bytes.load());
  // What stays behind goes when the cache is opened the next time.
  (void)env->RemoveFile(path);
}

Status CacheSpace::Write(int64_t offset, std::string_view data) {
  Status status = env->WriteAt(path, offset, data);
  if (!status.ok()) {
    // Also a cache file that somebody removed is no matter of the user's input.
    return EnvironmentError("table cache cannot be written: " + status.message());
  }
  bytes.fetch_add(static_cast<int64_t>(data.size()));
  total->fetch_add(static_cast<int64_t>(data.size()));
  counters->bytes.fetch_add(static_cast<int64_t>(data.size()));
  return Status::OK();
}

CacheEntry::CacheEntry(const BlobId& the_id, int64_t the_size, int32_t the_piece_bytes)
    : id(the_id),
      size(the_size),
      piece_bytes(the_piece_bytes),
      present(std::make_unique<std::atomic<uint8_t>[]>(
          static_cast<size_t>((the_size + the_piece_bytes - 1) / the_piece_bytes))) {}

CachedFile::~CachedFile() { cache_->Touch(space_.get()); }

CachedFile::Pieces CachedFile::PiecesOf(int64_t offset, int64_t length) const {
  if (length <= 0 || offset < 0 || offset >= entry_->size) return {};
  const int64_t last = std::min(offset + length, entry_->size) - 1;
  return {offset / entry_->piece_bytes, last / entry_->piece_bytes};
}

bool CachedFile::HasAll(Pieces pieces) const {
  for (int64_t piece = pieces.first; piece <= pieces.last; ++piece) {
    if (!entry_->Has(piece)) return false;
  }
  return true;
}

Status CachedFile::EnsureRange(int64_t offset, int64_t length) {
  const Pieces pieces = PiecesOf(offset, length);
  const bool hit = HasAll(pieces);
  CacheCounters* counters = cache_->counters();
  (hit ? counters->hits : counters->misses).fetch_add(1, std::memory_order_relaxed);
  if (hit) return Status::OK();
  return cache_->fetcher()->Fetch(this, pieces.first, pieces.last);
}

void CachedFile::BeginFetch(int64_t offset, int64_t length, Need need) {
  const Pieces pieces = PiecesOf(offset, length);
  if (HasAll(pieces)) return;
  cache_->fetcher()->Begin(this, pieces.first, pieces.last, need);
}

Status CachedFile::Store(int64_t piece, std::string_view bytes) {
  CAPI_RETURN_NOT_OK(space_->Write(entry_->offset + piece * entry_->piece_bytes, bytes));
  entry_->present[static_cast<size_t>(piece)].store(1, std::memory_order_release);
  cache_->EvictBeyondLimit();
  return Status::OK();
}

}  // namespace capi::store
