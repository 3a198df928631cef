#pragma once

// Columns bound to the arrays of one batch, and the loop that writes their rows.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/data/datetime.h"
#include "capi/data/go_format.h"
#include "capi/formats/csv_cell_format_internal.h"
#include "capi/formats/csv_quoting_internal.h"
#include "capi/formats/csv_writer.h"

namespace capi::formats::internal {

/// An output column with its format compiled. Immutable.
struct CompiledColumn {
  CompiledColumn(CsvOutputColumn output, const CsvQuoting& quoting);

  CsvOutputColumn output;
  data::PrintFormat print;
  data::TimeLayout layout;
  /// Short cuts; nullopt when the format is of another kind or its text may need quotes.
  std::optional<PaddedFormat> padded;
  std::optional<FixedTimeFormat> fixed_time;
  /// Cells of false and true as they stand in a file.
  std::string bool_cells[2];
};

/// Writes rows of one batch. Used by one thread.
class CsvRowWriter {
 public:
  static Result<CsvRowWriter> Make(const std::vector<CompiledColumn>& columns,
                                   const CsvQuoting& quoting, bool crlf,
                                   const std::vector<std::shared_ptr<arrow::Array>>& arrays,
                                   int64_t num_rows);

  /// Rows rows[0..n) or, when rows is null, 0..n. Appends.
  Status Write(const int32_t* rows, int64_t n, std::string* out);

 private:
  enum class Kind : uint8_t {
    kText,        ///< utf8 as it is
    kCodedText,   ///< dictionary whose values are looked up row by row
    kCodedCells,  ///< dictionary whose cells were made once
    kInt,
    kPaddedInt,
    kHundredths,
    kPaddedHundredths,
    kFixedTime,
    kBool,
    kOther,  ///< through a std::string
  };

  /// Raw pointers into the arrays, which outlive the writer.
  struct BoundColumn {
    const CompiledColumn* compiled = nullptr;
    const arrow::Array* array = nullptr;
    Kind kind = Kind::kOther;
    const int64_t* longs = nullptr;
    const uint8_t* bits = nullptr;
    int64_t bit_offset = 0;
    const int32_t* codes = nullptr;
    const int32_t* offsets = nullptr;
    const char* bytes = nullptr;
    const char* bytes_end = nullptr;
    std::vector<int32_t> cell_offsets;
    std::string cells;
  };

  CsvRowWriter(const CsvQuoting* quoting, bool crlf) : quoting_(*quoting), crlf_(crlf) {}
  Status Bind(const CompiledColumn& compiled, const arrow::Array& array, int64_t num_rows);
  void BindText(const arrow::Array& array, int64_t num_rows, BoundColumn* column);
  void MakeCells(BoundColumn* column, int64_t num_values) const;
  template <bool kTaken>
  Status WriteRows(const int32_t* rows, int64_t n, std::string* out);
  void PrefetchValue(int64_t row) const;
  void PrefetchText(int64_t row) const;
  char* WriteCell(const BoundColumn& column, int64_t row, char* out);
  char* WriteText(const BoundColumn& column, int64_t index, char* out);
  char* WriteOther(const BoundColumn& column, int64_t row, char* out);
  char* WriteThroughString(char* out);
  char* MakeRoom(char* out, int64_t bytes);

  const CsvQuoting& quoting_;
  const bool crlf_;
  std::vector<BoundColumn> columns_;
  /// What a row takes without its texts.
  int64_t fixed_bytes_ = 0;
  std::unique_ptr<char[]> buffer_;
  int64_t capacity_ = 0;
  std::string text_;
  Status status_;
};

/// Cell text before quoting, by the rules and without short cuts.
Result<std::string> PlainCellText(const CompiledColumn& column, const arrow::Array& array,
                                  int64_t row);

}  // namespace capi::formats::internal
