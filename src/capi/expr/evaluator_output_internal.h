#pragma once

// From vectors back to Arrow columns.

#include <cstdint>
#include <memory>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/types.h"
#include "capi/expr/vector_internal.h"

namespace capi::expr {

/// Puts the results of the blocks of a call together. The layout depends only on the values, not on
/// how they were computed; except that strings may be a dictionary.
class ColumnBuilder {
 public:
  /// For num_rows rows in all.
  static Result<ColumnBuilder> Make(data::FieldType type, int64_t num_rows);

  /// Appends n values. *failed: position of the first value that a column cannot hold, n if all
  /// fit; then nothing of the builder may be used any more.
  Status Append(const Vector& vector, int64_t n, int64_t* failed);
  Result<std::shared_ptr<arrow::Array>> Finish();

 private:
  Status AppendDecimals(const Vector& vector, int64_t n, int64_t* failed);
  Status AppendDatetimes(const Vector& vector, int64_t n);
  Status AppendStrings(const Vector& vector, int64_t n, int64_t* failed);
  Status AppendCodes(const Vector& vector, int64_t n);
  /// Turns the codes so far into plain strings.
  Status StartPlainStrings();
  Status ReserveText(int64_t bytes);
  /// Replaces the 8-byte values by 16-byte ones.
  Status Widen();

  data::FieldType type_ = data::FieldType::kInt;
  int64_t num_rows_ = 0;
  int64_t size_ = 0;
  bool is_wide_ = false;
  std::shared_ptr<arrow::Buffer> values_;  // of 8 or 16 bytes, bits, codes
  // Strings: codes while all blocks have this dictionary, else plain.
  const Vector* dictionary_ = nullptr;
  int64_t dictionary_size_ = 0;
  std::shared_ptr<arrow::Buffer> offsets_;
  std::shared_ptr<arrow::ResizableBuffer> text_;
  int64_t text_size_ = 0;
};

}  // namespace capi::expr
