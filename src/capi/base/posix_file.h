#pragma once

// The few POSIX calls that base and exec make directly, EINTR-safe and with errors as Status.

#include <cstdint>
#include <string>
#include <string_view>

#include "capi/base/status.h"

namespace capi {

/// Error for an errno value: "cannot WHAT: <path>: <text of errno>". ENOENT yields kUser
/// "file_not_found", everything else kEnvironment.
Status PosixError(int error_number, std::string_view what, const std::string& path);

/// Owns a file descriptor. Closing reports no error: bytes that must not be lost are synced before.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.Release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { Close(); }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int Release();
  void Close();

 private:
  int fd_ = -1;
};

/// open(2) with O_CLOEXEC added; `what` completes "cannot ...". New files get mode 0666 & ~umask.
Result<FileDescriptor> OpenFile(const std::string& path, int flags, std::string_view what);
/// Writes all bytes at the descriptor's position. `path` is for the message.
Status WriteFully(int fd, std::string_view bytes, const std::string& path);

/// Writes all bytes at `offset`.
Status WriteFullyAt(int fd, int64_t offset, std::string_view bytes, const std::string& path);

/// A read-only mapping of the first `size` bytes of a file; valid after the descriptor is closed.
class MemoryMapping {
 public:
  MemoryMapping() = default;
  static Result<MemoryMapping> Map(int fd, int64_t size, const std::string& path);
  MemoryMapping(MemoryMapping&& other) noexcept { *this = std::move(other); }
  MemoryMapping& operator=(MemoryMapping&& other) noexcept;
  ~MemoryMapping() { Unmap(); }
  std::string_view bytes() const { return {data_, size_}; }
  /// True = sequential scan coming, false = random access.
  void AdviseSequential(bool sequential) const;

 private:
  void Unmap();
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace capi
