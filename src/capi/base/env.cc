#include "capi/base/env.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "capi/base/posix_file.h"

namespace capi {

namespace {

constexpr size_t kWriteBufferBytes = size_t{1} << 20;
constexpr size_t kReadChunkBytes = size_t{1} << 16;
/// Longest part of a target's name kept in its temp name, so that the whole stays below NAME_MAX.
constexpr size_t kMaxTempStemBytes = 200;

int64_t Nanos(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(std::string path, FileDescriptor fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}
  ~PosixWritableFile() override {
    // Whoever needs the bytes has called Sync; an abandoned file may stay incomplete.
    (void)PosixWritableFile::Close();
  }

  Status Append(std::string_view bytes) override {
    if (!fd_.open()) return BugError("write to a closed file: " + path_);
    CAPI_RETURN_NOT_OK(failure_);
    size_ += static_cast<int64_t>(bytes.size());
    if (buffer_.size() + bytes.size() < kWriteBufferBytes) {
      if (buffer_.capacity() < kWriteBufferBytes) buffer_.reserve(kWriteBufferBytes);
      buffer_.append(bytes);
      return Status::OK();
    }
    CAPI_RETURN_NOT_OK(Flush());
    // Blocks of at least a buffer's size gain nothing from being copied.
    if (bytes.size() >= kWriteBufferBytes) return Write(bytes);
    buffer_.append(bytes);
    return Status::OK();
  }

  int64_t size() const override { return size_; }

  void StartWriteback() override {
    if (!fd_.open() || written_ == writeback_begun_) return;
    // Only a hint. Bytes still in the user buffer follow with the next call.
    (void)sync_file_range(fd_.get(), writeback_begun_, written_ - writeback_begun_,
                          SYNC_FILE_RANGE_WRITE);
    writeback_begun_ = written_;
  }

  Status Sync() override {
    if (!fd_.open()) return BugError("sync of a closed file: " + path_);
    CAPI_RETURN_NOT_OK(Flush());
    int result;
    do {
      result = fdatasync(fd_.get());
    } while (result < 0 && errno == EINTR);
    // After a failed sync the kernel may have dropped the pages: a later success would prove
    // nothing.
    if (result < 0) failure_ = PosixError(errno, "sync file", path_);
    return failure_;
  }

  Status Close() override {
    if (!fd_.open()) return Status::OK();
    Status flushed = Flush();
    fd_.Close();
    buffer_ = std::string();
    return flushed;
  }

 private:
  Status Flush() {
    CAPI_RETURN_NOT_OK(failure_);
    if (buffer_.empty()) return Status::OK();
    CAPI_RETURN_NOT_OK(Write(buffer_));
    buffer_.clear();
    return Status::OK();
  }

  Status Write(std::string_view bytes) {
    failure_ = WriteFully(fd_.get(), bytes, path_);
    if (failure_.ok()) written_ += static_cast<int64_t>(bytes.size());
    return failure_;
  }

  const std::string path_;
  FileDescriptor fd_;
  std::string buffer_;
  /// The first error; the file's content is unknown after it, so every later call returns it.
  Status failure_;
  int64_t size_ = 0;
  int64_t written_ = 0;
  int64_t writeback_begun_ = 0;
};

class PosixMappedFile : public MappedFile {
 public:
  explicit PosixMappedFile(MemoryMapping mapping) : mapping_(std::move(mapping)) {}
  std::string_view bytes() const override { return mapping_.bytes(); }
  void AdviseSequential(bool sequential) override { mapping_.AdviseSequential(sequential); }

 private:
  const MemoryMapping mapping_;
};

class PosixEnv : public Env {
 public:
  Result<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override {
    CAPI_ASSIGN_OR_RETURN(FileDescriptor fd,
                          OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, "open file for writing"));
    return std::make_unique<PosixWritableFile>(path, std::move(fd));
  }

  Result<std::shared_ptr<MappedFile>> MapFile(const std::string& path) override {
    // O_NONBLOCK keeps a FIFO from blocking before it is refused.
    CAPI_ASSIGN_OR_RETURN(FileDescriptor fd, OpenFile(path, O_RDONLY | O_NONBLOCK, "open file"));
    struct stat status;
    if (fstat(fd.get(), &status) < 0) return PosixError(errno, "read file attributes", path);
    if (S_ISDIR(status.st_mode)) return PosixError(EISDIR, "map file", path);
    // Devices and FIFOs claim size 0 and would silently look like empty files.
    if (!S_ISREG(status.st_mode)) {
      return EnvironmentError("cannot map file: not a regular file: " + path);
    }
    CAPI_ASSIGN_OR_RETURN(MemoryMapping mapping,
                          MemoryMapping::Map(fd.get(), status.st_size, path));
    return std::make_shared<PosixMappedFile>(std::move(mapping));
  }

  Result<std::string> ReadFile(const std::string& path) override {
    CAPI_ASSIGN_OR_RETURN(FileDescriptor fd, OpenFile(path, O_RDONLY, "open file"));
    std::string content;
    struct stat status;
    // The size is only a first guess: pipes and /proc files do not tell it.
    if (fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode)) {
      content.reserve(static_cast<size_t>(status.st_size) + kReadChunkBytes);
    }
    while (true) {
      const size_t end = content.size();
      content.resize(end + kReadChunkBytes);
      const ssize_t count = read(fd.get(), content.data() + end, kReadChunkBytes);
      if (count < 0 && errno != EINTR) return PosixError(errno, "read file", path);
      content.resize(end + static_cast<size_t>(std::max<ssize_t>(count, 0)));
      if (count == 0) return content;
    }
  }

  Result<FileInfo> Stat(const std::string& path) override {
    struct stat status;
    if (stat(path.c_str(), &status) < 0) return PosixError(errno, "read file attributes", path);
    FileInfo info;
    info.size = status.st_size;
    constexpr int64_t kBlockBytes = 512;  // whatever the file system's blocks are
    info.allocated_bytes = int64_t{status.st_blocks} * kBlockBytes;
    info.mtime_ns = Nanos(status.st_mtim);
    info.inode = status.st_ino;
    info.is_directory = S_ISDIR(status.st_mode);
    info.is_regular = S_ISREG(status.st_mode);
    return info;
  }

  Result<bool> Exists(const std::string& path) override {
    struct stat status;
    if (stat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return PosixError(errno, "read file attributes", path);
  }

  Result<std::vector<std::string>> ListDirectory(const std::string& path) override {
    DIR* directory = opendir(path.c_str());
    if (directory == nullptr) return PosixError(errno, "list directory", path);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = readdir(directory)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    const int error_number = errno;
    closedir(directory);
    if (error_number != 0) return PosixError(error_number, "list directory", path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status CreateDirectories(const std::string& path) override {
    if (mkdir(path.c_str(), 0777) == 0) return SyncDirectory(ParentOf(path));
    if (errno == ENOENT && !path.empty() && ParentOf(path) != path) {
      CAPI_RETURN_NOT_OK(CreateDirectories(ParentOf(path)));
      if (mkdir(path.c_str(), 0777) == 0) return SyncDirectory(ParentOf(path));
    }
    // Somebody else may have created it at the same time.
    const int error_number = errno;
    struct stat status;
    if (error_number == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      return Status::OK();
    }
    return PosixError(error_number, "create directory", path);
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) == 0) return Status::OK();
    return PosixError(errno, "rename file", from + " to " + to);
  }

  Status RemoveFile(const std::string& path) override {
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return Status::OK();
    return PosixError(errno, "remove file", path);
  }

  Status PunchHole(const std::string& path, int64_t offset, int64_t length) override {
    CAPI_ASSIGN_OR_RETURN(FileDescriptor fd, OpenFile(path, O_WRONLY, "open file for writing"));
    if (fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0 ||
        errno == EOPNOTSUPP || errno == ENOSYS) {
      return Status::OK();
    }
    return PosixError(errno, "punch hole into file", path);
  }

  Status RemoveTree(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return PosixError(error.value(), "remove directory", path);
    return Status::OK();
  }

  Status SyncDirectory(const std::string& path) override {
    CAPI_ASSIGN_OR_RETURN(FileDescriptor fd,
                          OpenFile(path, O_RDONLY | O_DIRECTORY, "open directory"));
    int result;
    do {
      result = fsync(fd.get());
    } while (result < 0 && errno == EINTR);
    // EINVAL: the file system has no notion of syncing a directory; nothing more can be done there.
    if (result < 0 && errno != EINVAL) return PosixError(errno, "sync directory", path);
    return Status::OK();
  }

  Status CreateSparseFile(const std::string& path, int64_t size) override {
    CAPI_ASSIGN_OR_RETURN(FileDescriptor fd,
                          OpenFile(path, O_WRONLY | O_CREAT | O_EXCL, "create file"));
    if (ftruncate(fd.get(), size) == 0) return Status::OK();
    return PosixError(errno, "set size of file", path);
  }

  Status WriteAt(const std::string& path, int64_t offset, std::string_view bytes) override {
    CAPI_ASSIGN_OR_RETURN(FileDescriptor fd, OpenFile(path, O_WRONLY, "open file for writing"));
    return WriteFullyAt(fd.get(), offset, bytes, path);
  }

  int64_t NowMillis() override {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return Nanos(now) / 1'000'000;
  }

  int64_t MonotonicNanos() override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return Nanos(now);
  }

  void SleepMillis(int64_t milliseconds) override {
    if (milliseconds <= 0) return;
    timespec left;
    left.tv_sec = milliseconds / 1000;
    left.tv_nsec = milliseconds % 1000 * 1'000'000;
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
  }

  uint64_t Random() override {
    uint64_t bits = 0;
    // Up to 256 bytes are returned whole once the kernel's pool is ready; EINTR can only come
    // before.
    while (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
    }
    return bits;
  }
};

}  // namespace

std::string ParentOf(const std::string& path) {
  const size_t name_end = path.find_last_not_of('/');
  if (name_end == std::string::npos) return path.empty() ? "." : "/";
  const size_t slash = path.find_last_of('/', name_end);
  if (slash == std::string::npos) return ".";
  const size_t parent_end = path.find_last_not_of('/', slash);
  return parent_end == std::string::npos ? "/" : path.substr(0, parent_end + 1);
}

Env* Env::Default() {
  // Never destroyed, so that it can be used until the very end of the process.
  static PosixEnv* const env = new PosixEnv;
  return env;
}

std::string TempPathFor(Env* env, const std::string& target) {
  const size_t slash = target.find_last_of('/');
  const size_t name_begin = slash == std::string::npos ? 0 : slash + 1;
  char id[17];
  std::snprintf(id, sizeof(id), "%016llx", static_cast<unsigned long long>(env->Random()));
  return target.substr(0, name_begin) + "." + target.substr(name_begin, kMaxTempStemBytes) +
         ".capi-" + id + ".tmp";
}

}  // namespace capi
