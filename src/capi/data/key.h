#pragma once

// Typed, exact keys (architecture 5 "keys"): equal values and nothing else match. The text keys of
// spec/formats.md 8 exist only as KeyText, for the CQL layout and its case file.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/go_format.h"
#include "capi/data/types.h"

namespace capi::data {

/// One component of an index or order definition, bound to a column.
struct KeyComponent {
  std::string field;
  FieldType type = FieldType::kInt;
  bool descending = false;
  bool ignore_case = false;  ///< strings: compared after simple Unicode upper-casing
  int64_t text_length = 64;  ///< strings: used only by KeyText
  bool operator==(const KeyComponent&) const = default;
};

/// Stable 64-bit hashes of key columns; equal keys hash equally across layouts (dictionary or
/// plain, narrow or wide decimals, -0.0 and 0.0, all NaNs alike). Bumped when the function changes.
constexpr uint32_t kKeyHashVersion = 1;

/// columns[i] belongs to components[i]; all of length num_rows. Appends nothing; fills
/// hashes[0..num_rows). ignore_case is honoured, descending is not looked at.
Status HashKeys(const std::vector<KeyComponent>& components,
                const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows,
                uint64_t* hashes);

/// Compares keys of two sets of key columns. Immutable, thread-safe.
class KeyComparator {
 public:
  /// left and right may be the same vectors. Both must outlive the comparator's use.
  static Result<std::unique_ptr<KeyComparator>> Make(
      const std::vector<KeyComponent>& components,
      const std::vector<std::shared_ptr<arrow::Array>>& left,
      const std::vector<std::shared_ptr<arrow::Array>>& right);
  virtual ~KeyComparator() = default;
  /// Equality (floats: -0.0 == 0.0, NaN == NaN).
  virtual bool Equal(int64_t left_row, int64_t right_row) const = 0;
  /// equal[i] = Equal(left_rows[i], right_rows[i]).
  virtual void EqualMany(const int64_t* left_rows, const int64_t* right_rows, int64_t n,
                         uint8_t* equal) const = 0;
  /// Order with descending honoured: <0, 0, >0. NaN sorts after all numbers (before them if
  /// descending).
  virtual int Compare(int64_t left_row, int64_t right_row) const = 0;
};

/// Encodes each row's key into memcmp-comparable bytes (descending honoured), for sorting. Appends
/// the bytes of row i to *bytes; ends[i] = bytes->size() after row i (ends are relative to the
/// vector start). Strings are terminated and escaped so that concatenation keeps the order.
Status EncodeSortKeys(const std::vector<KeyComponent>& components,
                      const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows,
                      std::string* bytes, std::vector<int64_t>* ends);

/// For messages: the values of row `row` as "order_id="x7", item=2".
std::string DescribeKey(const std::vector<KeyComponent>& components,
                        const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t row);

/// The original's key string of one row (spec/formats.md 8); values[i] belongs to components[i].
Result<std::string> KeyText(const std::vector<KeyComponent>& components,
                            const std::vector<Value>& values);

}  // namespace capi::data
