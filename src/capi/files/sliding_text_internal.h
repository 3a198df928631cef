#pragma once

// Text that arrives piece by piece at addresses that stay valid, while its begin is given up again:
// a long range of addresses of which only a window has memory. Lets code that wants a contiguous
// text stream through files of any length.

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "capi/base/status.h"
#include "capi/exec/cancel.h"

namespace capi::files {

/// One producer, one consumer (which may be several threads, one after the other).
class SlidingText {
 public:
  /// The producer waits while `window_bytes` are there that nobody has given up, unless the
  /// consumer asks for more.
  static Result<std::unique_ptr<SlidingText>> Make(int64_t window_bytes);
  ~SlidingText();
  SlidingText(const SlidingText&) = delete;
  SlidingText& operator=(const SlidingText&) = delete;

  // ---- Producer

  /// A place for the next bytes, at least one; waits for it. kCancelled when closed.
  Result<std::pair<char*, int64_t>> Room();
  Status Wrote(int64_t size);
  Status Append(std::string_view bytes);
  /// The text has ended, or broken off with an error.
  void End(const Status& status);

  // ---- Consumer

  const char* data() const { return data_; }
  /// Waits until bytes [0, end) have arrived or the text has ended; returns how many have. The
  /// error the text broke off with when less than `end` arrived before it.
  Result<int64_t> WaitFor(int64_t end, const exec::CancelToken& cancel);
  /// Bytes before `begin` are not read any more.
  void Release(int64_t begin);
  /// The producer may stop.
  void Close();
  bool closed() const;

 private:
  SlidingText(char* data, int64_t address_bytes, int64_t window_bytes)
      : data_(data), address_bytes_(address_bytes), window_bytes_(window_bytes) {}

  char* const data_;
  const int64_t address_bytes_;
  const int64_t window_bytes_;
  int64_t backed_ = 0;  ///< [released pages, backed_) have memory; producer only

  mutable std::mutex mutex_;
  std::condition_variable producer_;
  std::condition_variable consumer_;
  int64_t written_ = 0;
  int64_t released_ = 0;        ///< as told
  int64_t released_pages_ = 0;  ///< without memory
  int64_t wanted_ = 0;
  bool ended_ = false;
  bool closed_ = false;
  Status status_;
};

}  // namespace capi::files
