#pragma once

// The files of a store: shared and own containers being written, and mappings of finished files.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"

namespace capi::store {

/// Attempts up to this size share a container; larger ones get their own.
constexpr int64_t kSharedAttemptBytes = int64_t{4} << 20;
/// A shared container takes no further attempt once it has this size.
constexpr int64_t kContainerBytes = int64_t{64} << 20;
/// Own containers and table files hand dirty pages to the disk in steps of this size.
constexpr int64_t kWritebackBytes = int64_t{8} << 20;

enum class FileType { kContainer, kTable };

/// A file written from begin to end by one thread, with write-behind; positions are those in the
/// file.
class SequentialFile {
 public:
  SequentialFile(uint64_t id, std::string path, std::unique_ptr<WritableFile> file)
      : id_(id), path_(std::move(path)), file_(std::move(file)) {}
  uint64_t id() const { return id_; }
  const std::string& path() const { return path_; }
  int64_t size() const { return file_->size(); }
  Status Append(std::string_view bytes);
  /// Zeros up to the next multiple of kAlignment.
  Status Align();
  Status Sync() { return file_->Sync(); }
  Status Close() { return file_->Close(); }

 private:
  const uint64_t id_;
  const std::string path_;
  std::unique_ptr<WritableFile> file_;
  int64_t writeback_begun_ = 0;
};

/// Thread-safe.
class SegmentFiles {
 public:
  struct Placement {
    uint64_t file = 0;
    int64_t offset = 0;
  };

  static Result<std::unique_ptr<SegmentFiles>> Open(Env* env, const std::string& directory);

  Env* env() const { return env_; }
  const std::string& directory() const { return directory_; }
  std::string PathOf(uint64_t id, FileType type) const;

  /// Appends a whole attempt to a container shared with others, in one write.
  Result<Placement> AppendShared(std::string_view attempt);

  /// A new file with its header written. A container must be given to Adopt when finished.
  Result<std::unique_ptr<SequentialFile>> NewFile(FileType type);
  /// Keeps an own container open until it is synced.
  void Adopt(std::unique_ptr<SequentialFile> container);

  /// Makes containers written by this process durable up to their present ends, each once, and
  /// their names as well.
  Status SyncContainers(const std::vector<Placement>& ends);
  Status SyncDirectory() { return env_->SyncDirectory(directory_); }

  /// A mapping that is at least `min_size` bytes long. Mappings in use are shared.
  Result<std::shared_ptr<MappedFile>> Map(uint64_t id, FileType type, int64_t min_size);
  void Remove(uint64_t id, FileType type);

 private:
  struct Container {
    std::mutex mutex;
    std::unique_ptr<SequentialFile> file;  // null once closed
    int64_t synced = 0;                    // bytes known to be durable
    bool shared = false;
    bool named = false;  // its directory entry is durable
  };

  SegmentFiles(Env* env, std::string directory) : env_(env), directory_(std::move(directory)) {}
  Result<std::shared_ptr<Container>> AcquireShared(std::unique_lock<std::mutex>* lock);

  Env* const env_;
  const std::string directory_;
  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Container>> containers_;  // written by this process
  std::vector<std::shared_ptr<Container>> idle_;               // shared, room left, nobody appends
  std::map<uint64_t, std::weak_ptr<MappedFile>> mappings_;
};

/// Bytes in memory behind the interface of a mapped file.
class MemoryFile : public MappedFile {
 public:
  explicit MemoryFile(std::string_view bytes) : bytes_(bytes) {}  ///< does not own them
  std::string_view bytes() const override { return bytes_; }
  void AdviseSequential(bool) override {}

 private:
  std::string_view bytes_;
};

/// "table data is damaged: <reason>: <path>, offset <offset>"
Status Damaged(const std::string& path, int64_t offset, std::string_view reason);

}  // namespace capi::store
