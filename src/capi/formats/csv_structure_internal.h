#pragma once

// Where separators, line feeds and quotes stand in a piece of text, found 64 bytes at a time.

#include <cstdint>
#include <memory>

namespace capi::formats::internal {

/// Scratch of one thread, reused from window to window.
class CsvStructure {
 public:
  /// Longest text of a Scan.
  explicit CsvStructure(int64_t max_bytes);

  void Scan(const char* text, int64_t size, char separator);

  /// Ascending offsets of all separators, line feeds and quotes. positions()[-1] exists and is
  /// UINT32_MAX, so that positions()[i - 1] + 1 is the begin of the cell that ends at
  /// positions()[i].
  const uint32_t* positions() const { return positions_.get() + 1; }
  int64_t num_positions() const { return num_positions_; }
  /// newlines()[i] is the index in positions() of line feed i.
  const uint32_t* newlines() const { return newlines_.get(); }
  int64_t num_newlines() const { return num_newlines_; }
  bool has_quotes() const { return has_quotes_; }

 private:
  std::unique_ptr<uint32_t[]> positions_;
  std::unique_ptr<uint32_t[]> newlines_;
  int64_t num_positions_ = 0;
  int64_t num_newlines_ = 0;
  bool has_quotes_ = false;
};

/// False with the environment variable CAPI_SIMD=baseline: only x86-64-v2 code is used.
bool WideSimdAllowed();

}  // namespace capi::formats::internal
