#include "capi/data/go_format.h"

#include <algorithm>

#include "capi/data/go_format_internal.h"

namespace capi::data {

using format_internal::AppendInt;
using format_internal::AppendRune;
using format_internal::DecodeRune;
using format_internal::Flags;
using format_internal::GoTypeName;
using format_internal::kMaxFormatNumber;
using format_internal::PrintArgument;

namespace {

/// Reads digits at *position. False when there are none or the number is too large; in the latter
/// case *position moves to the end. As in Go, the last digit may lift the number above the limit.
bool ReadFormatNumber(std::string_view text, size_t* position, int* value) {
  bool found = false;
  *value = 0;
  while (*position < text.size() && text[*position] >= '0' && text[*position] <= '9') {
    if (*value > kMaxFormatNumber) {
      *value = 0;
      *position = text.size();
      return false;
    }
    *value = *value * 10 + (text[*position] - '0');
    found = true;
    ++*position;
  }
  return found;
}

bool SetFlag(char c, Flags* flags) {
  switch (c) {
    case '#':
      flags->sharp = true;
      return true;
    case '0':
      flags->zero = true;
      return true;
    case '+':
      flags->plus = true;
      return true;
    case '-':
      flags->minus = true;
      return true;
    case ' ':
      flags->space = true;
      return true;
    default:
      return false;
  }
}

/// For %v (and %w) the flags # and + ask for Go syntax and field names, which plain values mostly
/// lack.
void AdjustForValueVerb(char32_t verb, Flags* flags) {
  if (verb != 'v' && verb != 'w') {
    return;
  }
  flags->quoted_value = flags->sharp;
  flags->sharp = false;
  flags->plus = false;
}

/// Runs a format over its arguments.
class Printer {
 public:
  Printer(std::string_view format, std::span<const ValueView> arguments, std::string* out)
      : format_(format), arguments_(arguments), out_(out) {}

  void Run() {
    while (true) {
      const size_t percent = std::min(format_.find('%', position_), format_.size());
      out_->append(format_.substr(position_, percent - position_));
      if (percent == format_.size()) {
        break;
      }
      position_ = percent + 1;
      if (!RunVerb()) {
        break;
      }
    }
    if (!reordered_ && next_argument_ < arguments_.size()) {
      PrintExtraArguments();
    }
  }

 private:
  /// Prints one verb; false at the end of a format without verb.
  bool RunVerb() {
    good_index_ = true;
    Flags flags;
    while (position_ < format_.size() && SetFlag(format_[position_], &flags)) {
      ++position_;
    }
    bool after_index = ReadArgumentIndex();
    ReadWidth(&flags, &after_index);
    ReadPrecision(&flags, &after_index);
    if (!after_index) {
      ReadArgumentIndex();
    }
    if (position_ >= format_.size()) {
      out_->append("%!(NOVERB)");
      return false;
    }
    int size = 0;
    const char32_t verb = DecodeRune(format_, position_, &size);
    position_ += static_cast<size_t>(size);
    if (verb == '%') {
      out_->push_back('%');
    } else if (!good_index_) {
      PrintMarker(verb, "(BADINDEX)");
    } else if (next_argument_ >= arguments_.size()) {
      PrintMarker(verb, "(MISSING)");
    } else {
      AdjustForValueVerb(verb, &flags);
      PrintArgument(arguments_[next_argument_], verb, flags, out_);
      ++next_argument_;
    }
    return true;
  }

  void ReadWidth(Flags* flags, bool* after_index) {
    if (position_ < format_.size() && format_[position_] == '*') {
      ++position_;
      flags->has_width = ReadNumberArgument(&flags->width);
      if (!flags->has_width) {
        out_->append("%!(BADWIDTH)");
      }
      if (flags->width < 0) {
        flags->width = -flags->width;
        flags->minus = true;
        flags->zero = false;
      }
      *after_index = false;
      return;
    }
    flags->has_width = ReadFormatNumber(format_, &position_, &flags->width);
    if (*after_index && flags->has_width) {
      good_index_ = false;  // "%[3]2d"
    }
  }

  void ReadPrecision(Flags* flags, bool* after_index) {
    if (position_ >= format_.size() || format_[position_] != '.') {
      return;
    }
    ++position_;
    if (*after_index) {
      good_index_ = false;  // "%[3].2d"
    }
    *after_index = ReadArgumentIndex();
    if (position_ < format_.size() && format_[position_] == '*') {
      ++position_;
      flags->has_precision = ReadNumberArgument(&flags->precision);
      if (flags->precision < 0) {
        flags->precision = 0;
        flags->has_precision = false;
      }
      if (!flags->has_precision) {
        out_->append("%!(BADPREC)");
      }
      *after_index = false;
      return;
    }
    ReadFormatNumber(format_, &position_, &flags->precision);
    flags->has_precision = true;  // "%.f" means 0
  }

  /// Reads "[n]" and moves to that argument. True if it was there and well-formed.
  bool ReadArgumentIndex() {
    if (position_ >= format_.size() || format_[position_] != '[') {
      return false;
    }
    reordered_ = true;
    const size_t close = format_.find(']', position_ + 1);
    if (close == std::string_view::npos) {
      ++position_;
      good_index_ = false;
      return false;
    }
    size_t number_end = position_ + 1;
    int number = 0;
    const bool is_number =
        ReadFormatNumber(format_.substr(0, close), &number_end, &number) && number_end == close;
    position_ = close + 1;
    if (is_number && number >= 1 && static_cast<size_t>(number) <= arguments_.size()) {
      next_argument_ = static_cast<size_t>(number) - 1;
      return true;
    }
    good_index_ = false;
    return is_number;
  }

  /// Takes an int argument for '*'.
  bool ReadNumberArgument(int* number) {
    *number = 0;
    if (next_argument_ >= arguments_.size()) {
      return false;
    }
    const ValueView& argument = arguments_[next_argument_];
    ++next_argument_;
    int64_t value = 0;
    if (const int64_t* as_int = std::get_if<int64_t>(&argument)) {
      value = *as_int;
    } else if (const NativeInt* as_native = std::get_if<NativeInt>(&argument)) {
      value = as_native->value;
    } else {
      return false;
    }
    if (value > kMaxFormatNumber || value < -kMaxFormatNumber) {
      return false;
    }
    *number = static_cast<int>(value);
    return true;
  }

  void PrintMarker(char32_t verb, std::string_view what) {
    out_->append("%!");
    AppendRune(verb, out_);
    out_->append(what);
  }

  void PrintExtraArguments() {
    out_->append("%!(EXTRA ");
    for (size_t i = next_argument_; i < arguments_.size(); ++i) {
      if (i > next_argument_) {
        out_->append(", ");
      }
      out_->append(GoTypeName(arguments_[i]));
      out_->push_back('=');
      PrintArgument(arguments_[i], 'v', Flags(), out_);
    }
    out_->push_back(')');
  }

  const std::string_view format_;
  const std::span<const ValueView> arguments_;
  std::string* const out_;
  size_t position_ = 0;
  size_t next_argument_ = 0;
  bool good_index_ = true;
  bool reordered_ = false;
};

}  // namespace

struct PrintFormat::OneVerb {
  std::string prefix;
  std::string suffix;
  char32_t verb = 0;
  Flags flags;
};

ValueView ViewOf(const Value& value) {
  struct Visitor {
    ValueView operator()(int64_t number) const { return number; }
    ValueView operator()(double number) const { return number; }
    ValueView operator()(const std::string& text) const { return std::string_view(text); }
    ValueView operator()(bool flag) const { return flag; }
    ValueView operator()(const BigDecimal& decimal) const { return &decimal; }
    ValueView operator()(const Instant& instant) const { return &instant; }
    ValueView operator()(NativeInt number) const { return number; }
  };
  return std::visit(Visitor(), value);
}

Value ZeroValue(FieldType type) {
  switch (type) {
    case FieldType::kInt:
      return int64_t{0};
    case FieldType::kFloat:
      return 0.0;
    case FieldType::kString:
      return std::string();
    case FieldType::kBool:
      return false;
    case FieldType::kDecimal2:
      return BigDecimal();
    case FieldType::kDatetime:
      return Instant::FromMillis(kZeroMomentMillis);
  }
  return int64_t{0};
}

std::string ValueToText(const Value& value) {
  std::string text;
  PrintArgument(ViewOf(value), 'v', Flags(), &text);
  return text;
}

PrintFormat PrintFormat::Compile(std::string_view format) {
  PrintFormat result;
  result.text_ = std::string(format);
  if (format == "%s" || format == "%d") {
    result.plain_ = format[1];
  }
  OneVerb one;
  bool has_verb = false;
  std::string* literal = &one.prefix;
  for (size_t position = 0; position < format.size();) {
    if (format[position] != '%') {
      literal->push_back(format[position]);
      ++position;
      continue;
    }
    ++position;
    Flags flags;
    while (position < format.size() && SetFlag(format[position], &flags)) {
      ++position;
    }
    flags.has_width = ReadFormatNumber(format, &position, &flags.width);
    if (position < format.size() && format[position] == '.') {
      ++position;
      ReadFormatNumber(format, &position, &flags.precision);
      flags.has_precision = true;
    }
    if (position >= format.size() || format[position] == '*' || format[position] == '[') {
      return result;
    }
    int size = 0;
    const char32_t verb = DecodeRune(format, position, &size);
    position += static_cast<size_t>(size);
    if (verb == '%') {
      literal->push_back('%');
      continue;
    }
    if (has_verb) {
      return result;
    }
    has_verb = true;
    AdjustForValueVerb(verb, &flags);
    one.verb = verb;
    one.flags = flags;
    literal = &one.suffix;
  }
  if (has_verb) {
    result.one_verb_ = std::make_shared<const OneVerb>(std::move(one));
  }
  return result;
}

void PrintFormat::Print(std::span<const ValueView> arguments, std::string* out) const {
  Printer(text_, arguments, out).Run();
}

void PrintFormat::Print(const std::vector<Value>& arguments, std::string* out) const {
  std::vector<ValueView> views;
  views.reserve(arguments.size());
  for (const Value& argument : arguments) {
    views.push_back(ViewOf(argument));
  }
  Print(views, out);
}

void PrintFormat::PrintOne(const ValueView& value, std::string* out) const {
  if (one_verb_ == nullptr) {
    Print(std::span<const ValueView>(&value, 1), out);
    return;
  }
  out->append(one_verb_->prefix);
  PrintArgument(value, one_verb_->verb, one_verb_->flags, out);
  out->append(one_verb_->suffix);
}

void PrintFormat::PrintInt(int64_t value, std::string* out) const {
  if (plain_ == 'd') {
    AppendInt(value, out);
    return;
  }
  PrintOne(ValueView(value), out);
}

void PrintFormat::PrintFloat(double value, std::string* out) const {
  PrintOne(ValueView(value), out);
}

void PrintFormat::PrintBool(bool value, std::string* out) const { PrintOne(ValueView(value), out); }

void PrintFormat::PrintString(std::string_view value, std::string* out) const {
  if (plain_ == 's') {
    out->append(value);
    return;
  }
  PrintOne(ValueView(value), out);
}

}  // namespace capi::data
