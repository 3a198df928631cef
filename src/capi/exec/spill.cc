#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/base/posix_file.h"
#include "capi/exec/context.h"

namespace capi::exec {

namespace {

/// Small, because an operator may hold hundreds of partitions open at a time.
constexpr size_t kSpillBufferBytes = size_t{128} << 10;

class PosixSpillFile : public SpillFile {
 public:
  PosixSpillFile(std::string path, FileDescriptor fd, Progress* progress)
      : path_(std::move(path)), fd_(std::move(fd)), progress_(progress) {}

  Status Append(std::string_view bytes) override {
    if (!fd_.open()) return BugError("write to a finished spill file: " + path_);
    CAPI_RETURN_NOT_OK(failure_);
    size_ += static_cast<int64_t>(bytes.size());
    if (buffer_.size() + bytes.size() < kSpillBufferBytes) {
      if (buffer_.capacity() < kSpillBufferBytes) buffer_.reserve(kSpillBufferBytes);
      buffer_.append(bytes);
      return Status::OK();
    }
    CAPI_RETURN_NOT_OK(Flush());
    if (bytes.size() >= kSpillBufferBytes) return Write(bytes);
    buffer_.append(bytes);
    return Status::OK();
  }

  int64_t size() const override { return size_; }

  Result<std::string_view> FinishAndMap() override {
    CAPI_RETURN_NOT_OK(failure_);
    if (fd_.open()) {
      CAPI_RETURN_NOT_OK(Flush());
      CAPI_ASSIGN_OR_RETURN(mapping_, MemoryMapping::Map(fd_.get(), size_, path_));
      fd_.Close();
      buffer_ = std::string();
    }
    return mapping_.bytes();
  }

 private:
  Status Flush() {
    CAPI_RETURN_NOT_OK(Write(buffer_));
    buffer_.clear();
    return Status::OK();
  }

  Status Write(std::string_view bytes) {
    failure_ = Prefixed(WriteBytes(bytes), "cannot spill to disk: ");
    if (failure_.ok() && progress_ != nullptr) {
      progress_->spilled_bytes.fetch_add(static_cast<int64_t>(bytes.size()),
                                         std::memory_order_relaxed);
    }
    return failure_;
  }

  Status WriteBytes(std::string_view bytes) {
    CAPI_FAULT_POINT("exec.before_spill");
    return WriteFully(fd_.get(), bytes, path_);
  }

  const std::string path_;
  FileDescriptor fd_;
  Progress* const progress_;  // outlives the batch that owns this file
  std::string buffer_;
  Status failure_;
  int64_t size_ = 0;
  MemoryMapping mapping_;
};

}  // namespace

Result<std::unique_ptr<SpillFile>> NewSpillFile(const Context& context) {
  if (context.spill_directory.empty()) return BugError("no spill directory set");
  char name[17];
  std::snprintf(name, sizeof(name), "%016llx",
                static_cast<unsigned long long>(context.env->Random()));
  const std::string path = context.spill_directory + "/" + name + ".spill";
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL;
  Result<FileDescriptor> opened = OpenFile(path, kFlags, "create spill file");
  if (!opened.ok() && InfoOf(opened.status()).error_class == "file_not_found") {
    CAPI_RETURN_NOT_OK(context.env->CreateDirectories(context.spill_directory));
    opened = OpenFile(path, kFlags, "create spill file");
  }
  CAPI_ASSIGN_OR_RETURN(FileDescriptor fd, std::move(opened));
  // The content lives as long as the descriptor or the mapping does.
  if (unlink(path.c_str()) < 0) return PosixError(errno, "unlink spill file", path);
  return std::make_unique<PosixSpillFile>(path, std::move(fd), context.progress);
}

}  // namespace capi::exec
