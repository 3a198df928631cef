#include <algorithm>
#include <utility>

#include "capi/store/segment/manifest_internal.h"
#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/shared/block_cache_internal.h"

namespace capi::store {

namespace {

/// Small files begin at multiples of this, so that no two share a page of the disk.
constexpr int64_t kPageBytes = 4096;
/// Readers may load a little beyond a file.
constexpr int64_t kSlackBytes = kPageBytes;

int64_t NextPage(int64_t position) { return (position + kPageBytes - 1) / kPageBytes * kPageBytes; }

}  // namespace

BlockCache::BlockCache(Env* env, std::string directory, int64_t limit_bytes,
                       std::unique_ptr<BlobStore> blobs, int64_t max_bytes_in_flight,
                       std::shared_ptr<CacheCounters> counters)
    : env_(env),
      directory_(std::move(directory)),
      limit_bytes_(limit_bytes),
      blobs_(std::move(blobs)),
      total_(std::make_shared<std::atomic<int64_t>>(0)),
      counters_(std::move(counters)),
      fetcher_(blobs_.get(), max_bytes_in_flight) {}

Result<std::shared_ptr<BlockCache>> BlockCache::Open(Env* env, const std::string& directory,
                                                     int64_t limit_bytes,
                                                     std::unique_ptr<BlobStore> blobs,
                                                     int64_t max_bytes_in_flight,
                                                     std::shared_ptr<CacheCounters> counters) {
  if (counters == nullptr) counters = std::make_shared<CacheCounters>();
  CAPI_RETURN_NOT_OK(env->RemoveTree(directory));
  CAPI_RETURN_NOT_OK(env->CreateDirectories(directory));
  return std::shared_ptr<BlockCache>(new BlockCache(env, directory, limit_bytes, std::move(blobs),
                                                    max_bytes_in_flight, std::move(counters)));
}

Result<std::shared_ptr<CacheSpace>> BlockCache::NewSpace(int64_t size) {
  // Names are random: should two processes be given one directory, then one that was emptied under
  // the other's feet gets errors and never the other's bytes.
  const std::string path = directory_ + "/" + HexId(env_->Random());
  CAPI_RETURN_NOT_OK(env_->CreateSparseFile(path, size));
  auto space = std::make_shared<CacheSpace>(env_, path, total_, counters_);
  Touch(space.get());
  if (size > 0) {
    CAPI_ASSIGN_OR_RETURN(space->mapping, env_->MapFile(path));
  }
  return space;
}

Result<BlockCache::Place> BlockCache::Allocate(const BlobId& id, int64_t size,
                                               int32_t piece_bytes) {
  Place place;
  place.entry = std::make_shared<CacheEntry>(id, size, piece_bytes);
  std::shared_ptr<CacheSpace> space;
  if (size > kSmallFileBytes) {
    CAPI_ASSIGN_OR_RETURN(space, NewSpace(size));
    spaces_.push_back(space);
  } else {
    if (filling_ == nullptr || filling_->used + size > kSpaceBytes) {
      filling_.reset();
      CAPI_ASSIGN_OR_RETURN(filling_, NewSpace(kSpaceBytes + kSlackBytes));
      spaces_.push_back(filling_);
    }
    space = filling_;
    place.entry->offset = space->used;
  }
  space->used = NextPage(space->used + size);
  space->files.push_back(id);
  place.space = space;
  entries_[id] = place;
  return place;
}

Result<std::shared_ptr<MappedFile>> BlockCache::View(const Place& place) {
  std::shared_ptr<MappedFile> view = place.entry->view.lock();
  std::shared_ptr<CacheSpace> space = place.space.lock();
  if (view == nullptr && space == nullptr) return BugError("a cached file has lost its space");
  if (view == nullptr) {
    Touch(space.get());
    view = std::make_shared<CachedFile>(shared_from_this(), std::move(space), place.entry);
    place.entry->view = view;
  }
  return view;
}

Result<std::shared_ptr<MappedFile>> BlockCache::Map(const BlobId& id, int64_t size,
                                                    int32_t piece_bytes) {
  const std::lock_guard<std::mutex> guard(mutex_);
  const auto found = entries_.find(id);
  if (found != entries_.end()) {
    const CacheEntry& entry = *found->second.entry;
    if (entry.size != size || entry.piece_bytes != piece_bytes) {
      return Damaged(DescribeBlob(id), entry.size, "manifests give a file different sizes");
    }
    return View(found->second);
  }
  CAPI_ASSIGN_OR_RETURN(const Place place, Allocate(id, size, piece_bytes));
  return View(place);
}

Status BlockCache::Insert(const BlobId& id, int32_t piece_bytes, std::string_view bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  std::shared_ptr<CacheSpace> space;  // keeps it from being evicted while it is written
  Place place;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    CAPI_ASSIGN_OR_RETURN(place, Allocate(id, size, piece_bytes));
    space = place.space.lock();
  }
  // Nobody knows the file yet.
  CAPI_RETURN_NOT_OK(space->Write(place.entry->offset, bytes));
  for (int64_t piece = 0; piece < place.entry->num_pieces(); ++piece) {
    place.entry->present[static_cast<size_t>(piece)].store(1, std::memory_order_release);
  }
  space.reset();
  EvictBeyondLimit();
  return Status::OK();
}

Status BlockCache::Insert(const BlobId& id, int64_t size, int32_t piece_bytes,
                          std::shared_ptr<CacheSpace> space) {
  CAPI_ASSIGN_OR_RETURN(space->mapping, env_->MapFile(space->path));
  Place place;
  place.entry = std::make_shared<CacheEntry>(id, size, piece_bytes);
  for (int64_t piece = 0; piece < place.entry->num_pieces(); ++piece) {
    place.entry->present[static_cast<size_t>(piece)].store(1, std::memory_order_release);
  }
  place.space = space;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    Touch(space.get());
    space->files.push_back(id);
    entries_[id] = place;
    spaces_.push_back(std::move(space));
  }
  EvictBeyondLimit();
  return Status::OK();
}

void BlockCache::Forget(const BlobId& id) {
  const std::lock_guard<std::mutex> guard(mutex_);
  entries_.erase(id);
}

void BlockCache::EvictBeyondLimit() {
  if (total_->load() <= limit_bytes_) return;
  // Files are removed after the lock is given up.
  std::vector<std::shared_ptr<CacheSpace>> evicted;
  const std::lock_guard<std::mutex> guard(mutex_);
  int64_t freed = 0;
  while (total_->load() - freed > limit_bytes_) {
    auto oldest = spaces_.end();
    for (auto space = spaces_.begin(); space != spaces_.end(); ++space) {
      // Under the lock nobody can begin to use one.
      const int64_t own_references = *space == filling_ ? 2 : 1;
      if (space->use_count() > own_references || (*space)->bytes.load() == 0) continue;
      if (oldest == spaces_.end() || (*space)->last_use.load() < (*oldest)->last_use.load()) {
        oldest = space;
      }
    }
    if (oldest == spaces_.end()) return;
    if (*oldest == filling_) filling_.reset();
    for (const BlobId& id : (*oldest)->files) {
      const auto found = entries_.find(id);
      if (found != entries_.end() && found->second.space.lock() == *oldest) entries_.erase(found);
    }
    freed += (*oldest)->bytes.load();
    evicted.push_back(std::move(*oldest));
    spaces_.erase(oldest);
  }
}

}  // namespace capi::store
