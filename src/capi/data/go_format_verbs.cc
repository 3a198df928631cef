// One argument, one verb.

#include <cstring>

#include "capi/data/decimal_digits_internal.h"
#include "capi/data/go_format_internal.h"

namespace capi::data::format_internal {
namespace {

constexpr char kLowerDigits[] = "0123456789abcdef";
constexpr char kUpperDigits[] = "0123456789ABCDEF";

void PrintBadVerb(const ValueView& value, char32_t verb, const Flags& flags, std::string* out) {
  out->append("%!");
  AppendRune(verb, out);
  out->push_back('(');
  out->append(GoTypeName(value));
  out->push_back('=');
  PrintArgument(value, 'v', flags, out);
  out->push_back(')');
}

// ---- integers
// ------------------------------------------------------------------------------------

uint64_t Magnitude(int64_t value) {
  return value < 0 ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
}

/// Writes the digits so that they end at `end`; returns the begin.
char* WriteDigits(uint64_t magnitude, unsigned base, bool upper, char* end) {
  const char* const digits = upper ? kUpperDigits : kLowerDigits;
  do {
    *--end = digits[magnitude % base];
    magnitude /= base;
  } while (magnitude != 0);
  return end;
}

char* WriteDecimal(uint64_t magnitude, char* end) {
  while (magnitude >= 100) {
    end -= 2;
    std::memcpy(end, kTwoDigits + 2 * (magnitude % 100), 2);
    magnitude /= 100;
  }
  if (magnitude >= 10) {
    end -= 2;
    std::memcpy(end, kTwoDigits + 2 * magnitude, 2);
    return end;
  }
  *--end = static_cast<char>('0' + magnitude);
  return end;
}

constexpr size_t kIntBuffer = 68;  // 64 binary digits, a prefix and a sign

/// Integer verbs d b o O x X v.
void PrintIntVerb(int64_t value, char verb, const Flags& flags, std::string* out) {
  const bool negative = value < 0;
  char buffer[kIntBuffer];
  char* const end = buffer + kIntBuffer;
  char* begin;
  switch (verb) {
    case 'b':
      begin = WriteDigits(Magnitude(value), 2, false, end);
      break;
    case 'o':
    case 'O':
      begin = WriteDigits(Magnitude(value), 8, false, end);
      break;
    case 'x':
    case 'X':
      begin = WriteDigits(Magnitude(value), 16, verb == 'X', end);
      break;
    default:
      begin = WriteDecimal(Magnitude(value), end);
      break;
  }
  // "%.3d" and "%03d" both ask for leading zeros; given both, the width pads with blanks.
  int64_t min_digits = 0;
  if (flags.has_precision) {
    min_digits = flags.precision;
    if (min_digits == 0 && value == 0) {
      out->append(static_cast<size_t>(flags.has_width ? flags.width : 0), ' ');
      return;
    }
  } else if (flags.zero && !flags.minus && flags.has_width) {
    min_digits = flags.width - (negative || flags.plus || flags.space ? 1 : 0);
  }
  const int64_t num_digits = end - begin;
  const int64_t zeros = min_digits > num_digits ? min_digits - num_digits : 0;
  std::string_view prefix;
  if (flags.sharp) {
    if (verb == 'b') {
      prefix = "0b";
    } else if (verb == 'x') {
      prefix = "0x";
    } else if (verb == 'X') {
      prefix = "0X";
    } else if ((verb == 'o' || verb == 'O') && zeros == 0 && *begin != '0') {
      prefix = "0";
    }
  }
  const std::string_view octal_mark = verb == 'O' ? "0o" : "";
  const std::string_view sign = negative ? "-" : flags.plus ? "+" : flags.space ? " " : "";
  const int64_t size =
      static_cast<int64_t>(sign.size() + octal_mark.size() + prefix.size()) + zeros + num_digits;
  const int64_t padding = flags.has_width && flags.width > size ? flags.width - size : 0;
  if (!flags.minus) {
    out->append(static_cast<size_t>(padding), ' ');
  }
  out->append(sign);
  out->append(octal_mark);
  out->append(prefix);
  out->append(static_cast<size_t>(zeros), '0');
  out->append(begin, static_cast<size_t>(num_digits));
  if (flags.minus) {
    out->append(static_cast<size_t>(padding), ' ');
  }
}

char32_t RuneOfInt(int64_t value) {
  return value < 0 || value > static_cast<int64_t>(kMaxRune) ? kReplacementRune
                                                             : static_cast<char32_t>(value);
}

/// "U+0041", with '#' also the character.
void PrintUnicode(int64_t value, const Flags& flags, std::string* out) {
  char buffer[kIntBuffer];
  char* const end = buffer + kIntBuffer;
  const char* const begin = WriteDigits(static_cast<uint64_t>(value), 16, true, end);
  constexpr int kMinDigits = 4;
  const int min_digits =
      flags.has_precision && flags.precision > kMinDigits ? flags.precision : kMinDigits;
  std::string text = "U+";
  if (end - begin < min_digits) {
    text.append(static_cast<size_t>(min_digits - (end - begin)), '0');
  }
  text.append(begin, static_cast<size_t>(end - begin));
  if (flags.sharp && value >= 0 && value <= static_cast<int64_t>(kMaxRune) &&
      IsPrintable(static_cast<char32_t>(value))) {
    text += " '";
    AppendRune(static_cast<char32_t>(value), &text);
    text += "'";
  }
  Flags blanks = flags;
  blanks.zero = false;
  AppendPadded(text, blanks, out);
}

/// False if the verb does not fit integers.
bool PrintIntArgument(int64_t value, char32_t verb, const Flags& flags, std::string* out) {
  std::string text;
  switch (verb) {
    case 'v':
    case 'd':
      if (flags.bare()) {
        AppendInt(value, out);
        return true;
      }
      [[fallthrough]];
    case 'b':
    case 'o':
    case 'O':
    case 'x':
    case 'X':
      PrintIntVerb(value, static_cast<char>(verb), flags, out);
      return true;
    case 'c':
      AppendRune(RuneOfInt(value), &text);
      AppendPadded(text, flags, out);
      return true;
    case 'q':
      AppendQuotedRune(RuneOfInt(value), flags.plus, &text);
      AppendPadded(text, flags, out);
      return true;
    case 'U':
      PrintUnicode(value, flags, out);
      return true;
    default:
      return false;
  }
}

// ---- strings
// -------------------------------------------------------------------------------------

std::string_view CutToPrecision(std::string_view text, const Flags& flags) {
  if (!flags.has_precision) {
    return text;
  }
  size_t position = 0;
  for (int runes = 0; runes < flags.precision && position < text.size(); ++runes) {
    int size = 0;
    DecodeRune(text, position, &size);
    position += static_cast<size_t>(size);
  }
  return text.substr(0, position);
}

void PrintQuoted(std::string_view text, const Flags& flags, std::string* out) {
  text = CutToPrecision(text, flags);
  std::string quoted;
  if (flags.sharp && CanBackquote(text)) {
    quoted = "`" + std::string(text) + "`";
  } else {
    AppendQuoted(text, flags.plus, &quoted);
  }
  AppendPadded(quoted, flags, out);
}

void PrintHexText(std::string_view text, bool upper, const Flags& flags, std::string* out) {
  if (flags.has_precision) {
    text = text.substr(0, static_cast<size_t>(flags.precision));
  }
  const char* const digits = upper ? kUpperDigits : kLowerDigits;
  const std::string_view prefix = !flags.sharp ? "" : upper ? "0X" : "0x";
  std::string hex;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > 0 && flags.space) {
      hex.push_back(' ');
    }
    if (i == 0 || flags.space) {
      hex.append(prefix);
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    hex.push_back(digits[byte >> 4]);
    hex.push_back(digits[byte & 15]);
  }
  AppendPadded(hex, flags, out);
}

/// False if the verb does not fit strings.
bool PrintTextArgument(std::string_view text, char32_t verb, const Flags& flags, std::string* out) {
  switch (verb) {
    case 'v':
    case 's':
      if (flags.quoted_value) {
        PrintQuoted(text, flags, out);
      } else {
        AppendPadded(CutToPrecision(text, flags), flags, out);
      }
      return true;
    case 'q':
      PrintQuoted(text, flags, out);
      return true;
    case 'x':
    case 'X':
      PrintHexText(text, verb == 'X', flags, out);
      return true;
    default:
      return false;
  }
}

// ---- by type
// -------------------------------------------------------------------------------------

struct ArgumentPrinter {
  char32_t verb;
  const Flags& flags;
  std::string* out;

  bool operator()(int64_t value) const { return PrintIntArgument(value, verb, flags, out); }
  bool operator()(NativeInt value) const { return PrintIntArgument(value.value, verb, flags, out); }
  bool operator()(double value) const {
    switch (verb) {
      case 'v':
      case 'b':
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
      case 'x':
      case 'X':
        PrintFloatVerb(value, static_cast<char>(verb), flags, out);
        return true;
      default:
        return false;
    }
  }
  bool operator()(std::string_view value) const {
    return PrintTextArgument(value, verb, flags, out);
  }
  bool operator()(bool value) const {
    if (verb != 't' && verb != 'v') {
      return false;
    }
    AppendPadded(value ? "true" : "false", flags, out);
    return true;
  }
  // Decimals and moments have a text form only; "%#v" shows it without quotes.
  bool operator()(const BigDecimal* value) const { return PrintTextForm(value->ToString()); }
  bool operator()(const Instant* value) const { return PrintTextForm(DatetimeToString(*value)); }

  bool PrintTextForm(const std::string& text) const {
    Flags unquoted = flags;
    unquoted.quoted_value = false;
    return PrintTextArgument(text, verb, unquoted, out);
  }
};

}  // namespace

void AppendInt(int64_t value, std::string* out) {
  char buffer[kIntBuffer];
  char* const end = buffer + kIntBuffer;
  char* begin = WriteDecimal(Magnitude(value), end);
  if (value < 0) {
    *--begin = '-';
  }
  out->append(begin, static_cast<size_t>(end - begin));
}

void AppendPadding(int64_t count, const Flags& flags, std::string* out) {
  if (count > 0) {
    out->append(static_cast<size_t>(count), flags.zero && !flags.minus ? '0' : ' ');
  }
}

void AppendPadded(std::string_view text, const Flags& flags, std::string* out) {
  if (!flags.has_width || flags.width == 0) {
    out->append(text);
    return;
  }
  const int64_t padding = flags.width - CountRunes(text);
  if (!flags.minus) {
    AppendPadding(padding, flags, out);
  }
  out->append(text);
  if (flags.minus) {
    AppendPadding(padding, flags, out);
  }
}

std::string_view GoTypeName(const ValueView& value) {
  struct Visitor {
    std::string_view operator()(int64_t) const { return "int64"; }
    std::string_view operator()(double) const { return "float64"; }
    std::string_view operator()(std::string_view) const { return "string"; }
    std::string_view operator()(bool) const { return "bool"; }
    std::string_view operator()(const BigDecimal*) const { return "decimal.Decimal"; }
    std::string_view operator()(const Instant*) const { return "time.Time"; }
    std::string_view operator()(NativeInt) const { return "int"; }
  };
  return std::visit(Visitor(), value);
}

void PrintArgument(const ValueView& value, char32_t verb, const Flags& flags, std::string* out) {
  if (verb == 'T') {
    AppendPadded(CutToPrecision(GoTypeName(value), flags), flags, out);
    return;
  }
  if (!std::visit(ArgumentPrinter{verb, flags, out}, value)) {
    PrintBadVerb(value, verb, flags, out);
  }
}

}  // namespace capi::data::format_internal
