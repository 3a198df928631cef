#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "capi/files/sliding_text_internal.h"

namespace capi::files {

namespace {

constexpr int64_t kMostAddresses = int64_t{1} << 42;
constexpr int64_t kLeastAddresses = int64_t{1} << 32;
/// Memory comes and goes in such steps.
constexpr int64_t kStepBytes = int64_t{1} << 20;
constexpr auto kCancelPoll = std::chrono::milliseconds(100);

}  // namespace

Result<std::unique_ptr<SlidingText>> SlidingText::Make(int64_t window_bytes) {
  // Addresses without access cost nothing. Some machines and tools allow fewer.
  for (int64_t size = kMostAddresses; size >= kLeastAddresses; size /= 4) {
    void* data = mmap(nullptr, static_cast<size_t>(size), PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) continue;
    return std::unique_ptr<SlidingText>(
        new SlidingText(static_cast<char*>(data), size, std::max(window_bytes, 2 * kStepBytes)));
  }
  return EnvironmentError(std::string("cannot reserve addresses for a streamed input: ") +
                          std::strerror(errno));
}

SlidingText::~SlidingText() { munmap(data_, static_cast<size_t>(address_bytes_)); }

Result<std::pair<char*, int64_t>> SlidingText::Room() {
  int64_t limit = 0;
  int64_t written = 0;
  {
    std::unique_lock lock(mutex_);
    const auto has_room = [this] {
      return closed_ || written_ < std::max(released_ + window_bytes_, wanted_);
    };
    producer_.wait(lock, has_room);
    if (closed_) return CancelledError("the reader of the input is gone");
    limit = std::max(released_ + window_bytes_, wanted_);
    written = written_;
  }
  if (written == address_bytes_) {
    return EnvironmentError("a streamed input is longer than the addresses of this machine allow");
  }
  if (written == backed_) {
    const int64_t step = std::min(kStepBytes, address_bytes_ - backed_);
    if (mprotect(data_ + backed_, static_cast<size_t>(step), PROT_READ | PROT_WRITE) != 0) {
      return EnvironmentError(std::string("no memory for a streamed input: ") +
                              std::strerror(errno));
    }
    backed_ += step;
  }
  return std::pair(data_ + written, std::min(backed_, std::max(limit, written + 1)) - written);
}

Status SlidingText::Wrote(int64_t size) {
  const std::lock_guard lock(mutex_);
  written_ += size;
  if (written_ >= wanted_) consumer_.notify_all();
  return Status::OK();
}

Status SlidingText::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    CAPI_ASSIGN_OR_RETURN(const auto room, Room());
    const size_t n = std::min(bytes.size(), static_cast<size_t>(room.second));
    std::memcpy(room.first, bytes.data(), n);
    bytes.remove_prefix(n);
    CAPI_RETURN_NOT_OK(Wrote(static_cast<int64_t>(n)));
  }
  return Status::OK();
}

void SlidingText::End(const Status& status) {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  status_ = status;
  consumer_.notify_all();
}

Result<int64_t> SlidingText::WaitFor(int64_t end, const exec::CancelToken& cancel) {
  std::unique_lock lock(mutex_);
  if (end > wanted_) {
    wanted_ = end;
    producer_.notify_all();
  }
  while (written_ < end && !ended_) {
    CAPI_RETURN_NOT_OK(cancel.Check());
    consumer_.wait_for(lock, kCancelPoll);
  }
  if (written_ < end) CAPI_RETURN_NOT_OK(status_);
  return written_;
}

void SlidingText::Release(int64_t begin) {
  const std::lock_guard lock(mutex_);
  released_ = std::max(released_, std::min(begin, written_));
  const int64_t pages = released_ / kStepBytes * kStepBytes;
  if (pages > released_pages_) {
    // Gives memory and its accounting back; the addresses stay ours, also if it fails.
    (void)mmap(data_ + released_pages_, static_cast<size_t>(pages - released_pages_), PROT_NONE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    released_pages_ = pages;
  }
  producer_.notify_all();
}

void SlidingText::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  producer_.notify_all();
}

bool SlidingText::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace capi::files
