#pragma once

// The files of a store: containers and table files being written, and views of finished ones. Two
// kinds: files in a directory (segment/local_files_internal.h) and files shared with other machines
// (shared/shared_files_internal.h).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"

namespace capi::store {

/// Attempts up to this size are written at once when they are finished; larger ones are streamed.
constexpr int64_t kSharedAttemptBytes = int64_t{4} << 20;

enum class FileType { kContainer, kTable };

/// What identifies a file.
struct FileRef {
  uint64_t id = 0;
  // Of files shared with other machines (store/blob_store.h); zeros for those in a directory.
  int64_t run_id = 0;
  int64_t owner = 0;
  int32_t piece_bytes = 0;
  bool is_shared() const { return owner != 0; }
};

/// A file written from begin to end by one thread; positions are those in the file.
class SequentialFile {
 public:
  virtual ~SequentialFile() = default;
  const FileRef& ref() const { return ref_; }
  /// For messages.
  const std::string& path() const { return path_; }
  virtual int64_t size() const = 0;
  virtual Status Append(std::string_view bytes) = 0;
  /// Zeros up to the next multiple of kAlignment.
  Status Align();

 protected:
  SequentialFile(FileRef ref, std::string path) : ref_(ref), path_(std::move(path)) {}

 private:
  const FileRef ref_;
  const std::string path_;
};

/// Thread-safe.
class SegmentFiles {
 public:
  struct Placement {
    FileRef file;
    int64_t offset = 0;
  };

  virtual ~SegmentFiles() = default;

  /// Where a file is, for messages.
  virtual std::string PathOf(const FileRef& file, FileType type) const = 0;

  /// Puts a whole attempt of a run into a container that may be shared with other attempts.
  virtual Result<Placement> AppendAttempt(int64_t run_id, std::string_view attempt) = 0;

  /// A new file of a run with its header written. In the end it is given to Adopt, FinishTable or
  /// Abandon.
  virtual Result<std::unique_ptr<SequentialFile>> NewFile(int64_t run_id, FileType type) = 0;
  /// A finished container; it is kept until it is synced.
  virtual Status Adopt(std::unique_ptr<SequentialFile> container) = 0;
  /// Makes a finished table file durable.
  virtual Status FinishTable(std::unique_ptr<SequentialFile> table) = 0;
  /// Removes a file that nobody knows.
  virtual void Abandon(std::unique_ptr<SequentialFile> file, FileType type) = 0;
  /// What has been written so far, for reading it back. Slow.
  virtual Result<std::shared_ptr<MappedFile>> MapUnfinished(SequentialFile* container) = 0;

  /// Makes containers written by this process durable up to their present ends, each once, and
  /// their names as well.
  virtual Status SyncContainers(const std::vector<Placement>& ends) = 0;

  /// A view of a finished file that is at least `min_size` bytes long. Views in use are shared.
  virtual Result<std::shared_ptr<MappedFile>> Map(const FileRef& file, FileType type,
                                                  int64_t min_size) = 0;
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

/// The header of a new file.
std::string NewFileHeader(uint64_t id, FileType type);

/// "table data is damaged: <reason>: <path>, offset <offset>"
Status Damaged(const std::string& path, int64_t offset, std::string_view reason);

}  // namespace capi::store
