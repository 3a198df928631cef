#include <algorithm>

#include "capi/formats/csv_conversion_internal.h"

namespace capi::formats {

namespace internal {

namespace {

/// Length of the white space character at the begin of text, 0 if there is none.
size_t SpaceLength(std::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) == ' ' || (byte(0) >= '\t' && byte(0) <= '\r')) {
    return 1;
  }
  if (text.size() >= 2 && byte(0) == 0xC2 && (byte(1) == 0x85 || byte(1) == 0xA0)) {
    return 2;
  }
  if (text.size() < 3) {
    return 0;
  }
  const uint32_t three = static_cast<uint32_t>(byte(0)) << 16 |
                         static_cast<uint32_t>(byte(1)) << 8 | static_cast<uint32_t>(byte(2));
  const bool space = three == 0xE19A80 ||                         // U+1680
                     (three >= 0xE28080 && three <= 0xE2808A) ||  // U+2000 .. U+200A
                     three == 0xE280A8 || three == 0xE280A9 ||    // U+2028, U+2029
                     three == 0xE280AF || three == 0xE2819F ||    // U+202F, U+205F
                     three == 0xE38080;                           // U+3000
  return space ? 3 : 0;
}

CsvConversion::NumberSyntax SyntaxOf(const CsvColumn& column) {
  using Syntax = CsvConversion::NumberSyntax;
  if (column.format.empty()) {
    return Syntax::kWhole;
  }
  if (column.field.type == data::FieldType::kInt) {
    return column.format == "%d" ? Syntax::kScanned : Syntax::kOther;
  }
  static constexpr std::string_view kFloatVerbs = "feEgGFv";
  const bool one_verb = column.format.size() == 2 && column.format[0] == '%' &&
                        kFloatVerbs.find(column.format[1]) != std::string_view::npos;
  return one_verb ? Syntax::kScanned : Syntax::kOther;
}

Result<data::int128> CheckStored(data::int128 hundredths) {
  if (!data::FitsStoredDecimal(hundredths)) {
    return UserError("number_out_of_range", "decimal of more than 38 digits");
  }
  return hundredths;
}

}  // namespace

bool IsBlank(std::string_view text) {
  while (!text.empty()) {
    const size_t length = SpaceLength(text);
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

CsvConversion::CsvConversion(CsvColumn column, bool strict)
    : column_(std::move(column)),
      strict_(strict),
      has_format_(!column_.format.empty()),
      has_default_(!IsBlank(column_.default_text)) {
  switch (column_.field.type) {
    case data::FieldType::kInt:
    case data::FieldType::kFloat:
    case data::FieldType::kDecimal2:
      number_syntax_ = SyntaxOf(column_);
      if (has_format_) {
        scan_ = data::ScanFormat::Compile(column_.format);
      }
      break;
    case data::FieldType::kDatetime:
      if (has_format_) {
        layout_ = data::TimeLayout::Compile(column_.format);
      }
      break;
    case data::FieldType::kString:
    case data::FieldType::kBool:
      break;
  }
}

bool CsvConversion::IsNull(std::string_view cell) const {
  return std::find(column_.null_values.begin(), column_.null_values.end(), cell) !=
         column_.null_values.end();
}

Status CsvConversion::CheckLeftOver(bool left_over, int64_t* count) const {
  if (!left_over) {
    return Status::OK();
  }
  ++*count;
  return strict_ ? UserError("csv_left_over", "text left over behind the number") : Status::OK();
}

Status CsvConversion::RefuseFormat() const {
  return UserError("csv_format_not_allowed",
                   "a column of this type cannot have a col_format: \"" + column_.format + "\"");
}

Result<int64_t> CsvConversion::ToInt(std::string_view cell, int64_t* left_over) const {
  if (IsBlankOrNull(cell)) {
    return has_default_ ? data::ParseGoInt(column_.default_text) : Result<int64_t>(0);
  }
  if (!has_format_) {
    return data::ParseGoInt(cell);
  }
  bool more = false;
  CAPI_ASSIGN_OR_RETURN(const int64_t value, scan_->ScanInt(cell, &more));
  CAPI_RETURN_NOT_OK(CheckLeftOver(more, left_over));
  return value;
}

Result<double> CsvConversion::ToFloat(std::string_view cell, int64_t* left_over) const {
  if (IsBlankOrNull(cell)) {
    return has_default_ ? data::ParseGoFloat(column_.default_text) : Result<double>(0.0);
  }
  if (!has_format_) {
    return data::ParseGoFloat(cell);
  }
  bool more = false;
  CAPI_ASSIGN_OR_RETURN(const double value, scan_->ScanFloat(cell, &more));
  CAPI_RETURN_NOT_OK(CheckLeftOver(more, left_over));
  return value;
}

Result<data::int128> CsvConversion::ScanHundredths(std::string_view cell,
                                                   int64_t* left_over) const {
  bool more = false;
  CAPI_ASSIGN_OR_RETURN(const double value, scan_->ScanFloat(cell, &more));
  CAPI_RETURN_NOT_OK(CheckLeftOver(more, left_over));
  CAPI_ASSIGN_OR_RETURN(const data::BigDecimal decimal, data::BigDecimal::FromDouble(value));
  data::int128 hundredths = 0;
  if (!decimal.ToInt128(2, &hundredths)) {
    return UserError("number_out_of_range", "decimal of more than 38 digits");
  }
  return hundredths;
}

Result<data::int128> CsvConversion::ToHundredths(std::string_view cell, int64_t* left_over) const {
  data::int128 hundredths = 0;
  if (IsBlankOrNull(cell)) {
    if (has_default_) {
      CAPI_ASSIGN_OR_RETURN(hundredths, data::ParseHundredths(column_.default_text));
    }
  } else if (has_format_) {
    CAPI_ASSIGN_OR_RETURN(hundredths, ScanHundredths(cell, left_over));
  } else {
    CAPI_ASSIGN_OR_RETURN(hundredths, data::ParseHundredths(cell));
  }
  return CheckStored(hundredths);
}

Result<bool> CsvConversion::ToBool(std::string_view cell) const {
  if (has_format_) {
    return RefuseFormat();
  }
  if (IsBlankOrNull(cell)) {
    return has_default_ ? data::ParseGoBool(column_.default_text) : Result<bool>(false);
  }
  return data::ParseGoBool(cell);
}

Result<data::Instant> CsvConversion::ToInstant(std::string_view cell) const {
  const bool blank = IsBlankOrNull(cell);
  if (blank && !has_default_) {
    return data::Instant::FromMillis(data::kZeroMomentMillis);
  }
  if (!has_format_) {
    return UserError("csv_format_missing", "a datetime column needs a col_format");
  }
  return layout_->Parse(blank ? std::string_view(column_.default_text) : cell);
}

Result<std::string_view> CsvConversion::ToString(std::string_view cell) const {
  if (has_format_) {
    return RefuseFormat();
  }
  if (cell.empty() || IsNull(cell)) {
    return std::string_view(column_.default_text);
  }
  return cell;
}

Result<data::Value> CsvConversion::ToValue(std::string_view cell) const {
  int64_t left_over = 0;
  switch (type()) {
    case data::FieldType::kInt: {
      CAPI_ASSIGN_OR_RETURN(const int64_t value, ToInt(cell, &left_over));
      return data::Value(value);
    }
    case data::FieldType::kFloat: {
      CAPI_ASSIGN_OR_RETURN(const double value, ToFloat(cell, &left_over));
      return data::Value(value);
    }
    case data::FieldType::kString: {
      CAPI_ASSIGN_OR_RETURN(const std::string_view value, ToString(cell));
      return data::Value(std::string(value));
    }
    case data::FieldType::kBool: {
      CAPI_ASSIGN_OR_RETURN(const bool value, ToBool(cell));
      return data::Value(value);
    }
    case data::FieldType::kDecimal2: {
      CAPI_ASSIGN_OR_RETURN(const data::int128 value, ToHundredths(cell, &left_over));
      return data::Value(data::BigDecimal::FromInt128(value, 2));
    }
    case data::FieldType::kDatetime: {
      CAPI_ASSIGN_OR_RETURN(data::Instant value, ToInstant(cell));
      return data::Value(std::move(value));
    }
  }
  return BugError("unknown field type");
}

}  // namespace internal

Result<data::Value> ConvertCsvCell(std::string_view cell, const CsvColumn& column, bool strict) {
  return internal::CsvConversion(column, strict).ToValue(cell);
}

}  // namespace capi::formats
