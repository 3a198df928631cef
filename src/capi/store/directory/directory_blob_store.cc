#include "capi/store/directory/directory_blob_store.h"

#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "capi/exec/task_pool.h"
#include "capi/store/segment/manifest_internal.h"

namespace capi::store {

namespace {

/// Pieces that are written or read at once.
constexpr int kThreads = 4;

std::optional<uint64_t> Number(const std::string& text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

class DirectoryBlobStore final : public BlobStore {
 public:
  DirectoryBlobStore(Env* env, std::string root, std::unique_ptr<exec::TaskPool> pool)
      : env_(env), root_(std::move(root)), pool_(std::move(pool)) {}

  ~DirectoryBlobStore() override {
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [&] { return under_way_ == 0; });
  }

  void BeginPut(const BlobId& id, int64_t piece, std::string bytes,
                std::function<void(Status)> done) override {
    Run([this, id, piece, bytes = std::move(bytes), done = std::move(done)] {
      done(Put(id, piece, bytes));
    });
  }

  void BeginGet(const BlobId& id, int64_t piece,
                std::function<void(Result<std::string>)> done) override {
    Run([this, id, piece, done = std::move(done)] { done(Get(id, piece)); });
  }

  Result<std::vector<BlobFile>> List() override {
    std::vector<BlobFile> files;
    CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> runs, Names(root_));
    for (const std::string& run : runs) {
      const std::optional<uint64_t> run_id = Number(run, 10);
      if (!run_id.has_value()) continue;
      CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> owners, Names(root_ + "/" + run));
      for (const std::string& owner : owners) {
        const std::optional<uint64_t> owner_id = Number(owner, 16);
        if (!owner_id.has_value()) continue;
        CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                              Names(root_ + "/" + run + "/" + owner));
        for (const std::string& name : names) {
          const std::optional<uint64_t> file_id = Number(name, 16);
          if (!file_id.has_value()) continue;
          BlobFile file;
          file.id = {static_cast<int64_t>(*run_id), static_cast<int64_t>(*owner_id), *file_id};
          CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> pieces,
                                Names(root_ + "/" + run + "/" + owner + "/" + name));
          for (const std::string& piece : pieces) {
            const std::optional<uint64_t> number = Number(piece, 10);
            if (number.has_value()) {
              file.num_pieces = std::max(file.num_pieces, static_cast<int64_t>(*number) + 1);
            }
          }
          files.push_back(file);
        }
      }
    }
    return files;
  }

  Status Remove(const std::vector<BlobFile>& files) override {
    for (const BlobFile& file : files) {
      const std::string directory = DirectoryOf(file.id);
      CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(directory));
      for (const std::string& name : names) {
        CAPI_RETURN_NOT_OK(env_->RemoveFile(directory + "/" + name));
      }
      CAPI_RETURN_NOT_OK(env_->RemoveTree(directory));
    }
    return Status::OK();
  }

 private:
  std::string DirectoryOf(const BlobId& id) const {
    return root_ + "/" + std::to_string(id.run_id) + "/" + HexId(static_cast<uint64_t>(id.owner)) +
           "/" + HexId(id.file);
  }
  std::string PathOf(const BlobId& id, int64_t piece) const {
    return DirectoryOf(id) + "/" + std::to_string(piece);
  }

  /// The names in a directory; none if somebody has removed it.
  Result<std::vector<std::string>> Names(const std::string& path) {
    Result<std::vector<std::string>> names = env_->ListDirectory(path);
    if (!names.ok() && InfoOf(names.status()).error_class == "file_not_found") {
      return std::vector<std::string>();
    }
    return names;
  }

  Status Put(const BlobId& id, int64_t piece, const std::string& bytes) {
    const std::string path = PathOf(id, piece);
    const std::string temporary = TempPathFor(env_, path);
    CAPI_RETURN_NOT_OK(env_->CreateDirectories(DirectoryOf(id)));
    CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<WritableFile> file,
                          env_->NewWritableFile(temporary));
    CAPI_RETURN_NOT_OK(file->Append(bytes));
    CAPI_RETURN_NOT_OK(file->Sync());
    CAPI_RETURN_NOT_OK(file->Close());
    CAPI_RETURN_NOT_OK(env_->Rename(temporary, path));
    return env_->SyncDirectory(DirectoryOf(id));
  }

  Result<std::string> Get(const BlobId& id, int64_t piece) {
    Result<std::string> bytes = env_->ReadFile(PathOf(id, piece));
    if (!bytes.ok() && InfoOf(bytes.status()).error_class == "file_not_found") {
      return DamagedPiece(id, piece, "piece is missing");
    }
    return bytes;
  }

  void Run(std::function<void()> work) {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      ++under_way_;
    }
    pool_->Submit(exec::Priority::kBatch, [this, work = std::move(work)] {
      work();
      const std::lock_guard<std::mutex> guard(mutex_);
      --under_way_;
      idle_.notify_all();
    });
  }

  Env* const env_;
  const std::string root_;
  std::mutex mutex_;
  std::condition_variable idle_;
  int64_t under_way_ = 0;
  const std::unique_ptr<exec::TaskPool> pool_;  // last: its threads use the above
};

}  // namespace

Result<std::unique_ptr<BlobStore>> OpenDirectoryBlobStore(Env* env, const std::string& root) {
  CAPI_RETURN_NOT_OK(env->CreateDirectories(root));
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<exec::TaskPool> pool, exec::TaskPool::Make(kThreads));
  return std::make_unique<DirectoryBlobStore>(env, root, std::move(pool));
}

}  // namespace capi::store
