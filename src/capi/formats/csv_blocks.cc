#include <algorithm>
#include <limits>
#include <string>

#include "capi/formats/csv_blocks_internal.h"
#include "capi/formats/csv_record_internal.h"
#include "capi/formats/csv_tokenizer_internal.h"

namespace capi::formats::internal {

Status ArrivingText::Begin() {
  constexpr int64_t kMarkBytes = 3;
  CAPI_ASSIGN_OR_RETURN(const int64_t available, input_.WaitFor(kMarkBytes, context_.cancel));
  const std::string_view begin(input_.data(), static_cast<size_t>(available));
  mark_bytes_ = TrimFileText(begin.substr(0, kMarkBytes)).data() - begin.data();
  return Status::OK();
}

Result<std::string_view> ArrivingText::UpTo(int64_t wanted) {
  constexpr int64_t kEverything = std::numeric_limits<int64_t>::max();
  if (input_.keeps_text()) wanted = kEverything - mark_bytes_;
  CAPI_ASSIGN_OR_RETURN(const int64_t available,
                        input_.WaitFor(mark_bytes_ + wanted, context_.cancel));
  std::string_view text(data(), static_cast<size_t>(available - mark_bytes_));
  ended_ = available < mark_bytes_ + wanted;
  if (ended_ && text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

void ArrivingText::Release(int64_t begin, TextLines* lines) {
  if (!input_.keeps_text()) lines->Release(begin);
  input_.Release(mark_bytes_ + begin);
}

Result<CsvHead> ReadArrivingHead(ArrivingText* arriving, const CsvReadOptions& options) {
  for (int64_t wanted = int64_t{64} << 10;; wanted *= 4) {
    CAPI_ASSIGN_OR_RETURN(const std::string_view text, arriving->UpTo(wanted));
    Result<CsvHead> head = ReadHead(text, options);
    if (arriving->ended()) return head;
    const bool settled = head.ok() && head->unclosed_offset < 0 && !head->sections.empty();
    if (!settled && wanted > kMaxRecordBytes) {
      CAPI_RETURN_NOT_OK(head.status());
      return ErrorAt(options, text, 0, "csv_record_too_long",
                     "no data was found in the first bytes of the file (is a quote not closed?): " +
                         std::to_string(wanted));
    }
    // Anything that touches the end of what is there may be different with more of it.
    if (!settled) continue;
    DataSection& last = head->sections.back();
    const auto size = static_cast<int64_t>(text.size());
    if (FindRecordEnd(text, options.separator, last.begin, last.begin + 1) < size ||
        wanted > kMaxRecordBytes) {
      last.end = std::numeric_limits<int64_t>::max();
      return head;
    }
  }
}

Result<std::optional<Block>> BlockCutter::Next() {
  if (section_ == head_.sections.size()) {
    return std::nullopt;
  }
  const DataSection& section = head_.sections[section_];
  Block block;
  block.section = &section;
  block.begin = std::max(at_, section.begin);
  const int64_t target = block.begin + block_bytes_;
  // Beyond the target, so that most blocks are found to end at once.
  constexpr int64_t kSlackBytes = 4 << 10;
  for (int64_t slack = kSlackBytes;; slack *= 4) {
    CAPI_ASSIGN_OR_RETURN(std::string_view text, arriving_.UpTo(target + slack));
    bool is_last = arriving_.ended();
    if (section.end < static_cast<int64_t>(text.size())) {
      text = text.substr(0, static_cast<size_t>(section.end));
      is_last = true;
    }
    const auto size = static_cast<int64_t>(text.size());
    if (is_last && size <= target) {
      block.text = text;
      ++section_;
      break;
    }
    const int64_t end = FindRecordEnd(text, separator_, block.begin, target);
    // Behind a record that is too long nothing is read.
    if (is_last || end < size || slack > kMaxRecordBytes) {
      block.text = text.substr(0, static_cast<size_t>(end));
      if (is_last && end == size) ++section_;
      break;
    }
  }
  at_ = block.end();
  return block;
}

}  // namespace capi::formats::internal
