#pragma once

// The text of a CSV input as it arrives, cut into blocks that are parsed in parallel.

#include <cstdint>
#include <optional>
#include <string_view>

#include "capi/exec/context.h"
#include "capi/files/input.h"
#include "capi/formats/csv_head_internal.h"

namespace capi::formats::internal {

/// A piece of a section, made of whole records.
struct Block {
  const DataSection* section = nullptr;
  std::string_view text;  ///< ends with the block; what comes before it may be gone
  int64_t begin = 0;
  int64_t end() const { return static_cast<int64_t>(text.size()); }
};

/// The text of an input without its byte order mark, as far as it has arrived. Used by one thread
/// at a time.
class ArrivingText {
 public:
  ArrivingText(const exec::Context& context, files::InputText* input)
      : context_(context), input_(*input) {}

  /// Looks at the first bytes.
  Status Begin();
  const char* data() const { return input_.data() + mark_bytes_; }

  /// The text up to `wanted` at least, unless it ends before; ended() tells.
  Result<std::string_view> UpTo(int64_t wanted);
  /// The last text that UpTo returned is all there is.
  bool ended() const { return ended_; }

  /// Text before `begin`, the begin of a line, is not needed any more.
  void Release(int64_t begin, TextLines* lines);

 private:
  const exec::Context& context_;
  files::InputText& input_;
  int64_t mark_bytes_ = 0;
  bool ended_ = false;
};

/// Reads as much text as the head needs.
Result<CsvHead> ReadArrivingHead(ArrivingText* arriving, const CsvReadOptions& options);

/// Cuts the sections into blocks at record ends.
class BlockCutter {
 public:
  /// `head` and `arriving` must outlive it.
  BlockCutter(const CsvHead* head, char separator, ArrivingText* arriving, int64_t block_bytes)
      : head_(*head), separator_(separator), arriving_(*arriving), block_bytes_(block_bytes) {}

  Result<std::optional<Block>> Next();

 private:
  const CsvHead& head_;
  const char separator_;
  ArrivingText& arriving_;
  const int64_t block_bytes_;
  size_t section_ = 0;
  int64_t at_ = 0;
};

}  // namespace capi::formats::internal
