#include <algorithm>
#include <charconv>
#include <cstdio>

#include "capi/base/ascii.h"
#include "capi/data/go_format.h"
#include "capi/service/column_guess_internal.h"

namespace capi::service {

namespace {

using data::FieldType;

/// Layouts that are tried, the preferred one first. A fraction of seconds is read by layouts
/// without one too (but not written), so that the exact one is chosen by writing.
constexpr std::string_view kLayouts[] = {
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05",
    "2006-01-02 15:04:05.000",
    "2006-01-02T15:04:05.000",
    "2006-01-02 15:04:05.000000",
    "2006-01-02T15:04:05.000000",
    "2006-01-02 15:04:05-0700",
    "2006-01-02T15:04:05-0700",
    "2006-01-02 15:04:05.000-0700",
    "2006-01-02T15:04:05.000-0700",
    "2006-01-02 15:04:05.000000-0700",
    "2006-01-02T15:04:05.000000-0700",
    "2006-01-02T15:04:05Z07:00",
    "2006-01-02T15:04:05.000Z07:00",
    "2006-01-02 15:04:05-07:00",
    "2006-01-02 15:04:05 -0700",
    "2006-01-02",
    "2006-01-02 15:04",
    "2006-01-02T15:04",
    "2006/01/02",
    "2006/01/02 15:04:05",
    "02.01.2006",
    "02.01.2006 15:04",
    "02.01.2006 15:04:05",
    "01/02/2006",
    "01/02/2006 15:04",
    "01/02/2006 15:04:05",
    "01/02/2006 03:04:05 PM",
    "1/2/2006",
    "1/2/2006 15:04",
    "02/01/2006",
    "02/01/2006 15:04",
    "02/01/2006 15:04:05",
    "2/1/2006",
    "2/1/2006 15:04",
    "02-Jan-2006",
    "2-Jan-2006",
    "2 Jan 2006",
    "02 Jan 2006 15:04:05",
    "Jan 2, 2006",
    "January 2, 2006",
    "Mon, 02 Jan 2006 15:04:05 -0700",
};
constexpr size_t kNumLayouts = std::size(kLayouts);
constexpr size_t kLeastDatetimeLength = 8;
constexpr size_t kMostDatetimeLength = 40;
/// So many cells that are no datetimes end the search for layouts of a column.
constexpr int64_t kPatience = 1000;
/// Digits of a number that fits the type for sure.
constexpr size_t kMostDecimalDigits = 36;

constexpr std::string_view kNullTexts[] = {"NA",   "N/A",  "n/a",  "na",   "NULL", "null",
                                           "Null", "None", "none", "\\N",  "NaN",  "nan",
                                           "-",    "--",   "?",    "#N/A", "<NA>", "nil"};

const std::vector<data::TimeLayout>& Layouts() {
  static const auto* const layouts = [] {
    auto* compiled = new std::vector<data::TimeLayout>();
    for (const std::string_view text : kLayouts) {
      compiled->push_back(data::TimeLayout::Compile(text));
    }
    return compiled;
  }();
  return *layouts;
}

bool IsBlank(std::string_view cell) {
  return cell.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

std::string_view WithoutBlanksInFront(std::string_view cell) {
  return cell.substr(std::min(cell.find_first_not_of(' '), cell.size()));
}

/// A number in digits: [sign] digits [point digits [exponent]].
struct NumberShape {
  bool valid = false;
  bool has_sign = false;
  bool has_point = false;
  bool has_exponent = false;
  size_t whole = 0;     ///< digits before the point
  size_t decimals = 0;  ///< digits behind it
  bool leading_zero = false;
};

NumberShape ShapeOf(std::string_view text) {
  NumberShape shape;
  size_t at = 0;
  const auto count_digits = [&] {
    const size_t begin = at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    return at - begin;
  };
  shape.has_sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  at = shape.has_sign ? 1 : 0;
  const size_t digits = at;
  shape.whole = count_digits();
  shape.leading_zero = shape.whole > 1 && text[digits] == '0';
  if (at < text.size() && text[at] == '.') {
    shape.has_point = true;
    ++at;
    shape.decimals = count_digits();
    if (shape.decimals == 0) return {};
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
      shape.has_exponent = true;
      ++at;
      if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
      if (count_digits() == 0) return {};
    }
  }
  shape.valid = at == text.size() && (shape.whole > 0 || shape.decimals > 0);
  return shape;
}

bool IsBoolWord(std::string_view cell) {
  for (const std::string_view word :
       {"true", "false", "TRUE", "FALSE", "True", "False", "t", "f", "T", "F"}) {
    if (cell == word) return true;
  }
  return false;
}

bool MayBeDatetime(std::string_view cell) {
  if (cell.size() < kLeastDatetimeLength || cell.size() > kMostDatetimeLength) return false;
  return std::count_if(cell.begin(), cell.end(), IsDigit) >= 5;
}

/// False if the layout does not read the cell; *exact: it writes the same text.
bool FitsLayout(const data::TimeLayout& layout, std::string_view cell, bool* exact) {
  int64_t millis = 0;
  if (!layout.TryParseMillis(cell.data(), cell.data() + cell.size(), &millis)) {
    const Result<data::Instant> instant = layout.Parse(cell);
    if (!instant.ok()) return false;
    millis = instant->ToMillisFloor();
  }
  std::string printed;
  layout.FormatMillis(millis, &printed);
  *exact = printed == cell;
  return true;
}

std::string Count(const Sighting& sighting, std::string_view what) {
  return std::to_string(sighting.count) + " cell" + (sighting.count == 1 ? "" : "s") +
         std::string(what);
}

std::string_view DefaultOf(FieldType type) {
  switch (type) {
    case FieldType::kInt:
    case FieldType::kFloat:
      return "0";
    case FieldType::kDecimal2:
      return "0.00";
    case FieldType::kBool:
      return "false";
    case FieldType::kDatetime:
      return "the year 1";
    case FieldType::kString:
      break;
  }
  return "empty";
}

}  // namespace

CellKind CellKindOf(std::string_view cell) {
  if (IsBlank(cell)) return CellKind::kBlank;
  const std::string_view text = WithoutBlanksInFront(cell);
  const NumberShape shape = ShapeOf(text);
  if (shape.valid && !shape.has_point) {
    int64_t value = 0;
    const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
    const char* end = text.data() + text.size();
    const auto [read, error] = std::from_chars(begin, end, value);
    return error == std::errc() && read == end ? CellKind::kInt : CellKind::kString;
  }
  if (shape.valid) {
    const bool two = shape.decimals == 2 && !shape.has_exponent;
    return two && shape.whole <= kMostDecimalDigits ? CellKind::kDecimal2 : CellKind::kFloat;
  }
  if (IsBoolWord(cell)) return CellKind::kBool;
  const bool null =
      std::find(std::begin(kNullTexts), std::end(kNullTexts), cell) != std::end(kNullTexts);
  return null ? CellKind::kNullText : CellKind::kString;
}

bool LooksTyped(std::string_view cell) {
  const CellKind kind = CellKindOf(cell);
  if (kind != CellKind::kString) return kind != CellKind::kBlank && kind != CellKind::kNullText;
  bool exact = false;
  return MayBeDatetime(cell) &&
         std::any_of(Layouts().begin(), Layouts().end(), [&](const data::TimeLayout& layout) {
           return FitsLayout(layout, cell, &exact);
         });
}

void ColumnGuess::AddNumber(std::string_view cell, CellKind kind, int64_t line) {
  const std::string_view text = WithoutBlanksInFront(cell);
  if (text.size() != cell.size()) padded_.Add(cell, line);
  const NumberShape shape = ShapeOf(text);
  if (shape.leading_zero) leading_zero_.Add(cell, line);
  const bool usual =
      shape.whole > 0 && !shape.leading_zero && text[0] != '+' && text.size() == cell.size();
  if (kind == CellKind::kInt && (!usual || text == "-0")) inexact_int_.Add(cell, line);
  if (kind == CellKind::kDecimal2 && (!usual || text == "-0.00")) inexact_decimal_.Add(cell, line);
  const auto decimals = static_cast<int64_t>(shape.decimals);
  least_decimals_ = std::min(least_decimals_, decimals);
  most_decimals_ = std::max(most_decimals_, decimals);
  double value = 0;
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const char* end = text.data() + text.size();
  const bool read = std::from_chars(begin, end, value).ec == std::errc();
  static const data::PrintFormat* const kShortest =
      new data::PrintFormat(data::PrintFormat::Compile("%v"));
  std::string printed;
  if (read) kShortest->PrintFloat(value, &printed);
  if (printed != cell) inexact_shortest_.Add(cell, line);
  char fixed[400];
  const int size = read && decimals < 60 ? std::snprintf(fixed, sizeof(fixed), "%.*f",
                                                         static_cast<int>(decimals), value)
                                         : 0;
  if (std::string_view(fixed, static_cast<size_t>(size)) != cell) inexact_fixed_.Add(cell, line);
}

bool ColumnGuess::AddDatetime(std::string_view cell, int64_t line) {
  const bool hopeless = layouts_.empty() && count(CellKind::kString) > kPatience;
  if (hopeless || !MayBeDatetime(cell)) return false;
  std::vector<LayoutState> states =
      layouts_.empty() ? std::vector<LayoutState>(kNumLayouts) : layouts_;
  bool any = false;
  for (size_t i = 0; i < kNumLayouts; ++i) {
    LayoutState& state = states[i];
    bool exact = false;
    state.fits = state.fits && FitsLayout(Layouts()[i], cell, &exact);
    if (state.fits && !exact) state.inexact.Add(cell, line);
    any = any || state.fits;
  }
  if (any) {
    layouts_ = std::move(states);
  } else if (!layouts_.empty()) {
    other_layout_.Add(cell, line);
  }
  return any;
}

void ColumnGuess::Add(std::string_view cell, int64_t line) {
  ++num_cells_;
  CellKind kind = CellKindOf(cell);
  if (kind == CellKind::kString && AddDatetime(cell, line)) kind = CellKind::kDatetime;
  if (options_.original_rules && kind == CellKind::kNullText) kind = CellKind::kString;
  seen(kind).Add(cell, line);
  if (kind == CellKind::kNullText &&
      std::find(null_values_.begin(), null_values_.end(), cell) == null_values_.end()) {
    null_values_.emplace_back(cell);
  }
  if (kind == CellKind::kInt || kind == CellKind::kDecimal2 || kind == CellKind::kFloat) {
    AddNumber(cell, kind, line);
  }
  if (kind == CellKind::kBool && cell != "true" && cell != "false") inexact_bool_.Add(cell, line);
}

FieldType ColumnGuess::TypeOfFilled() const {
  const int64_t filled = num_cells_ - count(CellKind::kBlank) - count(CellKind::kNullText);
  const bool blank_is_text = options_.original_rules && count(CellKind::kBlank) > 0;
  if (filled == 0 || blank_is_text) return FieldType::kString;
  const int64_t ints = count(CellKind::kInt);
  const int64_t decimals = count(CellKind::kDecimal2);
  const bool keep_zeros = leading_zero_.count > 0 && !options_.original_rules;
  if (ints + decimals + count(CellKind::kFloat) == filled) {
    if (keep_zeros) return FieldType::kString;
    if (ints == filled) return FieldType::kInt;
    return ints + decimals == filled ? FieldType::kDecimal2 : FieldType::kFloat;
  }
  if (count(CellKind::kBool) == filled) return FieldType::kBool;
  return count(CellKind::kDatetime) == filled ? FieldType::kDatetime : FieldType::kString;
}

size_t ColumnGuess::BestLayout() const {
  size_t best = kNumLayouts;
  for (size_t i = 0; i < kNumLayouts; ++i) {
    if (!layouts_[i].fits) continue;
    if (layouts_[i].inexact.count == 0) return i;
    best = std::min(best, i);
  }
  return best;
}

Sighting ColumnGuess::Describe(FileSchemaColumn* column) const {
  const bool original = options_.original_rules;
  // The original always writes a format; without one reading is strict and exact.
  const bool needs_format = original || padded_.count > 0;
  switch (column->type) {
    case FieldType::kInt:
      column->read_format = needs_format ? "%d" : "";
      column->write_format = "%d";
      return inexact_int_;
    case FieldType::kDecimal2: {
      column->read_format = needs_format ? "%f" : "";
      column->write_format = "%s";
      return count(CellKind::kInt) > 0 ? seen(CellKind::kInt) : inexact_decimal_;
    }
    case FieldType::kFloat: {
      column->read_format = needs_format ? "%f" : "";
      const bool fixed =
          least_decimals_ == most_decimals_ && inexact_fixed_.count <= inexact_shortest_.count;
      column->write_format = fixed ? "%." + std::to_string(most_decimals_) + "f" : "%v";
      return fixed ? inexact_fixed_ : inexact_shortest_;
    }
    case FieldType::kBool:
      column->write_format = "%t";
      return inexact_bool_;
    case FieldType::kDatetime: {
      const size_t best = BestLayout();
      column->read_format = kLayouts[best];
      column->write_format = kLayouts[best];
      return layouts_[best].inexact;
    }
    case FieldType::kString:
      break;
  }
  column->write_format = "%s";
  return {};
}

void ColumnGuess::NoteMinority(std::vector<SchemaNote>* notes, const std::string& name) const {
  const Sighting& strings = other_layout_.count > 0 ? other_layout_ : seen(CellKind::kString);
  const int64_t filled = num_cells_ - count(CellKind::kBlank) - count(CellKind::kNullText);
  constexpr std::pair<CellKind, std::string_view> kTypes[] = {{CellKind::kInt, "int"},
                                                              {CellKind::kDecimal2, "decimal2"},
                                                              {CellKind::kFloat, "float"},
                                                              {CellKind::kBool, "bool"},
                                                              {CellKind::kDatetime, "datetime"}};
  // Named is the first cell of the rarest kind: most likely the mistake.
  const Sighting* rarest = strings.count > 0 ? &strings : nullptr;
  std::string found;
  int64_t typed = 0;
  for (const auto& [kind, type] : kTypes) {
    if (count(kind) == 0) continue;
    typed += count(kind);
    found += (found.empty() ? "" : ", ") + std::to_string(count(kind)) + " " + std::string(type);
    if (strings.count == 0 && (rarest == nullptr || count(kind) < rarest->count)) {
      rarest = &seen(kind);
    }
  }
  if (rarest == nullptr || 2 * typed < filled) return;
  notes->push_back({SchemaNote::Kind::kHint, rarest->line,
                    "column " + name + " is read as string because of " + Count(*rarest, "") +
                        " such as \"" + rarest->text + "\"; of " + std::to_string(filled) +
                        " there are " + found});
}

FileSchemaColumn ColumnGuess::Finish(const std::string& name,
                                     std::vector<SchemaNote>* notes) const {
  FileSchemaColumn column;
  column.type = TypeOfFilled();
  const Sighting inexact = Describe(&column);
  const bool blanks_change = count(CellKind::kBlank) + count(CellKind::kNullText) > 0;
  if (options_.exact && column.type != FieldType::kString && (inexact.count > 0 || blanks_change)) {
    const Sighting& why = inexact.count > 0             ? inexact
                          : count(CellKind::kBlank) > 0 ? seen(CellKind::kBlank)
                                                        : seen(CellKind::kNullText);
    notes->push_back({SchemaNote::Kind::kHint, why.line,
                      "column " + name + " is read as string, because as " +
                          std::string(data::FieldTypeName(column.type)) + " " + Count(why, "") +
                          " such as \"" + why.text + "\" would be written differently"});
    return {"", FieldType::kString, "", "%s", {}, true};
  }
  column.exact = column.type == FieldType::kString || (inexact.count == 0 && !blanks_change);
  if (column.type == FieldType::kString) {
    if (leading_zero_.count > 0 && !options_.original_rules && count(CellKind::kString) == 0) {
      notes->push_back(
          {SchemaNote::Kind::kHint, leading_zero_.line,
           "column " + name + " is read as string to keep zeros in front: " + leading_zero_.text});
    } else {
      NoteMinority(notes, name);
    }
    return column;
  }
  if (inexact.count > 0) {
    notes->push_back({SchemaNote::Kind::kChanges, inexact.line,
                      "column " + name + " is " + std::string(data::FieldTypeName(column.type)) +
                          ", " + Count(inexact, "") + " such as \"" + inexact.text +
                          "\" will be written in another form"});
  }
  if (count(CellKind::kBlank) > 0) {
    notes->push_back({SchemaNote::Kind::kChanges, seen(CellKind::kBlank).line,
                      "column " + name + ": " + Count(seen(CellKind::kBlank), "") +
                          " without a value will become " + std::string(DefaultOf(column.type))});
  }
  if (count(CellKind::kNullText) > 0) {
    column.null_values = null_values_;
    notes->push_back({SchemaNote::Kind::kChanges, seen(CellKind::kNullText).line,
                      "column " + name + ": " + Count(seen(CellKind::kNullText), "") +
                          " such as \"" + seen(CellKind::kNullText).text +
                          "\" count as blank and will become " +
                          std::string(DefaultOf(column.type))});
  }
  if (column.type == FieldType::kDatetime) {
    for (const auto& [month_first, day_first] :
         {std::pair("01/02/2006", "02/01/2006"), std::pair("1/2/2006", "2/1/2006")}) {
      if (column.read_format.starts_with(month_first)) {
        const std::string other =
            day_first + column.read_format.substr(std::string_view(month_first).size());
        const auto* found = std::find(std::begin(kLayouts), std::end(kLayouts), other);
        const auto index = static_cast<size_t>(found - std::begin(kLayouts));
        if (found != std::end(kLayouts) && layouts_[index].fits) {
          notes->push_back({SchemaNote::Kind::kHint, seen(CellKind::kDatetime).line,
                            "column " + name + ": all datetimes fit " + column.read_format +
                                " and " + other + "; the month was taken to come first"});
        }
      }
    }
  }
  return column;
}

}  // namespace capi::service
