#include "capi/formats/csv_lines_internal.h"
#include "capi/formats/csv_record_internal.h"

namespace capi::formats::internal {

TextLines::Place TextLines::PlaceOf(int64_t offset) const {
  const std::lock_guard lock(mutex_);
  const std::string_view before(data_ + begin_, static_cast<size_t>(offset - begin_));
  const size_t line_break = before.rfind('\n');
  Place place;
  place.line = lines_before_ + CountNewlines(before) + 1;
  place.column = static_cast<int64_t>(
      line_break == std::string_view::npos ? before.size() + 1 : before.size() - line_break);
  return place;
}

void TextLines::Release(int64_t begin) {
  const std::lock_guard lock(mutex_);
  lines_before_ += CountNewlines({data_ + begin_, static_cast<size_t>(begin - begin_)});
  begin_ = begin;
}

}  // namespace capi::formats::internal
