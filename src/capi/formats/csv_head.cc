#include <algorithm>

#include "capi/base/near_name.h"
#include "capi/formats/csv_head_internal.h"

namespace capi::formats::internal {

namespace {

/// `near name: "a"` when there is one, else the first names of the header.
std::string DescribeChoices(const std::string& wanted, const std::vector<std::string>& names) {
  constexpr size_t kMostNames = 10;
  const std::string near_name = NearestName(wanted, names);
  if (!near_name.empty()) {
    return "near name: " + QuoteForMessage(near_name);
  }
  std::string text = "names in the file: ";
  for (size_t i = 0; i < std::min(names.size(), kMostNames); ++i) {
    text += (i == 0 ? "" : ", ") + QuoteForMessage(names[i]);
  }
  return names.size() <= kMostNames
             ? text
             : text + " and " + std::to_string(names.size() - kMostNames) + " more";
}

Result<std::vector<int64_t>> FindHeaders(std::string_view text, const CsvReadOptions& options,
                                         const RawRecord& header) {
  std::vector<std::string> names;
  names.reserve(header.cells.size());
  for (const RawCell& cell : header.cells) {
    names.push_back(CellText(text, cell));
  }
  std::vector<int64_t> positions;
  for (const CsvColumn& column : options.columns) {
    // The last of equal names wins.
    const auto found = std::find(names.rbegin(), names.rend(), column.header);
    if (found == names.rend()) {
      return ErrorAt(options, text, header.begin, "csv_missing_header",
                     "a column is missing in the header line: column " +
                         QuoteForMessage(column.header) + " of field \"" + column.field.name +
                         "\"; " + DescribeChoices(column.header, names));
    }
    positions.push_back(names.rend() - found - 1);
  }
  return positions;
}

std::string CountText(int64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

Status CheckPositions(std::string_view text, const CsvReadOptions& options, int64_t num_cells,
                      int64_t data_begin) {
  for (const CsvColumn& column : options.columns) {
    if (column.index < 0 || column.index >= num_cells) {
      return ErrorAt(options, text, data_begin, "csv_column_out_of_range",
                     "a column lies beyond the record: col_idx " + std::to_string(column.index) +
                         " of field \"" + column.field.name + "\", records have " +
                         CountText(num_cells, "cell"));
    }
  }
  return Status::OK();
}

void AddSection(std::string_view text, int64_t begin, int64_t end, std::vector<int64_t> positions,
                CsvHead* head) {
  begin = SkipEmptyLines(text, begin);
  if (begin < end) {
    head->sections.push_back({begin, end, std::move(positions)});
  }
}

int64_t UnclosedOffset(const RawRecord& record) {
  return !record.cells.empty() && record.cells.back().unclosed ? record.cells.back().begin : -1;
}

/// Reads records one by one and counts their cells.
class HeadReader {
 public:
  HeadReader(std::string_view text, const CsvReadOptions& options, CsvHead* head)
      : text_(text), options_(options), head_(*head) {}

  /// Reads on until record `index` is the current one. False if the file ends before it.
  Result<bool> ReadTo(int64_t index) {
    while (index_ < index) {
      if (!NextRecord(text_, options_.separator, record_.end, &record_)) {
        return false;
      }
      ++index_;
      if (index_ == 0) {
        head_.num_cells = static_cast<int64_t>(record_.cells.size());
      } else if (static_cast<int64_t>(record_.cells.size()) != head_.num_cells) {
        return ErrorAt(options_, text_, record_.begin, kRaggedRecord,
                       RaggedMessage(record_, head_.num_cells));
      }
    }
    return true;
  }
  const RawRecord& record() const { return record_; }

 private:
  const std::string_view text_;
  const CsvReadOptions& options_;
  CsvHead& head_;
  int64_t index_ = -1;
  RawRecord record_;
};

Result<CsvHead> ReadByHeader(std::string_view text, const CsvReadOptions& options) {
  CsvHead head;
  HeadReader reader(text, options, &head);
  if (options.header_line < 0) {
    return ErrorAt(options, text, 0, "csv_missing_header",
                   "columns are named by header, but hdr_line_idx says that there is no header "
                   "line");
  }
  int64_t early_begin = -1;
  if (options.first_data_line > 0 && options.first_data_line < options.header_line) {
    // Some lines before the header are data by the rules.
    CAPI_ASSIGN_OR_RETURN(const bool found, reader.ReadTo(options.first_data_line));
    early_begin = found ? reader.record().begin : -1;
  } else if (options.first_data_line <= 0 && options.header_line > 0) {
    early_begin = 0;
  }
  CAPI_ASSIGN_OR_RETURN(const bool has_header, reader.ReadTo(options.header_line));
  if (!has_header) {
    return ErrorAt(options, text, static_cast<int64_t>(text.size()), "csv_missing_header",
                   text.empty() ? "the file is empty, a header line was expected"
                                : "the file ends before its header line: record index " +
                                      std::to_string(options.header_line));
  }
  CAPI_ASSIGN_OR_RETURN(std::vector<int64_t> positions,
                        FindHeaders(text, options, reader.record()));
  if (early_begin >= 0) {
    AddSection(text, early_begin, reader.record().begin,
               std::vector<int64_t>(options.columns.size(), 0), &head);
  }
  CAPI_RETURN_NOT_OK(reader.ReadTo(options.first_data_line - 1));
  head.unclosed_offset = UnclosedOffset(reader.record());
  AddSection(text, reader.record().end, static_cast<int64_t>(text.size()), std::move(positions),
             &head);
  return head;
}

Result<CsvHead> ReadByIndex(std::string_view text, const CsvReadOptions& options) {
  CsvHead head;
  HeadReader reader(text, options, &head);
  CAPI_ASSIGN_OR_RETURN(const bool has_preamble, reader.ReadTo(options.first_data_line - 1));
  head.unclosed_offset = UnclosedOffset(reader.record());
  const int64_t data_begin = reader.record().end;
  if (!has_preamble || SkipEmptyLines(text, data_begin) == static_cast<int64_t>(text.size())) {
    return head;
  }
  if (options.first_data_line <= 0) {
    CAPI_RETURN_NOT_OK(reader.ReadTo(0));  // for the number of cells
  }
  CAPI_RETURN_NOT_OK(CheckPositions(text, options, head.num_cells, data_begin));
  std::vector<int64_t> positions;
  for (const CsvColumn& column : options.columns) {
    positions.push_back(column.index);
  }
  AddSection(text, data_begin, static_cast<int64_t>(text.size()), std::move(positions), &head);
  return head;
}

}  // namespace

std::string QuoteForMessage(std::string_view cell) {
  constexpr size_t kShown = 60;
  std::string shown = "\"";
  size_t at = 0;
  for (; at < cell.size() && at < kShown; ++at) {
    const auto byte = static_cast<unsigned char>(cell[at]);
    if (byte == '"' || byte == '\\') {
      shown += '\\';
      shown += cell[at];
    } else if (byte == '\n') {
      shown += "\\n";
    } else if (byte == '\r') {
      shown += "\\r";
    } else if (byte == '\t') {
      shown += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      static constexpr std::string_view kHex = "0123456789abcdef";
      shown += "\\x";
      shown += kHex[byte >> 4];
      shown += kHex[byte & 0xF];
    } else {
      shown += cell[at];
    }
  }
  if (at == cell.size()) {
    return shown + "\"";
  }
  // Do not end in the middle of a UTF-8 character.
  while (at > 0 && (static_cast<unsigned char>(cell[at]) & 0xC0) == 0x80 && shown.size() > 1) {
    --at;
    shown.pop_back();
  }
  return shown + "\"... (" + std::to_string(cell.size()) + " bytes)";
}

Status ErrorAt(const CsvReadOptions& options, const TextLines& lines, int64_t offset,
               std::string_view error_class, const std::string& message) {
  const TextLines::Place place = lines.PlaceOf(offset);
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = std::string(error_class);
  info.place.file = options.file_name;
  info.place.line = place.line;
  info.place.column = place.column;
  return MakeError(std::move(info), message);
}

Status ErrorAt(const CsvReadOptions& options, std::string_view text, int64_t offset,
               std::string_view error_class, const std::string& message) {
  return ErrorAt(options, TextLines(text.data()), offset, error_class, message);
}

std::string RaggedMessage(const RawRecord& record, int64_t num_cells) {
  std::string message = "a record has another number of cells: expected " +
                        CountText(num_cells, "cell") + " as in the first record, found " +
                        std::to_string(static_cast<int64_t>(record.cells.size()));
  for (const RawCell& cell : record.cells) {
    if (cell.unclosed) {
      message += "; a quote in the record is never closed";
    }
  }
  return message;
}

Result<CsvHead> ReadHead(std::string_view text, const CsvReadOptions& options) {
  CAPI_RETURN_NOT_OK(CheckSeparator(options.separator));
  return options.by_header ? ReadByHeader(text, options) : ReadByIndex(text, options);
}

}  // namespace capi::formats::internal
