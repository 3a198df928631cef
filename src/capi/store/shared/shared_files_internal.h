#pragma once

// Files that other machines read too: written piece by piece into a BlobStore, read through the
// cache. Every attempt and every frozen table is a file of its own.

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/blob_store.h"
#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/shared/block_cache_internal.h"
#include "capi/store/table_store.h"

namespace capi::store {

inline BlobId BlobIdOf(const FileRef& ref) { return {ref.run_id, ref.owner, ref.id}; }

/// Bounds the bytes that were handed to the store and are not acknowledged. Thread-safe.
class PutWindow {
 public:
  explicit PutWindow(int64_t max_bytes) : max_bytes_(max_bytes) {}
  /// Waits for room; a piece larger than the window goes alone.
  void Acquire(int64_t bytes);
  void Release(int64_t bytes);

 private:
  const int64_t max_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t bytes_ = 0;
};

/// The pieces of one file on their way. Thread-safe.
class PutProgress {
 public:
  void Begin();
  void End(const Status& status);
  /// The first error so far.
  Status status() const;
  /// Waits for all; the first error.
  Status Wait();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int64_t under_way_ = 0;
  Status status_;
};

class SharedFiles final : public SegmentFiles {
 public:
  static Result<std::unique_ptr<SharedFiles>> Open(const SharedStoreOptions& options,
                                                   std::unique_ptr<BlobStore> blobs);
  /// Waits for what is under way. Views stay valid.
  ~SharedFiles() override;

  std::string PathOf(const FileRef& file, FileType type) const override;
  Result<Placement> AppendAttempt(int64_t run_id, std::string_view attempt) override;
  Result<std::unique_ptr<SequentialFile>> NewFile(int64_t run_id, FileType type) override;
  Status Adopt(std::unique_ptr<SequentialFile> container) override;
  Status FinishTable(std::unique_ptr<SequentialFile> table) override;
  void Abandon(std::unique_ptr<SequentialFile> file, FileType type) override;
  Result<std::shared_ptr<MappedFile>> MapUnfinished(SequentialFile* container) override;
  Status SyncContainers(const std::vector<Placement>& ends) override;
  Result<std::shared_ptr<MappedFile>> Map(const FileRef& file, FileType type,
                                          int64_t min_size) override;

  // See TableStore.
  Status Discard(const std::string& manifest);
  Result<TableStore::Garbage> CollectGarbage(const TableStore::LiveQuery& query);
  Status RemoveRun(int64_t run_id);

  BlockCache* cache() { return cache_.get(); }

 private:
  class File;
  /// A file whose pieces may still be under way.
  struct Sent {
    int64_t num_pieces = 0;
    std::shared_ptr<PutProgress> progress;
  };

  SharedFiles(const SharedStoreOptions& options, std::shared_ptr<BlockCache> cache)
      : options_(options), cache_(std::move(cache)), window_(options.max_bytes_in_flight) {}
  BlobId NewId(int64_t run_id);
  FileRef RefOf(const BlobId& id) const {
    return {id.file, id.run_id, id.owner, options_.piece_bytes};
  }
  /// Compresses a piece and begins to store it.
  Status Put(const BlobId& id, int64_t piece, std::string_view bytes,
             const std::shared_ptr<PutProgress>& progress);
  void Remember(const BlobId& id, Sent sent);
  /// Removes a file of this process that nobody will ask for; what cannot be removed now is left to
  /// CollectGarbage.
  void Drop(const BlobId& id, Sent sent);
  Status RemoveDropped(int64_t* removed);
  Status FindLive(const std::vector<std::string>& manifests, std::set<BlobId>* live);

  const SharedStoreOptions options_;
  const std::shared_ptr<BlockCache> cache_;
  PutWindow window_;
  std::mutex mutex_;
  std::map<BlobId, Sent> sent_;     // finished and not known to be durable
  std::map<BlobId, Sent> dropped_;  // to be removed
};

}  // namespace capi::store
