#include "capi/formats/csv_records.h"

#include "capi/formats/csv_record_internal.h"

namespace capi::formats {

CsvRecords::CsvRecords(std::string_view text, char separator)
    : text_(internal::TrimFileText(text)), separator_(separator) {}

bool CsvRecords::Next() {
  // Kept between calls, so that its memory is reused.
  thread_local internal::RawRecord record;
  if (!internal::NextRecord(text_, separator_, offset_, &record)) return false;
  line_ += internal::CountNewlines(
      text_.substr(static_cast<size_t>(begin_), static_cast<size_t>(record.begin - begin_)));
  begin_ = record.begin;
  offset_ = record.end;
  cells_.clear();
  decoded_.clear();
  // Views into decoded_ are valid only when it does not grow any more.
  decoded_.reserve(static_cast<size_t>(record.end - record.begin));
  unclosed_ = false;
  for (const internal::RawCell& cell : record.cells) {
    const std::string_view content =
        text_.substr(static_cast<size_t>(cell.content_begin),
                     static_cast<size_t>(cell.content_end - cell.content_begin));
    unclosed_ = unclosed_ || cell.unclosed;
    if (!cell.encoded) {
      cells_.push_back(content);
      continue;
    }
    const size_t begin = decoded_.size();
    internal::AppendDecoded(content, &decoded_);
    cells_.emplace_back(decoded_.data() + begin, decoded_.size() - begin);
  }
  return true;
}

}  // namespace capi::formats
