#include "capi/formats/csv_writer.h"

#include "arrow/array/array_base.h"
#include "capi/formats/csv_quoting_internal.h"
#include "capi/formats/csv_row_writer_internal.h"

namespace capi::formats {

namespace {

class CompiledCsvFormatter final : public CsvFormatter {
 public:
  explicit CompiledCsvFormatter(const CsvWriteOptions& options)
      : quoting_(options.separator), crlf_(options.crlf) {
    columns_.reserve(options.columns.size());
    for (const CsvOutputColumn& column : options.columns) {
      columns_.emplace_back(column, quoting_);
    }
  }

  void AppendHeader(std::string* out) const override {
    for (size_t i = 0; i < columns_.size(); ++i) {
      out->append(i == 0 ? "" : quoting_.separator());
      quoting_.Append(columns_[i].output.header, out);
    }
    out->append("\r\n");
  }

  Status AppendRows(const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows,
                    std::string* out) const override {
    CAPI_ASSIGN_OR_RETURN(
        internal::CsvRowWriter writer,
        internal::CsvRowWriter::Make(columns_, quoting_, crlf_, columns, num_rows));
    return writer.Write(nullptr, num_rows, out);
  }

  Status AppendTakenRows(const std::vector<std::shared_ptr<arrow::Array>>& columns,
                         const int32_t* rows, int64_t n, std::string* out) const override {
    if (n == 0) {
      return Status::OK();
    }
    CAPI_ASSIGN_OR_RETURN(internal::CsvRowWriter writer,
                          internal::CsvRowWriter::Make(columns_, quoting_, crlf_, columns, n));
    return writer.Write(rows, n, out);
  }

  Result<std::string> CellText(int column, const arrow::Array& values, int64_t row) const override {
    return internal::PlainCellText(columns_[static_cast<size_t>(column)], values, row);
  }

 private:
  const internal::CsvQuoting quoting_;
  const bool crlf_;
  std::vector<internal::CompiledColumn> columns_;
};

}  // namespace

Result<std::unique_ptr<CsvFormatter>> CsvFormatter::Make(const CsvWriteOptions& options) {
  const std::string& separator = options.separator;
  if (separator.empty() || separator.find_first_of("\"\r\n") != std::string::npos) {
    return UserError(
        "csv_bad_separator",
        "the separator must be a text without quotes and line ends: \"" + separator + "\"");
  }
  return std::make_unique<CompiledCsvFormatter>(options);
}

}  // namespace capi::formats
