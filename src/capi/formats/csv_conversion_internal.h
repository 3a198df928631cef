#pragma once

// Rules by which a cell becomes a value (spec/formats.md 2, 4), for one column.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/data/datetime.h"
#include "capi/data/decimal.h"
#include "capi/data/go_format.h"
#include "capi/formats/csv_reader.h"

namespace capi::formats::internal {

/// Empty or only Unicode white space.
bool IsBlank(std::string_view text);

/// A compiled column. These are the complete rules; column builders take short cuts for usual cells
/// and come here for the others. Immutable, thread-safe. Errors have no place.
class CsvConversion {
 public:
  CsvConversion(CsvColumn column, bool strict);

  const CsvColumn& column() const { return column_; }
  data::FieldType type() const { return column_.field.type; }
  bool has_null_values() const { return !column_.null_values.empty(); }
  bool IsNull(std::string_view cell) const;

  /// `cell` must be of a column of the type. *left_over counts cells with text behind the scan
  /// format.
  Result<int64_t> ToInt(std::string_view cell, int64_t* left_over) const;
  Result<double> ToFloat(std::string_view cell, int64_t* left_over) const;
  /// Hundredths that fit a table (38 digits).
  Result<data::int128> ToHundredths(std::string_view cell, int64_t* left_over) const;
  Result<bool> ToBool(std::string_view cell) const;
  Result<data::Instant> ToInstant(std::string_view cell) const;
  /// The view is of `cell` or of the default text.
  Result<std::string_view> ToString(std::string_view cell) const;
  Result<data::Value> ToValue(std::string_view cell) const;

  /// How a plain number in digits may be read without the scan format.
  enum class NumberSyntax : uint8_t {
    kWhole,    ///< no format: the whole cell
    kScanned,  ///< the format is just one verb for this type
    kOther,    ///< always by the rules
  };
  NumberSyntax number_syntax() const { return number_syntax_; }
  /// Null when there is no format.
  const data::TimeLayout* layout() const { return layout_ ? &*layout_ : nullptr; }

 private:
  bool IsBlankOrNull(std::string_view cell) const { return IsNull(cell) || IsBlank(cell); }
  Status CheckLeftOver(bool left_over, int64_t* count) const;
  Status RefuseFormat() const;
  Result<data::int128> ScanHundredths(std::string_view cell, int64_t* left_over) const;

  const CsvColumn column_;
  const bool strict_;
  const bool has_format_;
  const bool has_default_;
  std::optional<data::ScanFormat> scan_;
  std::optional<data::TimeLayout> layout_;
  NumberSyntax number_syntax_ = NumberSyntax::kOther;
};

}  // namespace capi::formats::internal
