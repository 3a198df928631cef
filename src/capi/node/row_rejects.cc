#include "capi/node/row_rejects.h"

#include <algorithm>

#include "arrow/array/array_base.h"
#include "capi/files/compression.h"
#include "capi/node/runners_internal.h"

namespace capi::node {

namespace {

constexpr std::string_view kHeader = "file,line,reason,text\n";
/// Longer records are cut: most likely a quote is not closed.
constexpr size_t kMostText = size_t{64} << 10;

void AppendQuoted(std::string_view cell, std::string* line) {
  if (cell.find_first_of(",\"\r\n") == std::string_view::npos) {
    *line += cell;
    return;
  }
  *line += '"';
  for (const char c : cell) {
    if (c == '"') *line += '"';
    *line += c;
  }
  *line += '"';
}

}  // namespace

Result<std::unique_ptr<RejectFile>> RejectFile::Open(const NodeSetup& setup, const BatchTask& task,
                                                     const std::string& url) {
  const script::RowErrors& errors = *setup.node->file_reader->errors;
  auto file = std::make_unique<RejectFile>();
  file->url_ = files::Redacted(url);
  file->max_rows_ = errors.max_rows;
  const std::string target = OutputUrl(errors.reject_file, setup.run_id, task.batch_index);
  CAPI_ASSIGN_OR_RETURN(file->sink_, CreateRecordedSink(setup, task, target, &file->plan_));
  if (const auto packing = files::CompressionOf(target); packing != files::Compression::kNone) {
    CAPI_ASSIGN_OR_RETURN(file->sink_, files::NewPackingSink(packing, std::move(file->sink_)));
  }
  CAPI_RETURN_NOT_OK(file->sink_->Append(kHeader));
  return file;
}

Status RejectFile::Add(formats::CsvReject reject) {
  if (rows_++ == 0) first_error_ = reject.error;
  if (max_rows_ >= 0 && rows_ > max_rows_) {
    if (max_rows_ == 0) return first_error_;
    return MakeError(InfoOf(first_error_),
                     "more than " + std::to_string(max_rows_) +
                         " rows are bad (errors.max_rows), the first: " + first_error_.message());
  }
  std::string line;
  AppendQuoted(url_, &line);
  line += "," + std::to_string(reject.line) + ",";
  const ErrorInfo info = InfoOf(reject.error);
  AppendQuoted(info.field_path.empty() ? reject.error.message()
                                       : info.field_path + ": " + reject.error.message(),
               &line);
  line += ",";
  AppendQuoted(std::string_view(reject.record).substr(0, kMostText), &line);
  return sink_->Append(line + "\n");
}

Result<FileOutput> RejectFile::Finish() {
  FileOutput output;
  output.plan = plan_;
  output.rows = rows_;
  CAPI_ASSIGN_OR_RETURN(output.size, sink_->Seal());
  return output;
}

Result<UsableRows> ComputeUsableRows(FieldPrograms* programs, const Columns& columns, int64_t n) {
  constexpr int64_t kFewRows = 16;
  UsableRows usable;
  int64_t most_rows = n;
  for (int64_t begin = 0; begin < n;) {
    int64_t size = std::min(n - begin, most_rows);
    Columns slice;
    for (const auto& column : columns) {
      slice.push_back(column == nullptr ? nullptr : column->Slice(begin, size));
    }
    int64_t bad_row = -1;
    const auto note_row = [&bad_row](int64_t row) {
      bad_row = row;
      return std::string();
    };
    Result<ComputedRows> rows = programs->Compute(slice, size, note_row);
    const bool bad = !rows.ok();
    if (bad) {
      if (KindOf(rows.status()) != ErrorKind::kUser || bad_row < 0) return rows.status();
      usable.bad.emplace_back(begin + bad_row, rows.status());
      // Where many rows are bad, few are computed in vain.
      most_rows = kFewRows;
      size = bad_row;
      for (auto& column : slice) column = column == nullptr ? nullptr : column->Slice(0, size);
      if (size > 0) rows = programs->Compute(slice, size, note_row);
      if (size > 0 && !rows.ok()) return rows.status();
    } else {
      most_rows = std::min(2 * most_rows, n);
    }
    if (size > 0) {
      usable.filtered += rows->filtered;
      usable.num_rows += rows->num_rows;
      usable.parts.push_back(*std::move(rows));
    }
    begin += size + (bad ? 1 : 0);
  }
  return usable;
}

}  // namespace capi::node
