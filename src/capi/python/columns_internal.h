#pragma once

// Columns as they go through the channel: the encodings of docs/design/python.md.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/types.h"

namespace capi::python {

/// Appends a column with its header.
Status AppendColumn(const arrow::Array& column, std::string* out);

/// A result that is well-formed but not of the declared type.
struct RefusedValue {
  int64_t row = -1;  ///< -1: none
  std::string message;
};

/// Takes one column with its header off the front of `bytes`. Status: the bytes make no sense.
/// The array is null when a value is refused: the one of the smallest row.
Result<std::shared_ptr<arrow::Array>> TakeColumn(data::FieldType type, int64_t n,
                                                 std::string_view* bytes, RefusedValue* refused);

}  // namespace capi::python
