#include "capi/script/parameters.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>

#include "capi/base/near_name.h"
#include "capi/data/datetime.h"
#include "capi/script/diagnostics_internal.h"

namespace capi::script {

namespace {

bool IsNameCharacter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

std::optional<ParameterType> ParseParameterType(std::string_view name) {
  for (const ParameterType type :
       {ParameterType::kString, ParameterType::kNumber, ParameterType::kBool,
        ParameterType::kStringList, ParameterType::kDate}) {
    if (ParameterTypeName(type) == name) {
      return type;
    }
  }
  return std::nullopt;
}

/// Line ends would break a JSON string.
std::string EscapeLineEnds(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

/// Integer notation if the value is integral and fits 64 bits, else exactly 6 decimals.
std::optional<std::string> NumberReplacement(const std::string& literal) {
  int64_t integer = 0;
  const char* end = literal.data() + literal.size();
  const auto as_integer = std::from_chars(literal.data(), end, integer);
  if (as_integer.ec == std::errc() && as_integer.ptr == end) {
    return std::to_string(integer);
  }
  double value = 0;
  const auto as_double = std::from_chars(literal.data(), end, value);
  if (as_double.ec != std::errc() || as_double.ptr != end || !std::isfinite(value)) {
    return std::nullopt;
  }
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (value == std::floor(value) && value >= -kTwoTo63 && value < kTwoTo63) {
    return std::to_string(static_cast<int64_t>(value));
  }
  char buffer[400];
  std::snprintf(buffer, sizeof(buffer), "%.6f", value);
  return std::string(buffer);
}

std::string ListReplacement(const std::vector<std::string>& items) {
  std::string text = "[";
  for (size_t i = 0; i < items.size(); ++i) {
    text += (i == 0 ? "\"" : ",\"") + EscapeLineEnds(items[i]) + "\"";
  }
  return text + "]";
}

/// "2026-10-31" or "2026-10" of the calendar; what YAML makes of an unquoted day is taken for the
/// day. nullopt: no date.
std::optional<std::string> DateReplacement(std::string_view text) {
  constexpr std::string_view kMidnight = "T00:00:00Z";
  if (text.ends_with(kMidnight)) {
    text.remove_suffix(kMidnight.size());
  }
  const bool has_day = text.size() == 10;
  if (!has_day && text.size() != 7) {
    return std::nullopt;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 4 || i == 7;
    if (dash ? text[i] != '-' : text[i] < '0' || text[i] > '9') {
      return std::nullopt;
    }
  }
  const auto number = [text](size_t begin, size_t size) {
    int64_t value = 0;
    std::from_chars(text.data() + begin, text.data() + begin + size, value);
    return value;
  };
  const int64_t month = number(5, 2);
  const int64_t day = has_day ? number(8, 2) : 1;
  int64_t real_year = 0;
  int real_month = 0;
  int real_day = 0;
  data::CivilFromDays(data::DaysFromCivil(number(0, 4), month, day), &real_year, &real_month,
                      &real_day);
  // A day that does not exist comes back as another one.
  return real_month == month && real_day == day ? std::optional(std::string(text)) : std::nullopt;
}

/// Items of a --set list: separated by commas.
std::vector<std::string> SplitItems(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    items.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return items;
}

/// The text of a --set value as the wanted type; nullopt if it is no such value.
std::optional<std::string> OverrideReplacement(const std::string& text, ParameterType wanted) {
  switch (wanted) {
    case ParameterType::kString:
      return EscapeLineEnds(text);
    case ParameterType::kNumber:
      return NumberReplacement(text);
    case ParameterType::kBool:
      return text == "true" || text == "false" ? std::optional(text) : std::nullopt;
    case ParameterType::kStringList:
      return ListReplacement(SplitItems(text));
    case ParameterType::kDate:
      return DateReplacement(text);
  }
  return std::nullopt;
}

/// The replacement of a parameter file's value; `problem` says why there is none.
std::optional<ParameterValue> ReadValue(const TreeNode& node, std::string* problem) {
  ParameterValue value;
  value.place = node.place();
  switch (node.kind) {
    case TreeNode::Kind::kString:
    case TreeNode::Kind::kUnresolved:
      value.type = ParameterType::kString;
      value.replacement = EscapeLineEnds(node.text);
      return value;
    case TreeNode::Kind::kBool:
      value.type = ParameterType::kBool;
      value.replacement = node.boolean ? "true" : "false";
      return value;
    case TreeNode::Kind::kNumber: {
      std::optional<std::string> number = NumberReplacement(node.text);
      if (!number.has_value()) {
        *problem = "the number is too large: " + node.text;
        return std::nullopt;
      }
      value.type = ParameterType::kNumber;
      value.replacement = *std::move(number);
      return value;
    }
    case TreeNode::Kind::kList: {
      std::vector<std::string> items;
      for (const TreeNode* item : node.items) {
        if (!item->is_text()) {
          *problem =
              "a list must hold strings only, but it holds " + std::string(KindName(item->kind));
          return std::nullopt;
        }
        items.push_back(item->text);
      }
      value.type = ParameterType::kStringList;
      value.replacement = ListReplacement(items);
      return value;
    }
    case TreeNode::Kind::kNull:
    case TreeNode::Kind::kMap:
      *problem =
          "a parameter must be a string, a number, true or false, or a list of strings, not " +
          std::string(KindName(node.kind));
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::string_view ParameterTypeName(ParameterType type) {
  switch (type) {
    case ParameterType::kString:
      return "string";
    case ParameterType::kNumber:
      return "number";
    case ParameterType::kBool:
      return "bool";
    case ParameterType::kStringList:
      return "stringlist";
    case ParameterType::kDate:
      return "date";
  }
  return "string";
}

struct Parameters::Placeholder {
  size_t begin = 0;  ///< of the brace
  size_t end = 0;    ///< one past the closing brace
  std::string name;
  ParameterType type = ParameterType::kString;
  std::string normalized() const {
    return "{" + name + "|" + std::string(ParameterTypeName(type)) + "}";
  }
};

/// One pass over a text.
class Parameters::Replacer {
 public:
  Replacer(const Parameters& parameters, const std::string& file, std::string_view text,
           Diagnostics* diagnostics)
      : parameters_(parameters),
        file_(file),
        text_(text),
        places_(file, std::string(text)),
        diagnostics_(diagnostics) {}

  std::unique_ptr<SourceText> Run() {
    size_t at = 0;
    Begin(0, true);
    while (at < text_.size()) {
      std::optional<Placeholder> found;
      if (text_[at] == '{') {
        found = Match(at);
      }
      if (found.has_value()) {
        at = Replace(*found);
      } else {
        parsed_.push_back(text_[at++]);
      }
    }
    WarnUnused();
    return std::make_unique<SourceText>(file_, text_, std::move(parsed_), std::move(pieces_),
                                        std::move(unresolved_));
  }

 private:
  std::optional<Placeholder> Match(size_t begin) const {
    size_t at = begin + 1;
    const auto skip_blanks = [&] {
      while (at < text_.size() && text_[at] == ' ') {
        ++at;
      }
    };
    const auto take_word = [&] {
      const size_t word = at;
      while (at < text_.size() && IsNameCharacter(text_[at])) {
        ++at;
      }
      return text_.substr(word, at - word);
    };
    Placeholder found;
    found.begin = begin;
    skip_blanks();
    found.name = std::string(take_word());
    skip_blanks();
    if (found.name.empty()) {
      return std::nullopt;
    }
    if (at < text_.size() && text_[at] == '|') {
      ++at;
      skip_blanks();
      const std::optional<ParameterType> type = ParseParameterType(take_word());
      skip_blanks();
      if (!type.has_value()) {
        return std::nullopt;
      }
      found.type = *type;
    }
    if (at >= text_.size() || text_[at] != '}') {
      return std::nullopt;
    }
    found.end = at + 1;
    return found;
  }

  void Begin(size_t original, bool verbatim) {
    TextPiece piece;
    piece.begin = static_cast<int64_t>(parsed_.size());
    piece.original_begin = static_cast<int64_t>(original);
    piece.verbatim = verbatim;
    if (!pieces_.empty() && pieces_.back().begin == piece.begin) {
      pieces_.pop_back();
    }
    pieces_.push_back(piece);
  }

  void Put(const Placeholder& placeholder, std::string_view replacement, size_t next) {
    Begin(placeholder.begin, false);
    parsed_ += replacement;
    Begin(next, true);
  }

  /// Returns the offset behind what was replaced.
  size_t Replace(const Placeholder& placeholder) {
    used_.insert(placeholder.name);
    const bool quote_before = placeholder.begin > 0 && text_[placeholder.begin - 1] == '"';
    const bool quote_after = placeholder.end < text_.size() && text_[placeholder.end] == '"';
    const bool scalar =
        placeholder.type == ParameterType::kNumber || placeholder.type == ParameterType::kBool;
    const bool at_edge = placeholder.begin == 0 || placeholder.end == text_.size();
    if (scalar && !at_edge && !(quote_before && quote_after)) {
      Report(placeholder, "bad_parameter_reference",
             "a placeholder of type " + std::string(ParameterTypeName(placeholder.type)) +
                 " must stand alone between double quotes: " + placeholder.normalized());
      return Keep(placeholder);
    }
    const std::optional<std::string> replacement = Find(placeholder);
    if (!replacement.has_value()) {
      return Keep(placeholder);
    }
    if (placeholder.type == ParameterType::kString || placeholder.type == ParameterType::kDate) {
      Put(placeholder, *replacement, placeholder.end);
      return placeholder.end;
    }
    if (!quote_before || !quote_after || parsed_.empty() || parsed_.back() != '"') {
      Report(placeholder, "unresolved_parameter",
             "a placeholder of type " + std::string(ParameterTypeName(placeholder.type)) +
                 " is replaced only between double quotes: " + placeholder.normalized());
      return Keep(placeholder);
    }
    parsed_.pop_back();
    Put(placeholder, *replacement, placeholder.end + 1);
    return placeholder.end + 1;
  }

  /// Leaves the placeholder in the text, in its full form.
  size_t Keep(const Placeholder& placeholder) {
    Put(placeholder, placeholder.normalized(), placeholder.end);
    return placeholder.end;
  }

  std::optional<std::string> Find(const Placeholder& placeholder) {
    const auto overridden = parameters_.overrides_.find(placeholder.name);
    if (overridden != parameters_.overrides_.end()) {
      std::optional<std::string> replacement =
          OverrideReplacement(overridden->second, placeholder.type);
      if (!replacement.has_value()) {
        Report(placeholder, "bad_parameter_value",
               "the value set for " + placeholder.name + " is no " +
                   std::string(ParameterTypeName(placeholder.type)) + ": " + overridden->second);
      }
      return replacement;
    }
    const auto found = parameters_.values_.find(placeholder.name);
    if (found != parameters_.values_.end() && found->second.type == placeholder.type) {
      return found->second.replacement;
    }
    const bool date_text = found != parameters_.values_.end() &&
                           placeholder.type == ParameterType::kDate &&
                           found->second.type == ParameterType::kString;
    if (date_text) {
      std::optional<std::string> date = DateReplacement(found->second.replacement);
      if (!date.has_value()) {
        Report(placeholder, "bad_parameter_value",
               "the parameter is no date such as 2026-10-31 or 2026-10: " + placeholder.name +
                   " is " + found->second.replacement);
      }
      return date;
    }
    // These are replaced when a file is written.
    const bool at_execution = placeholder.name == "batch_idx" || placeholder.name == "run_id";
    if (at_execution && placeholder.type == ParameterType::kString) {
      return std::nullopt;
    }
    if (parameters_.bad_.count(placeholder.name) > 0) {
      unresolved_.push_back(placeholder.normalized());
      return std::nullopt;
    }
    Report(placeholder, "unresolved_parameter", Explain(placeholder));
    return std::nullopt;
  }

  std::string Explain(const Placeholder& placeholder) const {
    const auto found = parameters_.values_.find(placeholder.name);
    if (found != parameters_.values_.end()) {
      return "the placeholder wants a " + std::string(ParameterTypeName(placeholder.type)) +
             ", but the parameter is a " + std::string(ParameterTypeName(found->second.type)) +
             ": " + placeholder.normalized();
    }
    if (placeholder.name.find_first_not_of("0123456789") == std::string::npos) {
      return "one number in braces is taken for a placeholder; in a regular expression write {" +
             placeholder.name + "," + placeholder.name + "} instead: {" + placeholder.name + "}";
    }
    std::vector<std::string> names;
    for (const auto& [name, value] : parameters_.values_) {
      names.push_back(name);
    }
    return "no value is given for this placeholder: " + placeholder.normalized() +
           DidYouMean(NearestName(placeholder.name, names));
  }

  void Report(const Placeholder& placeholder, std::string_view error_class, std::string message) {
    unresolved_.push_back(placeholder.normalized());
    diagnostics_->ErrorAt(places_.PlaceOfOriginal(static_cast<int64_t>(placeholder.begin)), "",
                          error_class, std::move(message));
  }

  void WarnUnused() {
    for (const auto& [name, value] : parameters_.values_) {
      if (used_.count(name) == 0 && parameters_.overrides_.count(name) == 0) {
        diagnostics_->WarnAt(value.place, name, "unused_parameter",
                             "the script does not use this parameter: " + name);
      }
    }
    for (const auto& [name, value] : parameters_.overrides_) {
      if (used_.count(name) == 0) {
        diagnostics_->WarnAt(SourcePlace{file_, 0, 0}, "", "unused_parameter",
                             "the script does not use the parameter that was set: " + name);
      }
    }
  }

  const Parameters& parameters_;
  const std::string& file_;
  std::string_view text_;
  SourceText places_;
  Diagnostics* diagnostics_;
  std::string parsed_;
  std::vector<TextPiece> pieces_;
  std::vector<std::string> unresolved_;
  std::set<std::string> used_;
};

void Parameters::ReadFile(const TreeNode& root, Diagnostics* diagnostics) {
  if (root.kind == TreeNode::Kind::kNull) {
    return;
  }
  if (root.kind != TreeNode::Kind::kMap) {
    diagnostics->Error(root, "", "bad_json",
                       "a parameter file must be a map of names and values, not " +
                           std::string(KindName(root.kind)));
    return;
  }
  for (const TreeEntry& entry : NamedEntries(root)) {
    if (entry.key == "$schema") {
      continue;  // For editors; no placeholder can have this name.
    }
    std::string problem;
    std::optional<ParameterValue> value = ReadValue(*entry.value, &problem);
    if (value.has_value()) {
      values_[entry.key] = *std::move(value);
    } else {
      bad_[entry.key] = entry.value->place();
      diagnostics->Error(*entry.value, entry.key, "bad_parameter_value", problem);
    }
  }
}

void Parameters::Override(std::string name, std::string value) {
  overrides_[std::move(name)] = std::move(value);
}

std::unique_ptr<SourceText> Parameters::Apply(const std::string& file, std::string_view text,
                                              Diagnostics* diagnostics) const {
  return Replacer(*this, file, text, diagnostics).Run();
}

}  // namespace capi::script
