#include "capi/base/posix_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace capi {

Status PosixError(int error_number, std::string_view what, const std::string& path) {
  char buffer[256];
  // The GNU variant of strerror_r, which returns the text and may leave the buffer unused.
  const char* text = strerror_r(error_number, buffer, sizeof(buffer));
  std::string message = "cannot ";
  message += what;
  message += ": " + path + ": " + text;
  if (error_number == ENOENT) return UserError("file_not_found", std::move(message));
  return EnvironmentError(std::move(message));
}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.Release();
  }
  return *this;
}

int FileDescriptor::Release() { return std::exchange(fd_, -1); }

void FileDescriptor::Close() {
  // close(2) must not be repeated after EINTR: on Linux the descriptor is gone either way.
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

Result<FileDescriptor> OpenFile(const std::string& path, int flags, std::string_view what) {
  // The kernel would silently cut the path at a zero byte.
  if (path.find('\0') != std::string::npos) {
    return UserError("file_not_found", "path contains a zero byte: " + path);
  }
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return PosixError(errno, what, path);
  return FileDescriptor(fd);
}

Status WriteFully(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return PosixError(errno, "write file", path);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return Status::OK();
}

Status WriteFullyAt(int fd, int64_t offset, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), offset);
    if (written < 0) {
      if (errno == EINTR) continue;
      return PosixError(errno, "write file", path);
    }
    offset += written;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return Status::OK();
}

Result<MemoryMapping> MemoryMapping::Map(int fd, int64_t size, const std::string& path) {
  MemoryMapping mapping;
  // mmap(2) refuses an empty range.
  if (size == 0) return mapping;
  void* address = mmap(nullptr, static_cast<size_t>(size), PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return PosixError(errno, "map file", path);
  mapping.data_ = static_cast<const char*>(address);
  mapping.size_ = static_cast<size_t>(size);
  return mapping;
}

MemoryMapping& MemoryMapping::operator=(MemoryMapping&& other) noexcept {
  if (this != &other) {
    Unmap();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void MemoryMapping::AdviseSequential(bool sequential) const {
  if (size_ == 0) return;
  // Only a hint: a refusal changes nothing but speed.
  madvise(const_cast<char*>(data_), size_, sequential ? MADV_SEQUENTIAL : MADV_RANDOM);
}

void MemoryMapping::Unmap() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
  data_ = nullptr;
  size_ = 0;
}

}  // namespace capi
