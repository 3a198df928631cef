#include "capi/script/default_value.h"

#include <string>
#include <utility>

#include "capi/data/datetime.h"
#include "capi/data/decimal.h"

namespace capi::script {

namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";
constexpr std::string_view kDefaultLayout = "2006-01-02T15:04:05.000-07:00";
constexpr int kStoredScale = 2;

Result<data::Value> AsDefault(data::FieldType type, std::string_view text,
                              Result<data::Value> value, std::string_view layout) {
  if (value.ok()) {
    return value;
  }
  std::string message = "the default is no value of type " + std::string(data::FieldTypeName(type));
  if (type == data::FieldType::kDatetime) {
    message += " in the layout " + std::string(layout);
  }
  return UserError("bad_default_value", message + ": " + std::string(text));
}

Result<data::Value> ParseDatetime(std::string_view text, std::string_view layout) {
  CAPI_ASSIGN_OR_RETURN(data::Instant instant, data::TimeLayout::Compile(layout).Parse(text));
  return data::Value(std::move(instant));
}

Result<data::Value> Stored(const data::BigDecimal& decimal) {
  const data::BigDecimal rounded = decimal.Round(kStoredScale);
  data::int128 hundredths = 0;
  if (!rounded.ToInt128(kStoredScale, &hundredths) || !data::FitsStoredDecimal(hundredths)) {
    return UserError("bad_default_value", "the decimal has more than 38 digits");
  }
  return data::Value(rounded);
}

Result<data::Value> ParseDecimal(std::string_view text) {
  CAPI_ASSIGN_OR_RETURN(const data::BigDecimal decimal, data::BigDecimal::Parse(text));
  return Stored(decimal);
}

/// The original reads such a default as a float; whatever is a plain decimal is kept exact here.
Result<data::Value> ParseDecimalOrFloat(std::string_view text) {
  Result<data::BigDecimal> exact = data::BigDecimal::Parse(text);
  if (exact.ok()) {
    return Stored(*exact);
  }
  CAPI_ASSIGN_OR_RETURN(const double number, data::ParseGoFloat(text));
  CAPI_ASSIGN_OR_RETURN(const data::BigDecimal decimal, data::BigDecimal::FromDouble(number));
  return Stored(decimal);
}

template <typename T>
Result<data::Value> ToValue(Result<T> result) {
  CAPI_ASSIGN_OR_RETURN(T value, std::move(result));
  return data::Value(std::move(value));
}

Result<data::Value> ParseAs(data::FieldType type, std::string_view text, std::string_view layout,
                            bool decimal_as_float) {
  switch (type) {
    case data::FieldType::kInt:
      return ToValue(data::ParseGoInt(text));
    case data::FieldType::kFloat:
      return ToValue(data::ParseGoFloat(text));
    case data::FieldType::kString:
      return data::Value(std::string(text));
    case data::FieldType::kBool:
      return ToValue(data::ParseGoBool(text));
    case data::FieldType::kDecimal2:
      return decimal_as_float ? ParseDecimalOrFloat(text) : ParseDecimal(text);
    case data::FieldType::kDatetime:
      return ParseDatetime(text, layout);
  }
  return BugError("unknown field type");
}

}  // namespace

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(kBlanks) == std::string_view::npos;
}

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

Result<data::Value> ParseFieldDefault(data::FieldType type, std::string_view text) {
  const std::string_view trimmed = Trimmed(text);
  if (trimmed.empty()) {
    return data::ZeroValue(type);
  }
  return AsDefault(type, trimmed, ParseAs(type, trimmed, kDefaultLayout, true), kDefaultLayout);
}

Result<data::Value> ParseColumnDefault(data::FieldType type, std::string_view text,
                                       std::string_view format) {
  return AsDefault(type, text, ParseAs(type, text, format, false), format);
}

}  // namespace capi::script
