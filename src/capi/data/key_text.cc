// The original's key strings (spec/formats.md 8). The engine itself compares typed keys (key.cc);
// key strings are only for the CQL rows layout.

#include <utf8proc.h>

#include <array>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "capi/data/key.h"
#include "capi/data/letter_case.h"

namespace capi::data {

namespace {

constexpr size_t kFloatWidth = 66;
constexpr int kFloatDecimals = 32;

void ComplementDigits(std::string* text) {
  for (char& c : *text) {
    if (c >= '0' && c <= '9') c = static_cast<char>('0' + '9' - c);
  }
}

std::string IntText(int64_t value) {
  std::array<char, 32> digits;
  // The absolute value of the smallest int overflows to itself, as in the original.
  const int64_t magnitude =
      value < 0 ? static_cast<int64_t>(0 - static_cast<uint64_t>(value)) : value;
  std::snprintf(digits.data(), digits.size(), "%020" PRId64, magnitude);
  std::string text(digits.data());
  if (value < 0) ComplementDigits(&text);
  return (value < 0 ? "-" : "0") + text;
}

std::string FloatText(double value) {
  std::array<char, 512> digits;
  if (value == 0) value = 0;  // minus zero is the same key as zero
  std::string text;
  if (std::isnan(value)) {
    text = "NaN";
  } else if (std::isinf(value)) {
    text = "+Inf";
  } else {
    std::snprintf(digits.data(), digits.size(), "%.*f", kFloatDecimals, std::fabs(value));
    text = digits.data();
  }
  if (text.size() < kFloatWidth) text.insert(0, kFloatWidth - text.size(), '0');
  // NaN is not >= 0, so the original treats it as negative.
  const bool negative = !(value >= 0);
  if (negative) ComplementDigits(&text);
  return (negative ? "-" : "0") + text;
}

std::string DatetimeText(const Instant& instant) {
  constexpr int64_t kSecondsFromYearOne = 62135596800;
  const int64_t micros = (instant.seconds + kSecondsFromYearOne) * 1000000 + instant.nanos / 1000;
  std::array<char, 32> digits;
  std::snprintf(digits.data(), digits.size(), "%020" PRId64, micros);
  return digits.data();
}

/// Canonical decomposition, nonspacing marks removed, canonical composition.
std::string WithoutAccents(const std::string& text) {
  utf8proc_uint8_t* folded = nullptr;
  const auto length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &folded,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
  if (length < 0) return text;  // not UTF-8: kept as it is
  std::string unmarked;
  for (utf8proc_ssize_t at = 0; at < length;) {
    utf8proc_int32_t code_point = 0;
    const auto width = utf8proc_iterate(folded + at, length - at, &code_point);
    if (width <= 0) break;
    if (utf8proc_category(code_point) != UTF8PROC_CATEGORY_MN) {
      unmarked.append(reinterpret_cast<const char*>(folded) + at, static_cast<size_t>(width));
    }
    at += width;
  }
  std::free(folded);
  utf8proc_uint8_t* composed = nullptr;
  const auto composed_length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(unmarked.data()),
                   static_cast<utf8proc_ssize_t>(unmarked.size()), &composed,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (composed_length < 0) return unmarked;
  std::string result(reinterpret_cast<const char*>(composed), static_cast<size_t>(composed_length));
  std::free(composed);
  return result;
}

std::string StringText(const std::string& value, const KeyComponent& component) {
  std::string text = WithoutAccents(value);
  int64_t characters = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++characters;
  }
  if (characters < component.text_length) {
    text.append(static_cast<size_t>(component.text_length - characters), ' ');
  }
  if (static_cast<int64_t>(text.size()) > component.text_length) {
    // Cut at a character boundary: half a character is not valid UTF-8 and databases refuse it.
    size_t cut = static_cast<size_t>(component.text_length);
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
    text.resize(cut);
  }
  if (!component.ignore_case) return text;
  std::string upper;
  ToUpperSimple(text, &upper);
  return upper;
}

std::string Descending(const std::string& part) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(part.size() * 2);
  for (const char c : part) {
    const unsigned flipped = 255U - static_cast<unsigned char>(c);
    text.push_back(kHex[flipped >> 4]);
    text.push_back(kHex[flipped & 15]);
  }
  return text;
}

Result<std::string> PartText(const KeyComponent& component, const Value& value) {
  switch (component.type) {
    case FieldType::kInt:
      if (const auto* v = std::get_if<int64_t>(&value)) return IntText(*v);
      break;
    case FieldType::kFloat:
      if (const auto* v = std::get_if<double>(&value)) return FloatText(*v);
      break;
    case FieldType::kDecimal2:
      if (const auto* v = std::get_if<BigDecimal>(&value)) return FloatText(v->ToDouble());
      break;
    case FieldType::kDatetime:
      if (const auto* v = std::get_if<Instant>(&value)) return DatetimeText(*v);
      break;
    case FieldType::kBool:
      if (const auto* v = std::get_if<bool>(&value)) return std::string(*v ? "T" : "F");
      break;
    case FieldType::kString:
      if (const auto* v = std::get_if<std::string>(&value)) return StringText(*v, component);
      break;
  }
  return BugError("key value of another type than its component " + component.field);
}

}  // namespace

Result<std::string> KeyText(const std::vector<KeyComponent>& components,
                            const std::vector<Value>& values) {
  if (components.size() != values.size()) return BugError("key values and components differ");
  std::string key;
  for (size_t i = 0; i < components.size(); ++i) {
    CAPI_ASSIGN_OR_RETURN(std::string part, PartText(components[i], values[i]));
    key += components[i].descending ? Descending(part) : part;
  }
  return key;
}

}  // namespace capi::data
