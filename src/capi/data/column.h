#pragma once

// Working with columns of the layouts in data/types.h.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"

namespace capi::data {

/// The value of one cell (slow; for messages, previews and tests).
Result<Value> CellValue(const arrow::Array& column, int64_t row);

/// A column of n equal values; `value` must be of the field type. Strings become a dictionary of
/// one.
Result<std::shared_ptr<arrow::Array>> ConstantColumn(FieldType type, const Value& value, int64_t n);

/// Rows `rows[0..n)` of a column, in that order. Layout is kept (a dictionary stays one).
Result<std::shared_ptr<arrow::Array>> Take(const std::shared_ptr<arrow::Array>& column,
                                           const int32_t* rows, int64_t n);
/// The same over a whole batch. Columns may be of different layouts.
Result<std::shared_ptr<arrow::RecordBatch>> TakeRows(
    const std::shared_ptr<arrow::RecordBatch>& batch, const int32_t* rows, int64_t n);

/// Pieces put one after the other into one column (layouts are unified: plain wins over dictionary,
/// wide over narrow).
Result<std::shared_ptr<arrow::Array>> Concatenate(
    const std::vector<std::shared_ptr<arrow::Array>>& pieces);

/// Converts to what tables hold: datetimes to timestamp[ms] (floored), decimals to decimal64 where
/// the chunk fits; other layouts unchanged.
Result<std::shared_ptr<arrow::Array>> ToStored(const std::shared_ptr<arrow::Array>& column);

/// Plain utf8 of a string column (decodes a dictionary).
Result<std::shared_ptr<arrow::Array>> ToPlainString(const std::shared_ptr<arrow::Array>& column);

/// Builds a batch; fields[i] names columns[i].
std::shared_ptr<arrow::RecordBatch> MakeBatch(const std::vector<Field>& fields,
                                              std::vector<std::shared_ptr<arrow::Array>> columns,
                                              int64_t num_rows);

/// Random access over a string column of either layout. Does not own the column.
class StringReader {
 public:
  static Result<StringReader> Make(const arrow::Array& column);
  std::string_view operator[](int64_t row) const {
    const int64_t i = codes_ == nullptr ? row : codes_[row];
    return {data_ + offsets_[i], static_cast<size_t>(offsets_[i + 1] - offsets_[i])};
  }
  bool is_dictionary() const { return codes_ != nullptr; }

 private:
  const int32_t* codes_ = nullptr;
  const int32_t* offsets_ = nullptr;
  const char* data_ = nullptr;
};

}  // namespace capi::data
