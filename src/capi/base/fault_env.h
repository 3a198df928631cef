#pragma once

// An Env for crash simulations. Files live in a real directory (so that SQLite may live beside
// them), but the environment remembers what a power cut is allowed to take back: bytes not synced,
// and names created, renamed or removed without a sync of their directory.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "capi/base/env.h"

namespace capi {

/// Thread-safe. Tracks paths below `root` only; other paths go straight to the base environment.
/// Paths must be written the same way at every call (no "..", no doubled slashes, no links).
/// Renaming a directory, creating one and punching a hole are taken as durable at once, and so are
/// sparse files, whose content nobody relies on after a crash. Real syncs
/// are skipped: nothing here survives a power cut of the machine.
class FaultEnv : public Env {
 public:
  /// `root` is created; "<root>.inodes" beside it keeps contents that a crash may bring back and is
  /// removed with the environment. `seed` drives Random().
  static Result<std::unique_ptr<FaultEnv>> Make(Env* base, const std::string& root, uint64_t seed);
  ~FaultEnv() override;

  /// The power cut: every unsynced write survives whole, as a random prefix or not at all (a later
  /// one that survives leaves zeros before it), every unsynced change of a name is kept (with
  /// those it builds on) or undone, as drawn from `seed`. Files open for writing become unusable;
  /// clears the faults set below. No other call may be under way.
  Status Crash(uint64_t seed);

  /// The k-th append (or write at a position) from now to a file whose path begins with `prefix`
  /// fails with ENOSPC (1 = the next one), and so does every later one until Crash or
  /// FailAppend(0).
  void FailAppend(int64_t k, const std::string& prefix = "");
  /// That append was reached.
  bool disk_full() const;
  /// The k-th Sync or SyncDirectory from now fails; like real disks, once. 0: none.
  void FailSync(int64_t k);
  /// After k more changing operations (create, append, sync, rename, remove ...) every further one
  /// fails, as for a process that died: follow with Crash. Negative: never.
  void StopAfter(int64_t k);
  /// Changing operations so far: run once to learn their number, then crash at each.
  int64_t operations() const;

  /// The part in the simulation of a file that another library writes at any position (SQLite, by
  /// state/sqlite/fault_vfs.h). Every call comes before the change it stands for; after an error
  /// the change must not be made. What is unsynced belongs to the file: a sync by one handle covers
  /// the writes of all.
  class OverwrittenFile {
   public:
    virtual ~OverwrittenFile() = default;
    virtual Status Write(int64_t offset, std::string_view bytes) = 0;
    virtual Status Truncate(int64_t size) = 0;
    virtual Status Sync() = 0;
  };
  /// Creates the file if it is missing. Null for paths that are not tracked.
  Result<std::unique_ptr<OverwrittenFile>> OpenOverwritten(const std::string& path);

  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override;
  Result<std::shared_ptr<MappedFile>> MapFile(const std::string& path) override;
  Result<std::string> ReadFile(const std::string& path) override;
  Result<FileInfo> Stat(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<std::vector<std::string>> ListDirectory(const std::string& path) override;
  Status CreateDirectories(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status RemoveFile(const std::string& path) override;
  Status RemoveTree(const std::string& path) override;
  Status PunchHole(const std::string& path, int64_t offset, int64_t length) override;
  Status SyncDirectory(const std::string& path) override;
  Status CreateSparseFile(const std::string& path, int64_t size) override;
  Status WriteAt(const std::string& path, int64_t offset, std::string_view bytes) override;
  int64_t NowMillis() override;
  int64_t MonotonicNanos() override;
  void SleepMillis(int64_t milliseconds) override;
  uint64_t Random() override;

 private:
  class TrackedFile;
  class TrackedOverwrites;

  /// An unsynced change of a file written at any position.
  struct Overwrite {
    int64_t offset = 0;
    std::string bytes;
    bool truncates = false;  ///< to `offset` bytes
    void ApplyTo(std::string* content) const;
  };

  /// Content of a file, whatever its names. Reachable as "<root>.inodes/<id>" for as long as we
  /// care.
  struct Inode {
    std::string link_path;
    int64_t synced_bytes = 0;
    /// End offsets of the unsynced appends.
    std::vector<int64_t> unsynced_ends;
    /// Set while the file has been emptied by reopening and not synced since: the old synced
    /// content.
    std::optional<std::string> before_truncation;
    /// Set for files written at any position, in place of the members above: the synced content and
    /// what was changed since.
    std::optional<std::string> synced_content;
    std::vector<Overwrite> overwrites;
    bool clean() const {
      return unsynced_ends.empty() && !before_truncation.has_value() && overwrites.empty();
    }
  };
  using InodeRef = std::shared_ptr<Inode>;
  /// Path -> content; a path known to be absent has a null content.
  using Names = std::map<std::string, InodeRef>;

  /// A change of names not yet durable.
  struct NameChange {
    enum class Kind : uint8_t { kCreate, kRename, kRemove };
    Kind kind;
    std::string path;      ///< the name that is created, removed or renamed away
    std::string new_path;  ///< kRename only
    InodeRef inode;
    bool Touches(const NameChange& other) const;
    const std::string& durable_with() const { return kind == Kind::kRename ? new_path : path; }
  };

  FaultEnv(Env* base, std::string root, uint64_t seed);
  bool Tracks(const std::string& path) const;
  /// Counts a changing operation; an error when the process is to be dead.
  Status BeginChange();
  Result<InodeRef> NewInode(const std::string& path, int64_t synced_bytes);
  /// Inode of an existing tracked file; files that were here before count as durable. Null when
  /// absent.
  Result<InodeRef> FindInode(const std::string& path);
  Status RemoveTracked(const std::string& path);
  /// Adds to the chosen pending changes those before them that they build on (same content or
  /// name).
  void AddPrerequisites(std::vector<bool>* chosen) const;
  static void Apply(const NameChange& change, Names* names);
  static std::string TornAppends(const Inode& inode, const std::string& written,
                                 std::mt19937_64* random);
  static std::string TornOverwrites(const Inode& inode, std::mt19937_64* random);
  Status TearContent(Inode* inode, std::mt19937_64* random);
  /// An error where the disk is to be full.
  Status CountAppend(const std::string& path);
  Status AppendTo(Inode* inode, int fd, const std::string& path, std::string_view bytes,
                  int64_t epoch, int64_t* size);
  Status RecordOverwrite(Inode* inode, const std::string& path, Overwrite change, int64_t epoch);
  Status SyncInode(Inode* inode, int64_t epoch);
  Status CountSync();

  Env* const base_;  // outlives this environment
  const std::string root_;
  const std::string inode_directory_;
  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  Names current_;
  Names durable_;
  std::vector<NameChange> pending_;
  int64_t next_inode_ = 0;
  int64_t epoch_ = 0;
  int64_t operations_ = 0;
  int64_t stop_at_ = -1;
  int64_t appends_until_full_ = 0;
  std::string full_prefix_;
  bool disk_full_ = false;
  int64_t syncs_until_failure_ = 0;
};

}  // namespace capi
