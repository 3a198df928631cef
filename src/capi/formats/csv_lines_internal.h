#pragma once

// Lines and columns of places in a text, for messages, also when the begin of the text is gone.

#include <cstdint>
#include <mutex>
#include <string_view>

namespace capi::formats::internal {

/// Thread-safe.
class TextLines {
 public:
  explicit TextLines(const char* data) : data_(data) {}

  struct Place {
    int64_t line = 0;    ///< from 1
    int64_t column = 0;  ///< in bytes, from 1
  };
  /// Reads the text from the last Release up to `offset`, which must not lie before it.
  Place PlaceOf(int64_t offset) const;
  /// Counts what is before `begin`, the begin of a line: afterwards it is not read any more.
  void Release(int64_t begin);

 private:
  const char* const data_;
  mutable std::mutex mutex_;  // held while text is read, so that it cannot go away meanwhile
  int64_t begin_ = 0;
  int64_t lines_before_ = 0;
};

}  // namespace capi::formats::internal
