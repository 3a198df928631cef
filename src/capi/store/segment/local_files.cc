#include <algorithm>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/store/segment/format_internal.h"
#include "capi/store/segment/local_files_internal.h"
#include "capi/store/segment/manifest_internal.h"

namespace capi::store {

Status LocalFile::Append(std::string_view bytes) {
  CAPI_RETURN_NOT_OK(file_->Append(bytes));
  if (file_->size() - writeback_begun_ >= kWritebackBytes) {
    file_->StartWriteback();
    writeback_begun_ = file_->size();
  }
  return Status::OK();
}

Result<std::unique_ptr<LocalFiles>> LocalFiles::Open(Env* env, const std::string& directory) {
  CAPI_RETURN_NOT_OK(env->CreateDirectories(directory));
  return std::unique_ptr<LocalFiles>(new LocalFiles(env, directory));
}

std::string LocalFiles::PathOf(const FileRef& file, FileType type) const {
  return directory_ + "/" + HexId(file.id) + (type == FileType::kContainer ? ".seg" : ".tbl");
}

Result<std::unique_ptr<LocalFile>> LocalFiles::Create(FileType type) {
  uint64_t id = 0;
  while (id == 0) id = env_->Random();
  std::string path = PathOf({id}, type);
  CAPI_ASSIGN_OR_RETURN(const bool taken, env_->Exists(path));
  if (taken) return BugError("id of a new table file is taken: " + path);
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> raw, env_->NewWritableFile(path));
  auto file = std::make_unique<LocalFile>(id, std::move(path), std::move(raw));
  CAPI_RETURN_NOT_OK(file->Append(NewFileHeader(id, type)));
  return file;
}

Result<std::unique_ptr<SequentialFile>> LocalFiles::NewFile(int64_t /*run_id*/, FileType type) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<LocalFile> file, Create(type));
  return std::unique_ptr<SequentialFile>(std::move(file));
}

Status LocalFiles::Adopt(std::unique_ptr<SequentialFile> container) {
  auto kept = std::make_shared<Container>();
  const uint64_t id = container->ref().id;
  kept->file.reset(static_cast<LocalFile*>(container.release()));
  const std::lock_guard<std::mutex> guard(mutex_);
  containers_.emplace(id, std::move(kept));
  return Status::OK();
}

Status LocalFiles::FinishTable(std::unique_ptr<SequentialFile> table) {
  auto* file = static_cast<LocalFile*>(table.get());
  Status status = file->Sync();
  if (status.ok()) status = file->Close();
  if (status.ok()) status = SyncDirectory();
  if (!status.ok()) Abandon(std::move(table), FileType::kTable);
  return status;
}

void LocalFiles::Abandon(std::unique_ptr<SequentialFile> file, FileType type) {
  const FileRef ref = file->ref();
  file.reset();
  Remove(ref, type);
}

Result<std::shared_ptr<MappedFile>> LocalFiles::MapUnfinished(SequentialFile* container) {
  // A file's last bytes are in its write buffer until it is synced.
  CAPI_RETURN_NOT_OK(static_cast<LocalFile*>(container)->Sync());
  return Map(container->ref(), FileType::kContainer, container->size());
}

Result<std::shared_ptr<LocalFiles::Container>> LocalFiles::AcquireShared(
    std::unique_lock<std::mutex>* lock) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    for (size_t i = idle_.size(); i-- > 0;) {
      // A container that is just being synced is passed over, so that appending never waits for a
      // disk.
      std::unique_lock<std::mutex> attempt(idle_[i]->mutex, std::try_to_lock);
      if (!attempt.owns_lock()) continue;
      std::shared_ptr<Container> container = std::move(idle_[i]);
      idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
      *lock = std::move(attempt);
      return container;
    }
  }
  auto container = std::make_shared<Container>();
  CAPI_ASSIGN_OR_RETURN(container->file, Create(FileType::kContainer));
  container->shared = true;
  *lock = std::unique_lock<std::mutex>(container->mutex);
  const std::lock_guard<std::mutex> guard(mutex_);
  containers_.emplace(container->file->ref().id, container);
  return container;
}

Result<SegmentFiles::Placement> LocalFiles::AppendAttempt(int64_t /*run_id*/,
                                                          std::string_view attempt) {
  std::unique_lock<std::mutex> lock;
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<Container> container, AcquireShared(&lock));
  // After a failed write the container's end is unknown: it never becomes idle again.
  LocalFile* file = container->file.get();
  CAPI_RETURN_NOT_OK(file->Align());
  const Placement placement{file->ref(), file->size()};
  CAPI_RETURN_NOT_OK(file->Append(attempt));
  const bool room = file->size() < kContainerBytes;
  lock.unlock();
  if (room) {
    const std::lock_guard<std::mutex> guard(mutex_);
    idle_.push_back(std::move(container));
  }
  return placement;
}

Status LocalFiles::SyncContainers(const std::vector<Placement>& ends) {
  std::map<uint64_t, int64_t> wanted;
  for (const Placement& end : ends) {
    if (end.file.is_shared()) {
      return BugError("attempt was not written by this process: " +
                      PathOf(end.file, FileType::kContainer));
    }
    int64_t& position = wanted[end.file.id];
    position = std::max(position, end.offset);
  }
  std::vector<std::shared_ptr<Container>> unnamed;
  for (const auto& [id, end] : wanted) {
    std::shared_ptr<Container> container;
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      const auto found = containers_.find(id);
      if (found == containers_.end()) {
        return BugError("attempt was not written by this process: " +
                        PathOf({id}, FileType::kContainer));
      }
      container = found->second;
    }
    const std::lock_guard<std::mutex> guard(container->mutex);
    if (container->synced < end) {
      if (container->file == nullptr || container->file->size() < end) {
        return BugError("attempt reaches beyond its container: " +
                        PathOf({id}, FileType::kContainer));
      }
      CAPI_FAULT_POINT("store.before_sync");
      CAPI_RETURN_NOT_OK(container->file->Sync());
      container->synced = container->file->size();
      // Nothing is appended any more: the descriptor is not needed.
      if (!container->shared || container->synced >= kContainerBytes) {
        CAPI_RETURN_NOT_OK(container->file->Close());
        container->file.reset();
      }
    }
    if (!container->named) unnamed.push_back(container);
  }
  if (unnamed.empty()) return Status::OK();
  CAPI_RETURN_NOT_OK(SyncDirectory());
  for (const std::shared_ptr<Container>& container : unnamed) {
    const std::lock_guard<std::mutex> guard(container->mutex);
    container->named = true;
  }
  CAPI_FAULT_POINT("store.after_sync");
  return Status::OK();
}

Result<std::shared_ptr<MappedFile>> LocalFiles::Map(const FileRef& file, FileType type,
                                                    int64_t min_size) {
  const uint64_t id = file.id;
  const std::string path = PathOf(file, type);
  if (file.is_shared()) return Damaged(path, 0, "manifest is that of a shared store");
  std::shared_ptr<MappedFile> mapping;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto found = mappings_.find(id);
    if (found != mappings_.end()) mapping = found->second.lock();
  }
  // A shared container may have grown since it was mapped.
  if (mapping != nullptr && static_cast<int64_t>(mapping->bytes().size()) >= min_size) {
    return mapping;
  }
  Result<std::shared_ptr<MappedFile>> mapped = env_->MapFile(path);
  if (!mapped.ok()) {
    // A missing table file is not the user's fault.
    if (KindOf(mapped.status()) != ErrorKind::kUser) return mapped.status();
    return Damaged(path, 0, "file is missing");
  }
  mapping = std::move(mapped).ValueUnsafe();
  const std::string_view bytes = mapping->bytes();
  if (static_cast<int64_t>(bytes.size()) < std::max<int64_t>(min_size, sizeof(FileHeader))) {
    return Damaged(path, static_cast<int64_t>(bytes.size()), "file is too short");
  }
  const auto* header = reinterpret_cast<const FileHeader*>(bytes.data());
  if (header->magic != (type == FileType::kContainer ? kContainerMagic : kTableMagic) ||
      header->id != id) {
    return Damaged(path, 0, "not a file of this kind");
  }
  if (header->version != kFormatVersion) {
    return Damaged(path, 0, "format version " + std::to_string(header->version));
  }
  const std::lock_guard<std::mutex> guard(mutex_);
  mappings_[id] = mapping;
  return mapping;
}

void LocalFiles::Remove(const FileRef& file, FileType type) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    mappings_.erase(file.id);
    containers_.erase(file.id);
  }
  // Best effort: what stays behind is garbage to the next CollectGarbage.
  (void)env_->RemoveFile(PathOf(file, type));
}

}  // namespace capi::store
