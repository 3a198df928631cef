#pragma once

// The door to the operating system: files, clock, randomness. Everything the engine keeps on disk
// goes through Env, so that tests can drop unsynced writes, undo renames or fill the disk
// (base/fault_env.h).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi {

/// A file being written sequentially by one thread at a time. Not durable before Sync.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual Status Append(std::string_view bytes) = 0;
  /// Bytes appended so far (plus the size at opening for append).
  virtual int64_t size() const = 0;
  /// Asks the kernel to begin writing back [offset, size) without waiting (write-behind hint).
  virtual void StartWriteback() = 0;
  /// Makes all appended bytes durable (fdatasync).
  virtual Status Sync() = 0;
  /// Closes without syncing. Called by the destructor when not called before.
  virtual Status Close() = 0;
};

/// A read-only view of a whole file (mmap). Thread-safe. Pages are page cache, not our memory.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual std::string_view bytes() const = 0;
  /// Advises the kernel: true = sequential scan coming, false = random access.
  virtual void AdviseSequential(bool sequential) = 0;

  // Some files are views of bytes that are not all on this machine (store/shared): a range must be
  // asked for before it is read. Plain files need neither call, and both cost nothing there.

  /// Waits until the bytes [offset, offset + length) can be read; they stay readable as long as
  /// this object lives. After an error a later call may succeed.
  virtual Status EnsureRange(int64_t /*offset*/, int64_t /*length*/) { return Status::OK(); }
  /// When the bytes of a range asked for with BeginFetch will be needed.
  enum class Need : uint8_t { kNow, kSoon };
  /// Begins to fetch a range and returns. Only a hint: errors are told by EnsureRange.
  virtual void BeginFetch(int64_t /*offset*/, int64_t /*length*/, Need /*need*/) {}
  /// True if EnsureRange may have to wait for another machine.
  virtual bool remote() const { return false; }
};

struct FileInfo {
  int64_t size = 0;
  /// What it takes on the disk: less than `size` where it has holes, more where blocks are not
  /// full.
  int64_t allocated_bytes = 0;
  int64_t mtime_ns = 0;
  uint64_t inode = 0;
  bool is_directory = false;
  /// False for directories, devices, pipes and sockets.
  bool is_regular = true;
};

/// Thread-safe. Errors: kEnvironment, or kUser with class "file_not_found" for a missing path.
class Env {
 public:
  virtual ~Env() = default;

  /// The process-wide POSIX environment.
  static Env* Default();

  virtual Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) = 0;
  virtual Result<std::shared_ptr<MappedFile>> MapFile(const std::string& path) = 0;
  virtual Result<std::string> ReadFile(const std::string& path) = 0;
  virtual Result<FileInfo> Stat(const std::string& path) = 0;
  virtual Result<bool> Exists(const std::string& path) = 0;
  /// Names (not paths) in a directory, sorted.
  virtual Result<std::vector<std::string>> ListDirectory(const std::string& path) = 0;
  /// Like mkdir -p; syncs the parents of what it creates.
  virtual Status CreateDirectories(const std::string& path) = 0;
  /// Atomic replace (rename(2)). Durable only after SyncDirectory.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  /// Removing a missing file is not an error.
  virtual Status RemoveFile(const std::string& path) = 0;
  virtual Status RemoveTree(const std::string& path) = 0;
  /// Gives the whole blocks inside a range of a file back to the disk; the range reads as zeros
  /// afterwards, the size stays. Does nothing where the file system cannot do it.
  virtual Status PunchHole(const std::string& path, int64_t offset, int64_t length) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;
  /// A new file of `size` zeros that takes no space yet, for caches: it is filled by WriteAt while
  /// it is mapped, and never synced.
  virtual Status CreateSparseFile(const std::string& path, int64_t size) = 0;
  /// Writes into an existing file, which grows where it must. Thread-safe for different ranges;
  /// mappings show the bytes when the call returns.
  virtual Status WriteAt(const std::string& path, int64_t offset, std::string_view bytes) = 0;

  /// Wall clock, milliseconds since 1970 UTC.
  virtual int64_t NowMillis() = 0;
  /// Monotonic clock in nanoseconds.
  virtual int64_t MonotonicNanos() = 0;
  virtual void SleepMillis(int64_t milliseconds) = 0;
  /// 64 random bits, for ids only.
  virtual uint64_t Random() = 0;
};

/// Directory part of a path, without a trailing slash: "a" for "a/b", "." for "b", "/" for "/b".
std::string ParentOf(const std::string& path);

/// Name of a temp file next to `target`: "<dir>/.<name>.capi-<16 hex digits>.tmp".
std::string TempPathFor(Env* env, const std::string& target);

}  // namespace capi
