#pragma once

// Brings pieces from a BlobStore into the cache. A piece that several threads want is fetched once.
// The store's threads only hand over what they have received; it is unpacked by the threads that
// wait, and by one thread of ours for what is fetched ahead.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/blob_store.h"
#include "capi/store/shared/cached_file_internal.h"

namespace capi::store {

/// Thread-safe.
class PieceFetcher {
 public:
  /// `max_bytes_in_flight`: plain bytes of pieces asked for and not unpacked yet.
  PieceFetcher(BlobStore* blobs, int64_t max_bytes_in_flight);
  PieceFetcher(const PieceFetcher&) = delete;
  PieceFetcher& operator=(const PieceFetcher&) = delete;
  ~PieceFetcher();

  /// Waits until the pieces [first, last] are there. The error is that of the smallest piece that
  /// failed; nothing of it is kept, so that a later call tries again.
  Status Fetch(CachedFile* file, int64_t first, int64_t last);
  /// Begins to fetch them. Forgotten when nobody holds the file any more.
  void Begin(CachedFile* file, int64_t first, int64_t last, MappedFile::Need need);

  /// Ends the fetching ahead and waits for what is under way. Fetch still works.
  void Stop();

  /// Pieces asked for from the store so far.
  int64_t fetched() const;

 private:
  struct Wait {
    int64_t remaining = 0;
    int64_t failed_piece = -1;
    Status status;
  };
  struct Request {
    std::weak_ptr<CachedFile> wanted_for;
    std::shared_ptr<CachedFile> file;  // while it is under way
    std::shared_ptr<const CacheEntry> entry;
    int64_t piece = 0;
    bool urgent = false;
    bool started = false;
    std::vector<Wait*> waits;
    Result<std::string> received{std::string()};
  };
  using RequestPtr = std::shared_ptr<Request>;
  using Lock = std::unique_lock<std::mutex>;

  RequestPtr FindOrAdd(CachedFile* file, int64_t piece, bool urgent);
  /// Hands requests to the store while there is room. Gives up the lock meanwhile.
  void Pump(Lock* lock);
  RequestPtr NextRequest();
  /// Unpacks what was received first. Gives up the lock meanwhile.
  void UnpackOne(Lock* lock);
  void RunUnpacker();

  BlobStore* const blobs_;
  const int64_t max_bytes_in_flight_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<const CacheEntry*, int64_t>, RequestPtr> requests_;
  std::deque<RequestPtr> urgent_;
  std::deque<RequestPtr> ahead_;
  std::deque<RequestPtr> received_;
  int64_t bytes_in_flight_ = 0;
  int64_t fetched_ = 0;
  bool stopped_ = false;
  std::thread unpacker_;
};

}  // namespace capi::store
