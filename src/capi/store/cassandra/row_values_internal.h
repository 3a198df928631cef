#pragma once

// Cells of columns and key texts as CQL values.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/cql/values.h"
#include "capi/data/column.h"
#include "capi/data/decimal.h"
#include "capi/data/types.h"

namespace capi::store {

/// `text` itself if it is UTF-8, else with U+FFFD in place of each byte that is not part of a
/// character, kept in *changed: servers refuse other bytes in a text.
std::string_view ValidText(std::string_view text, std::string* changed);

/// The shortest two's complement of the unscaled value, scale 2.
void AppendDecimal(data::int128 hundredths, cql::Values* values);

/// Appends cells of a column as spec/storage.md 3 lays them out. Does not own the column.
class CellAppender {
 public:
  /// Columns of the layouts that tables hold.
  static Result<CellAppender> Make(const arrow::Array& column);
  void Append(int64_t row, cql::Values* values) const;

 private:
  enum class Layout : uint8_t { kWord, kDouble, kBool, kNarrowDecimal, kWideDecimal, kText };
  Layout layout_ = Layout::kWord;
  const uint8_t* cells_ = nullptr;
  int64_t offset_ = 0;  // of kBool
  std::optional<data::StringReader> strings_;
};

}  // namespace capi::store
