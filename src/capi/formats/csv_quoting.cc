#include <emmintrin.h>

#include <algorithm>
#include <cstring>

#include "capi/formats/csv_quoting_internal.h"

namespace capi::formats::internal {

CsvQuoting::CsvQuoting(std::string separator)
    : separator_(std::move(separator)), first_(separator_.empty() ? '\n' : separator_[0]) {}

bool CsvQuoting::NeedsQuotes(std::string_view cell) const {
  return cell.find_first_of("\"\r\n") != std::string_view::npos ||
         (!separator_.empty() && cell.find(separator_) != std::string_view::npos);
}

void CsvQuoting::Append(std::string_view cell, std::string* out) const {
  if (!NeedsQuotes(cell)) {
    out->append(cell);
    return;
  }
  const size_t before = out->size();
  out->resize(before + static_cast<size_t>(MaxBytes(static_cast<int64_t>(cell.size()))));
  const char* const end = WriteQuoted(cell, out->data() + before);
  out->resize(static_cast<size_t>(end - out->data()));
}

char* CsvQuoting::WriteQuoted(std::string_view cell, char* out) const {
  *out++ = '"';
  for (const char c : cell) {
    *out = '"';
    out += c == '"' ? 1 : 0;
    *out++ = c;
  }
  *out++ = '"';
  return out;
}

char* CsvQuoting::Write(const char* cell, int64_t length, const char* readable_end,
                        char* out) const {
  const __m128i first = _mm_set1_epi8(first_);
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i line_feed = _mm_set1_epi8('\n');
  const __m128i carriage_return = _mm_set1_epi8('\r');
  // Copies while looking for special characters.
  int64_t at = 0;
  bool special = false;
  while (at < length && readable_end - (cell + at) >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(cell + at));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + at), bytes);
    const __m128i found = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(bytes, first), _mm_cmpeq_epi8(bytes, quote)),
        _mm_or_si128(_mm_cmpeq_epi8(bytes, line_feed), _mm_cmpeq_epi8(bytes, carriage_return)));
    auto mask = static_cast<uint32_t>(_mm_movemask_epi8(found));
    const int64_t rest = length - at;
    if (rest < 16) {
      mask &= (1U << rest) - 1;
    }
    special |= mask != 0;
    at += 16;
  }
  for (; at < length; ++at) {
    out[at] = cell[at];
    special |= IsSpecial(cell[at]);
  }
  if (!special) [[likely]] {
    return out + length;
  }
  // The first character of a longer separator alone needs no quotes.
  const std::string_view text(cell, static_cast<size_t>(length));
  return NeedsQuotes(text) ? WriteQuoted(text, out) : out + length;
}

}  // namespace capi::formats::internal
