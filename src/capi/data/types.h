#pragma once

// Field types and how a column of each type is laid out (architecture 5, "decimal2", "datetime").
//
// clang-format off
// Columns are Arrow arrays WITHOUT nulls (null_count 0; a validity buffer is never looked at):
//   int        int64
//   float      float64
//   bool       boolean, bit-packed
//   string     utf8 (int32 offsets) or dictionary<int32, utf8>; any bytes, valid UTF-8 or not
//   decimal2   decimal64(18,2), hundredths in int64;
//              decimal128(38,2) when a value of the chunk has more than 18 digits
//   datetime   timestamp[ms, UTC]; between a reader and an expression also fixed_size_binary(16)
//              (WideDatetime), when a value has an offset or parts of a millisecond
// clang-format on
// A record batch holds 1 to kMaxBatchRows rows and less than 2 GiB of string bytes.
// The zero moment 0001-01-01T00:00:00Z is kept as the ordinary value kZeroMomentMillis.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"

namespace capi::data {

enum class FieldType : uint8_t { kInt = 0, kFloat, kString, kBool, kDecimal2, kDatetime };

/// "int", "float", "string", "bool", "decimal2", "datetime".
std::string_view FieldTypeName(FieldType type);
std::optional<FieldType> ParseFieldType(std::string_view name);

/// The usual Arrow type of a column of this type.
const std::shared_ptr<arrow::DataType>& ArrowTypeOf(FieldType type);
const std::shared_ptr<arrow::DataType>& WideDecimalArrowType();   ///< decimal128(38,2)
const std::shared_ptr<arrow::DataType>& WideDatetimeArrowType();  ///< fixed_size_binary(16)
const std::shared_ptr<arrow::DataType>& DictionaryArrowType();    ///< dictionary<int32, utf8>
/// The field type of any of the column layouts above; kBug for another Arrow type.
Result<FieldType> FieldTypeOf(const arrow::DataType& type);

struct Field {
  std::string name;
  FieldType type = FieldType::kInt;
  bool operator==(const Field&) const = default;
};

constexpr int64_t kMaxBatchRows = 65536;
/// Preferred number of rows of a morsel.
constexpr int64_t kMorselRows = 65536;
constexpr int64_t kZeroMomentMillis = -62135596800000;
/// Largest and smallest |hundredths| that decimal64(18,2) holds.
constexpr int64_t kMaxNarrowDecimal = 999999999999999999;

/// 16-byte in-flight datetime.
struct WideDatetime {
  int64_t seconds = 0;         ///< since 1970 UTC, floored
  int32_t nanos = 0;           ///< 0 .. 999,999,999
  int32_t offset = kNoOffset;  ///< seconds east of UTC, kNoOffset = UTC
  static constexpr int32_t kNoOffset = INT32_MIN;
};
static_assert(sizeof(WideDatetime) == 16);

/// Row id: the batch that wrote the row and its ordinal in the batch's output. Never negative.
/// Ascending row ids are the order of the table.
using RowId = int64_t;
constexpr int kOrdinalBits = 43;
constexpr RowId MakeRowId(int64_t batch_index, int64_t ordinal) {
  return (batch_index << kOrdinalBits) | ordinal;
}
constexpr int64_t BatchOf(RowId row) { return row >> kOrdinalBits; }
constexpr int64_t OrdinalOf(RowId row) { return row & ((int64_t{1} << kOrdinalBits) - 1); }
constexpr RowId kNoRow = -1;

}  // namespace capi::data
