#include <charconv>
#include <cmath>
#include <cstdio>

#include "capi/base/ascii.h"
#include "capi/script/yaml_scalar_internal.h"

namespace capi::script {

namespace {

bool OneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text == word) {
      return true;
    }
  }
  return false;
}

/// Sign, optional base prefix (0x, 0b, 0o, or a leading 0 for octal), digits; underscores are gone.
std::optional<std::string> ParseInteger(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    text.remove_prefix(1);
  }
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char prefix = static_cast<char>(text[1] | 0x20);
    base = prefix == 'x' ? 16 : prefix == 'b' ? 2 : 8;
    text.remove_prefix(prefix == 'x' || prefix == 'b' || prefix == 'o' ? 2 : 1);
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return (negative && value != 0 ? "-" : "") + std::to_string(value);
}

/// [-+]? ( .digits | digits [. digits*] ) ( [eE] [-+]? digits )?
bool LooksLikeFloat(std::string_view text) {
  size_t at = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  const auto skip_digits = [&] {
    const size_t begin = at;
    while (at < text.size() && IsDigit(text[at])) {
      ++at;
    }
    return at > begin;
  };
  const bool whole = skip_digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (!skip_digits() && !whole) {
      return false;
    }
  } else if (!whole) {
    return false;
  }
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    ++at;
    at += at < text.size() && (text[at] == '-' || text[at] == '+') ? 1 : 0;
    if (!skip_digits()) {
      return false;
    }
  }
  return at == text.size();
}

/// Integral values below 1e21 print as integers, as the JSON form of the original does.
std::optional<std::string> ParseFloat(std::string_view text) {
  if (!LooksLikeFloat(text)) {
    return std::nullopt;
  }
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  char buffer[64];
  const bool plain = value == std::floor(value) && std::fabs(value) < 1e21;
  std::snprintf(buffer, sizeof(buffer), plain ? "%.0f" : "%.17g", value);
  return std::string(buffer);
}

int64_t ToNumber(std::string_view digits) {
  int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

/// Takes 1 to `most` digits from the front.
std::string_view TakeDigits(std::string_view* text, size_t most) {
  size_t n = 0;
  while (n < most && n < text->size() && IsDigit((*text)[n])) {
    ++n;
  }
  const std::string_view digits = text->substr(0, n);
  text->remove_prefix(n);
  return digits;
}

bool Take(std::string_view* text, char c) {
  if (!text->starts_with(c)) {
    return false;
  }
  text->remove_prefix(1);
  return true;
}

bool IsDate(int64_t year, int64_t month, int64_t day) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) {
    return false;
  }
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

/// Year-month-day, optionally with a time after T, t or a blank: the text JSON gives such a moment.
std::optional<std::string> ParseMoment(std::string_view text) {
  if (text.size() < 8 || text[4] != '-') {
    return std::nullopt;
  }
  const std::string_view year = TakeDigits(&text, 4);
  if (year.size() != 4 || !Take(&text, '-')) {
    return std::nullopt;
  }
  const std::string_view month = TakeDigits(&text, 2);
  if (month.empty() || !Take(&text, '-')) {
    return std::nullopt;
  }
  const std::string_view day = TakeDigits(&text, 2);
  if (day.empty() || !IsDate(ToNumber(year), ToNumber(month), ToNumber(day))) {
    return std::nullopt;
  }
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%04d-%02d-%02dT", static_cast<int>(ToNumber(year)),
                static_cast<int>(ToNumber(month)), static_cast<int>(ToNumber(day)));
  std::string moment = buffer;
  if (text.empty()) {
    return moment + "00:00:00Z";
  }
  const bool zoned = text[0] == 'T' || text[0] == 't';
  if (!zoned && text[0] != ' ') {
    return std::nullopt;
  }
  text.remove_prefix(1);
  const std::string_view hour = TakeDigits(&text, 2);
  if (hour.empty() || ToNumber(hour) > 23 || !Take(&text, ':')) {
    return std::nullopt;
  }
  const std::string_view minute = TakeDigits(&text, 2);
  if (minute.empty() || ToNumber(minute) > 59 || !Take(&text, ':')) {
    return std::nullopt;
  }
  const std::string_view second = TakeDigits(&text, 2);
  if (second.empty() || ToNumber(second) > 59) {
    return std::nullopt;
  }
  std::snprintf(buffer, sizeof(buffer), "%02d:%02d:%02d", static_cast<int>(ToNumber(hour)),
                static_cast<int>(ToNumber(minute)), static_cast<int>(ToNumber(second)));
  moment += buffer;
  if (Take(&text, '.')) {
    std::string_view fraction = TakeDigits(&text, 9);
    if (fraction.empty()) {
      return std::nullopt;
    }
    while (fraction.ends_with('0')) {
      fraction.remove_suffix(1);
    }
    moment += fraction.empty() ? std::string() : "." + std::string(fraction);
  }
  if (!zoned) {
    return text.empty() ? std::optional(moment + "Z") : std::nullopt;
  }
  if (text == "Z") {
    return moment + "Z";
  }
  const bool offset = text.size() == 6 && (text[0] == '+' || text[0] == '-') && IsDigit(text[1]) &&
                      IsDigit(text[2]) && text[3] == ':' && IsDigit(text[4]) && IsDigit(text[5]);
  return offset ? std::optional(moment + std::string(text)) : std::nullopt;
}

YamlScalar Number(std::string text) {
  YamlScalar scalar;
  scalar.kind = TreeNode::Kind::kNumber;
  scalar.text = std::move(text);
  return scalar;
}

}  // namespace

YamlScalar ResolvePlainScalar(std::string_view text) {
  YamlScalar scalar;
  scalar.text = std::string(text);
  if (OneOf(text, {"", "~", "null", "Null", "NULL"})) {
    scalar.kind = TreeNode::Kind::kNull;
    return scalar;
  }
  if (OneOf(text, {"true", "True", "TRUE", "false", "False", "FALSE"})) {
    scalar.kind = TreeNode::Kind::kBool;
    scalar.boolean = (text[0] | 0x20) == 't';
    return scalar;
  }
  if (OneOf(text, {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF",
                   "-.inf", "-.Inf", "-.INF"})) {
    scalar.not_in_json = true;
    return scalar;
  }
  if (!IsDigit(text[0]) && text[0] != '-' && text[0] != '+' && text[0] != '.') {
    return scalar;
  }
  if (std::optional<std::string> moment = ParseMoment(text)) {
    scalar.text = *std::move(moment);
    return scalar;
  }
  std::string digits;
  for (const char c : text) {
    if (c != '_') {
      digits.push_back(c);
    }
  }
  if (text[0] != '.') {
    if (std::optional<std::string> integer = ParseInteger(digits)) {
      return Number(*std::move(integer));
    }
  }
  if (std::optional<std::string> number = ParseFloat(digits)) {
    return Number(*std::move(number));
  }
  return scalar;
}

}  // namespace capi::script
