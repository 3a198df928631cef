#pragma once

// Record batches -> CSV text (spec/formats.md 3; quoting as RFC 4180, architecture 6).

#include <memory>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/types.h"

namespace capi::formats {

struct CsvOutputColumn {
  data::Field field;
  std::string header;
  std::string format;  ///< Sprintf format, or time layout for datetime
};

struct CsvWriteOptions {
  std::string separator = ",";
  bool crlf = false;  ///< line end of rows; the header line always ends CR LF (spec/formats.md 3)
  std::vector<CsvOutputColumn> columns;
};

/// Compiled formats. Immutable, thread-safe: many threads format different batches at once.
class CsvFormatter {
 public:
  static Result<std::unique_ptr<CsvFormatter>> Make(const CsvWriteOptions& options);
  virtual ~CsvFormatter() = default;
  virtual void AppendHeader(std::string* out) const = 0;
  /// columns in the order of options.columns, any layout of data/types.h.
  virtual Status AppendRows(const std::vector<std::shared_ptr<arrow::Array>>& columns,
                            int64_t num_rows, std::string* out) const = 0;
  /// Rows rows[0..n) of the columns, in that order (gathers while formatting, with prefetch).
  virtual Status AppendTakenRows(const std::vector<std::shared_ptr<arrow::Array>>& columns,
                                 const int32_t* rows, int64_t n, std::string* out) const = 0;
  /// Cell text before quoting (case file csv_print_cases.jsonl).
  virtual Result<std::string> CellText(int column, const arrow::Array& values,
                                       int64_t row) const = 0;
};

}  // namespace capi::formats
