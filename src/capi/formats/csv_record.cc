#include <algorithm>
#include <cstring>

#include "capi/formats/csv_reader.h"
#include "capi/formats/csv_record_internal.h"

namespace capi::formats {

namespace internal {

namespace {

/// First `wanted` in text[from, to), or `to`.
int64_t Find(std::string_view text, int64_t from, int64_t to, char wanted) {
  if (from >= to) {
    return to;
  }
  const void* found = std::memchr(text.data() + from, wanted, static_cast<size_t>(to - from));
  return found == nullptr ? to : static_cast<const char*>(found) - text.data();
}

/// True if a quote at `quote` closes its cell: separator, line end or end of text follow.
bool ClosesCell(std::string_view text, char separator, int64_t quote) {
  const auto next = static_cast<size_t>(quote + 1);
  if (next >= text.size()) {
    return true;
  }
  return text[next] == separator || text[next] == '\n' ||
         (text[next] == '\r' && next + 1 < text.size() && text[next + 1] == '\n');
}

/// Closing quote of the cell whose content begins at `from`, or text.size() if there is none.
int64_t FindClosingQuote(std::string_view text, char separator, int64_t from) {
  const auto size = static_cast<int64_t>(text.size());
  int64_t quote = Find(text, from, size, '"');
  while (quote < size && !ClosesCell(text, separator, quote)) {
    // A doubled quote is skipped whole; a single one inside stays text.
    const bool doubled = text[static_cast<size_t>(quote + 1)] == '"';
    quote = Find(text, quote + (doubled ? 2 : 1), size, '"');
  }
  return std::min(quote, size);
}

RawCell ReadQuotedCell(std::string_view text, char separator, int64_t begin) {
  RawCell cell;
  cell.begin = begin;
  cell.content_begin = begin + 1;
  cell.content_end = FindClosingQuote(text, separator, cell.content_begin);
  cell.unclosed = cell.content_end == static_cast<int64_t>(text.size());
  const std::string_view content =
      text.substr(static_cast<size_t>(cell.content_begin),
                  static_cast<size_t>(cell.content_end - cell.content_begin));
  cell.encoded =
      content.find('"') != std::string_view::npos || content.find("\r\n") != std::string_view::npos;
  return cell;
}

}  // namespace

Status CheckSeparator(char separator) {
  const auto byte = static_cast<unsigned char>(separator);
  if (byte == 0 || byte >= 0x80 || separator == '"' || separator == '\r' || separator == '\n') {
    return UserError("csv_bad_separator",
                     "the separator must be one ASCII character other than a quote or a line end: "
                     "character code " +
                         std::to_string(byte));
  }
  return Status::OK();
}

std::string_view TrimFileText(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  if (text.ends_with('\r')) {
    text.remove_suffix(1);
  }
  return text;
}

int64_t SkipEmptyLines(std::string_view text, int64_t offset) {
  auto at = static_cast<size_t>(offset);
  while (at < text.size()) {
    if (text[at] == '\n') {
      at += 1;
    } else if (text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n') {
      at += 2;
    } else {
      break;
    }
  }
  return static_cast<int64_t>(at);
}

bool NextRecord(std::string_view text, char separator, int64_t offset, RawRecord* record) {
  const auto size = static_cast<int64_t>(text.size());
  record->cells.clear();
  record->begin = SkipEmptyLines(text, offset);
  record->end = record->begin;
  if (record->begin >= size) {
    return false;
  }
  int64_t at = record->begin;
  int64_t line_end = Find(text, at, size, '\n');
  while (true) {
    RawCell cell;
    int64_t end = 0;  // of the cell, closing quote included
    if (at < size && text[static_cast<size_t>(at)] == '"') {
      cell = ReadQuotedCell(text, separator, at);
      end = std::min(cell.content_end + 1, size);
      if (end > line_end) {
        line_end = Find(text, end, size, '\n');
      }
    } else {
      end = Find(text, at, line_end, separator);
      cell.begin = at;
      cell.content_begin = at;
      cell.content_end = end;
      if (end == line_end && line_end < size && end > at &&
          text[static_cast<size_t>(end - 1)] == '\r') {
        --cell.content_end;
      }
    }
    record->cells.push_back(cell);
    if (end < size && text[static_cast<size_t>(end)] == separator) {
      at = end + 1;
      continue;
    }
    record->end = std::min(line_end + 1, size);
    return true;
  }
}

void AppendDecoded(std::string_view content, std::string* out) {
  size_t at = 0;
  while (at < content.size()) {
    const size_t special = std::min(content.find_first_of("\"\r", at), content.size());
    out->append(content.substr(at, special - at));
    at = special;
    if (at == content.size()) {
      return;
    }
    const bool followed = at + 1 < content.size();
    if (content[at] == '"') {
      out->push_back('"');
      at += followed && content[at + 1] == '"' ? 2 : 1;
    } else if (followed && content[at + 1] == '\n') {
      out->push_back('\n');
      at += 2;
    } else {
      out->push_back('\r');
      at += 1;
    }
  }
}

std::string CellText(std::string_view text, const RawCell& cell) {
  const std::string_view content =
      text.substr(static_cast<size_t>(cell.content_begin),
                  static_cast<size_t>(cell.content_end - cell.content_begin));
  if (!cell.encoded) {
    return std::string(content);
  }
  std::string decoded;
  AppendDecoded(content, &decoded);
  return decoded;
}

int64_t FindRecordEnd(std::string_view text, char separator, int64_t begin, int64_t target) {
  const auto size = static_cast<int64_t>(text.size());
  int64_t at = begin;  // outside of quoted cells
  // A record that ends exactly at the target leaves its line feed just before it.
  int64_t newline = Find(text, std::max(target - 1, begin), size, '\n');
  while (true) {
    const int64_t quote = Find(text, at, newline, '"');
    if (quote == newline) {
      return std::min(newline + 1, size);
    }
    const char before = quote == begin ? '\n' : text[static_cast<size_t>(quote - 1)];
    if (before != separator && before != '\n') {
      at = quote + 1;
      continue;
    }
    const int64_t closing = FindClosingQuote(text, separator, quote + 1);
    at = std::min(closing + 1, size);
    if (at > newline) {
      newline = Find(text, at, size, '\n');
    }
  }
}

int64_t CountNewlines(std::string_view text) {
  return static_cast<int64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace internal

Status SplitCsv(std::string_view text, char separator,
                std::vector<std::vector<std::string>>* records) {
  CAPI_RETURN_NOT_OK(internal::CheckSeparator(separator));
  text = internal::TrimFileText(text);
  records->clear();
  internal::RawRecord record;
  while (internal::NextRecord(text, separator, record.end, &record)) {
    if (!records->empty() && records->front().size() != record.cells.size()) {
      ErrorInfo info;
      info.kind = ErrorKind::kUser;
      info.error_class = "csv_ragged_record";
      info.place.line =
          1 + internal::CountNewlines(text.substr(0, static_cast<size_t>(record.begin)));
      info.place.column = 1;
      return MakeError(std::move(info), "record of another length: expected " +
                                            std::to_string(records->front().size()) +
                                            " cells as in the first record, found " +
                                            std::to_string(record.cells.size()));
    }
    std::vector<std::string>& cells = records->emplace_back();
    cells.reserve(record.cells.size());
    for (const internal::RawCell& cell : record.cells) {
      cells.push_back(internal::CellText(text, cell));
    }
  }
  return Status::OK();
}

}  // namespace capi::formats
