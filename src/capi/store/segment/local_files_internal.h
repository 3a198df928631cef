#pragma once

// Files in a directory of this machine: shared and own containers being written, and mappings.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/segment/segment_files_internal.h"

namespace capi::store {

/// A shared container takes no further attempt once it has this size.
constexpr int64_t kContainerBytes = int64_t{64} << 20;
/// Own containers and table files hand dirty pages to the disk in steps of this size.
constexpr int64_t kWritebackBytes = int64_t{8} << 20;

/// A file written with write-behind.
class LocalFile final : public SequentialFile {
 public:
  LocalFile(uint64_t id, std::string path, std::unique_ptr<WritableFile> file)
      : SequentialFile({id}, std::move(path)), file_(std::move(file)) {}
  int64_t size() const override { return file_->size(); }
  Status Append(std::string_view bytes) override;
  Status Sync() { return file_->Sync(); }
  Status Close() { return file_->Close(); }

 private:
  std::unique_ptr<WritableFile> file_;
  int64_t writeback_begun_ = 0;
};

class LocalFiles final : public SegmentFiles {
 public:
  static Result<std::unique_ptr<LocalFiles>> Open(Env* env, const std::string& directory);

  Env* env() const { return env_; }
  const std::string& directory() const { return directory_; }
  Status SyncDirectory() { return env_->SyncDirectory(directory_); }

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

 private:
  struct Container {
    std::mutex mutex;
    std::unique_ptr<LocalFile> file;  // null once closed
    int64_t synced = 0;               // bytes known to be durable
    bool shared = false;
    bool named = false;  // its directory entry is durable
  };

  LocalFiles(Env* env, std::string directory) : env_(env), directory_(std::move(directory)) {}
  Result<std::unique_ptr<LocalFile>> Create(FileType type);
  Result<std::shared_ptr<Container>> AcquireShared(std::unique_lock<std::mutex>* lock);
  void Remove(const FileRef& file, FileType type);

  Env* const env_;
  const std::string directory_;
  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Container>> containers_;  // written by this process
  std::vector<std::shared_ptr<Container>> idle_;               // shared, room left, nobody appends
  std::map<uint64_t, std::weak_ptr<MappedFile>> mappings_;
};

}  // namespace capi::store
