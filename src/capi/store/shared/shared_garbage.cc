// Removing files of a shared store.

#include <utility>

#include "capi/store/segment/directory_internal.h"
#include "capi/store/segment/manifest_internal.h"
#include "capi/store/shared/shared_files_internal.h"

namespace capi::store {

Status SharedFiles::FindLive(const std::vector<std::string>& manifests, std::set<BlobId>* live) {
  struct Frozen {
    Manifest manifest;
    std::shared_ptr<MappedFile> file;
  };
  std::vector<Frozen> tables;
  for (const std::string& text : manifests) {
    CAPI_ASSIGN_OR_RETURN(Manifest manifest, Manifest::Parse(text));
    if (manifest.file == 0) continue;
    if (manifest.owner == 0) return BugError("manifest is not that of a shared store: " + text);
    live->insert(BlobIdOf(manifest.Ref()));
    if (manifest.kind != Manifest::Kind::kTable) continue;
    CAPI_ASSIGN_OR_RETURN(std::shared_ptr<MappedFile> file,
                          Map(manifest.Ref(), FileType::kTable, manifest.length));
    file->BeginFetch(manifest.directory, manifest.length - manifest.directory,
                     MappedFile::Need::kNow);
    tables.push_back({std::move(manifest), std::move(file)});
  }
  for (const Frozen& table : tables) {
    CAPI_ASSIGN_OR_RETURN(const TableDirectory directory,
                          TableDirectory::Parse(table.manifest, table.file.get(),
                                                PathOf(table.manifest.Ref(), FileType::kTable)));
    for (size_t i = 0; i < directory.files.size(); ++i) live->insert(BlobIdOf(directory.FileAt(i)));
  }
  return Status::OK();
}

Status SharedFiles::RemoveDropped(int64_t* removed) {
  std::map<BlobId, Sent> dropped;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    dropped.swap(dropped_);
  }
  std::vector<BlobFile> files;
  for (const auto& [id, sent] : dropped) {
    (void)sent.progress->Wait();
    files.push_back({id, sent.num_pieces});
  }
  const Status status = files.empty() ? Status::OK() : cache_->blobs()->Remove(files);
  if (status.ok()) {
    *removed += static_cast<int64_t>(files.size());
    return status;
  }
  const std::lock_guard<std::mutex> guard(mutex_);
  dropped_.merge(dropped);
  return status;
}

Result<TableStore::Garbage> SharedFiles::CollectGarbage(const TableStore::LiveQuery& query) {
  TableStore::Garbage garbage;
  CAPI_RETURN_NOT_OK(RemoveDropped(&garbage.files_removed));
  // First the files, then who lives, then what counts: whoever writes a file has made itself known
  // before, and whoever is dead by now commits no more.
  CAPI_ASSIGN_OR_RETURN(const std::vector<BlobFile> files, cache_->blobs()->List());
  CAPI_ASSIGN_OR_RETURN(const TableStore::Live living, query());
  if (!living.owners.contains(options_.owner)) {
    return BugError("garbage is collected by a process that does not count as living");
  }
  std::set<BlobId> live;
  CAPI_RETURN_NOT_OK(FindLive(living.manifests, &live));
  std::vector<BlobFile> dead;
  for (const BlobFile& file : files) {
    if (!living.owners.contains(file.id.owner) && !live.contains(file.id)) dead.push_back(file);
  }
  CAPI_RETURN_NOT_OK(cache_->blobs()->Remove(dead));
  for (const BlobFile& file : dead) cache_->Forget(file.id);
  garbage.files_removed += static_cast<int64_t>(dead.size());
  return garbage;
}

Status SharedFiles::RemoveRun(int64_t run_id) {
  CAPI_ASSIGN_OR_RETURN(std::vector<BlobFile> files, cache_->blobs()->List());
  std::erase_if(files, [&](const BlobFile& file) { return file.id.run_id != run_id; });
  CAPI_RETURN_NOT_OK(cache_->blobs()->Remove(files));
  for (const BlobFile& file : files) cache_->Forget(file.id);
  return Status::OK();
}

Status SharedFiles::Discard(const std::string& text) {
  CAPI_ASSIGN_OR_RETURN(const Manifest manifest, Manifest::Parse(text));
  if (manifest.file == 0) return Status::OK();
  const BlobId id = BlobIdOf(manifest.Ref());
  if (id.owner != options_.owner) {
    return BugError("attempt was not written by this process: " + DescribeBlob(id));
  }
  const int64_t size = manifest.offset + manifest.length;
  Sent sent{(size + manifest.piece_bytes - 1) / manifest.piece_bytes,
            std::make_shared<PutProgress>()};
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    const auto found = sent_.find(id);
    if (found != sent_.end()) {
      sent = std::move(found->second);
      sent_.erase(found);
    }
  }
  Drop(id, std::move(sent));
  return Status::OK();
}

}  // namespace capi::store
