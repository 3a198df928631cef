#include <algorithm>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/store/segment/format_internal.h"
#include "capi/store/segment/manifest_internal.h"
#include "capi/store/shared/piece_codec_internal.h"
#include "capi/store/shared/shared_files_internal.h"

namespace capi::store {

void PutWindow::Acquire(int64_t bytes) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return bytes_ == 0 || bytes_ + bytes <= max_bytes_; });
  bytes_ += bytes;
}

void PutWindow::Release(int64_t bytes) {
  const std::lock_guard<std::mutex> guard(mutex_);
  bytes_ -= bytes;
  changed_.notify_all();
}

void PutProgress::Begin() {
  const std::lock_guard<std::mutex> guard(mutex_);
  ++under_way_;
}

void PutProgress::End(const Status& status) {
  const std::lock_guard<std::mutex> guard(mutex_);
  --under_way_;
  if (status_.ok()) status_ = status;
  changed_.notify_all();
}

Status PutProgress::status() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return status_;
}

Status PutProgress::Wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return under_way_ == 0; });
  return status_;
}

/// Kept in memory while it is small, else streamed into a space of the cache and to the store.
class SharedFiles::File final : public SequentialFile {
 public:
  File(SharedFiles* files, const BlobId& id)
      : SequentialFile(files->RefOf(id), DescribeBlob(id)),
        files_(files),
        id_(id),
        progress_(std::make_shared<PutProgress>()) {}

  int64_t size() const override { return size_; }

  Status Append(std::string_view bytes) override {
    size_ += static_cast<int64_t>(bytes.size());
    if (space_ == nullptr) {
      buffer_.append(bytes);
      return static_cast<int64_t>(buffer_.size()) <= kSharedAttemptBytes ? Status::OK()
                                                                         : BeginStreaming();
    }
    while (!bytes.empty()) {
      if (buffer_.empty() && bytes.size() >= piece_size()) {
        CAPI_RETURN_NOT_OK(SendPiece(bytes.substr(0, piece_size())));
        bytes.remove_prefix(piece_size());
        continue;
      }
      const size_t taken = std::min(piece_size() - buffer_.size(), bytes.size());
      buffer_.append(bytes.substr(0, taken));
      bytes.remove_prefix(taken);
      if (buffer_.size() == piece_size()) {
        CAPI_RETURN_NOT_OK(SendPiece(buffer_));
        buffer_.clear();
      }
    }
    return Status::OK();
  }

  /// Sends what is left and puts the file into the cache.
  Status Finish() {
    if (space_ == nullptr) {
      CAPI_RETURN_NOT_OK(files_->cache_->Insert(id_, ref().piece_bytes, buffer_));
      return SendPieces(buffer_);
    }
    if (!buffer_.empty()) CAPI_RETURN_NOT_OK(SendPiece(buffer_));
    buffer_ = std::string();
    return files_->cache_->Insert(id_, size_, ref().piece_bytes, space_);
  }

  Result<std::shared_ptr<MappedFile>> MapWritten() {
    if (space_ == nullptr) CAPI_RETURN_NOT_OK(BeginStreaming());
    // The piece is written again when it is whole.
    CAPI_RETURN_NOT_OK(WriteToSpace(buffer_));
    return files_->cache_->env()->MapFile(space_->path);
  }

  const BlobId& blob_id() const { return id_; }
  Sent sent() const { return {num_pieces_, progress_}; }

 private:
  size_t piece_size() const { return static_cast<size_t>(ref().piece_bytes); }

  Status BeginStreaming() {
    CAPI_ASSIGN_OR_RETURN(space_, files_->cache_->NewSpace(0));
    const std::string all = std::move(buffer_);
    buffer_ = std::string();
    const size_t whole = all.size() / piece_size() * piece_size();
    for (size_t at = 0; at < whole; at += piece_size()) {
      CAPI_RETURN_NOT_OK(SendPiece(std::string_view(all).substr(at, piece_size())));
    }
    buffer_ = all.substr(whole);
    return Status::OK();
  }

  Status WriteToSpace(std::string_view bytes) {
    return space_->Write(num_pieces_ * ref().piece_bytes, bytes);
  }

  Status SendPiece(std::string_view bytes) {
    CAPI_RETURN_NOT_OK(WriteToSpace(bytes));
    return files_->Put(id_, num_pieces_++, bytes, progress_);
  }

  Status SendPieces(std::string_view bytes) {
    for (size_t at = 0; at < bytes.size(); at += piece_size()) {
      CAPI_RETURN_NOT_OK(
          files_->Put(id_, num_pieces_++, bytes.substr(at, piece_size()), progress_));
    }
    return Status::OK();
  }

  SharedFiles* const files_;
  const BlobId id_;
  const std::shared_ptr<PutProgress> progress_;
  std::shared_ptr<CacheSpace> space_;  // null: all is in the buffer
  std::string buffer_;                 // else: the piece that is not whole yet
  int64_t size_ = 0;
  int64_t num_pieces_ = 0;  // sent
};

Result<std::unique_ptr<SharedFiles>> SharedFiles::Open(const SharedStoreOptions& options,
                                                       std::unique_ptr<BlobStore> blobs) {
  if (options.owner == 0) return BugError("a shared table store needs the id of its owner");
  if (!IsPieceSize(options.piece_bytes)) {
    return BugError("pieces of " + std::to_string(options.piece_bytes) + " bytes");
  }
  CAPI_ASSIGN_OR_RETURN(
      std::shared_ptr<BlockCache> cache,
      BlockCache::Open(options.env, options.cache_directory, options.cache_limit_bytes,
                       std::move(blobs), options.max_bytes_in_flight, options.counters));
  return std::unique_ptr<SharedFiles>(new SharedFiles(options, std::move(cache)));
}

SharedFiles::~SharedFiles() {
  for (const std::map<BlobId, Sent>* files : {&sent_, &dropped_}) {
    for (const auto& [id, sent] : *files) (void)sent.progress->Wait();
  }
  cache_->Stop();
}

std::string SharedFiles::PathOf(const FileRef& file, FileType /*type*/) const {
  return DescribeBlob(BlobIdOf(file));
}

BlobId SharedFiles::NewId(int64_t run_id) {
  BlobId id{run_id, options_.owner, 0};
  while (id.file == 0) id.file = options_.env->Random();
  return id;
}

Status SharedFiles::Put(const BlobId& id, int64_t piece, std::string_view bytes,
                        const std::shared_ptr<PutProgress>& progress) {
  CAPI_RETURN_NOT_OK(progress->status());
  CAPI_ASSIGN_OR_RETURN(std::string stored, EncodePiece(id, piece, bytes));
  const auto size = static_cast<int64_t>(stored.size());
  window_.Acquire(size);
  progress->Begin();
  cache_->blobs()->BeginPut(id, piece, std::move(stored), [this, progress, size](Status status) {
    window_.Release(size);
    progress->End(status);  // last: our destructor waits for it
  });
  return Status::OK();
}

void SharedFiles::Remember(const BlobId& id, Sent sent) {
  const std::lock_guard<std::mutex> guard(mutex_);
  sent_.emplace(id, std::move(sent));
}

Result<SegmentFiles::Placement> SharedFiles::AppendAttempt(int64_t run_id,
                                                           std::string_view attempt) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<SequentialFile> file,
                        NewFile(run_id, FileType::kContainer));
  const Placement placement{file->ref(), file->size()};
  const Status status = file->Append(attempt);
  if (!status.ok()) {
    Abandon(std::move(file), FileType::kContainer);
    return status;
  }
  CAPI_RETURN_NOT_OK(Adopt(std::move(file)));
  return placement;
}

Result<std::unique_ptr<SequentialFile>> SharedFiles::NewFile(int64_t run_id, FileType type) {
  auto file = std::make_unique<File>(this, NewId(run_id));
  CAPI_RETURN_NOT_OK(file->Append(NewFileHeader(file->ref().id, type)));
  return std::unique_ptr<SequentialFile>(std::move(file));
}

Status SharedFiles::Adopt(std::unique_ptr<SequentialFile> container) {
  auto* file = static_cast<File*>(container.get());
  const Status status = file->Finish();
  if (!status.ok()) {
    Abandon(std::move(container), FileType::kContainer);
    return status;
  }
  Remember(file->blob_id(), file->sent());
  return Status::OK();
}

Status SharedFiles::FinishTable(std::unique_ptr<SequentialFile> table) {
  auto* file = static_cast<File*>(table.get());
  Status status = file->Finish();
  if (status.ok()) status = file->sent().progress->Wait();
  if (!status.ok()) Abandon(std::move(table), FileType::kTable);
  return status;
}

void SharedFiles::Abandon(std::unique_ptr<SequentialFile> file, FileType /*type*/) {
  const auto* ours = static_cast<const File*>(file.get());
  Drop(ours->blob_id(), ours->sent());
}

void SharedFiles::Drop(const BlobId& id, Sent sent) {
  cache_->Forget(id);
  if (sent.num_pieces == 0) return;
  // Where storing failed, removing would only wait for the same error.
  if (sent.progress->status().ok() && sent.progress->Wait().ok() &&
      cache_->blobs()->Remove({{id, sent.num_pieces}}).ok()) {
    return;
  }
  const std::lock_guard<std::mutex> guard(mutex_);
  dropped_.emplace(id, std::move(sent));
}

Result<std::shared_ptr<MappedFile>> SharedFiles::MapUnfinished(SequentialFile* container) {
  return static_cast<File*>(container)->MapWritten();
}

Status SharedFiles::SyncContainers(const std::vector<Placement>& ends) {
  CAPI_FAULT_POINT("store.before_sync");
  for (const Placement& end : ends) {
    const BlobId id = BlobIdOf(end.file);
    if (id.owner != options_.owner) {
      return BugError("attempt was not written by this process: " + DescribeBlob(id));
    }
    std::shared_ptr<PutProgress> progress;
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      const auto found = sent_.find(id);
      // Only what has become durable is forgotten.
      if (found == sent_.end()) continue;
      progress = found->second.progress;
    }
    CAPI_RETURN_NOT_OK(progress->Wait());
    const std::lock_guard<std::mutex> guard(mutex_);
    sent_.erase(id);
  }
  CAPI_FAULT_POINT("store.after_sync");
  return Status::OK();
}

Result<std::shared_ptr<MappedFile>> SharedFiles::Map(const FileRef& file, FileType /*type*/,
                                                     int64_t min_size) {
  if (!file.is_shared()) {
    return Damaged("file " + HexId(file.id), 0, "manifest is not that of a shared store");
  }
  // The size of a file is known from its only manifest; headers need not be read, because a piece
  // knows whose it is.
  return cache_->Map(BlobIdOf(file), min_size, file.piece_bytes);
}

}  // namespace capi::store
