#pragma once

// The parts of Go-style printing (spec/expressions.md 9.2).

#include <cstdint>
#include <string>
#include <string_view>

#include "capi/data/go_format.h"

namespace capi::data::format_internal {

/// What stands between '%' and the verb.
struct Flags {
  bool plus = false;
  bool minus = false;
  bool sharp = false;
  bool zero = false;
  bool space = false;
  bool has_width = false;
  bool has_precision = false;
  /// "%#v": strings are quoted.
  bool quoted_value = false;
  int width = 0;
  int precision = 0;

  bool bare() const {
    return !plus && !minus && !sharp && !zero && !space && !has_width && !has_precision &&
           !quoted_value;
  }
};

/// Go limits widths, precisions and argument indexes.
constexpr int kMaxFormatNumber = 1000000;

constexpr char32_t kReplacementRune = 0xFFFD;
constexpr char32_t kMaxRune = 0x10FFFF;

/// Decodes the rune at text[position]; wrong UTF-8 gives kReplacementRune and size 1.
char32_t DecodeRune(std::string_view text, size_t position, int* size);
void AppendRune(char32_t rune, std::string* out);
int64_t CountRunes(std::string_view text);
/// True if the text is valid UTF-8 without control characters, back quotes or byte order marks.
bool CanBackquote(std::string_view text);
/// True for letters, marks, numbers, punctuation, symbols and the ASCII blank.
bool IsPrintable(char32_t rune);
/// Go string literal; `ascii_only` escapes everything beyond ASCII.
void AppendQuoted(std::string_view text, bool ascii_only, std::string* out);
/// Go character literal.
void AppendQuotedRune(char32_t rune, bool ascii_only, std::string* out);

/// Prints one argument with a verb, or a marker if they do not fit.
void PrintArgument(const ValueView& value, char32_t verb, const Flags& flags, std::string* out);
std::string_view GoTypeName(const ValueView& value);

void AppendInt(int64_t value, std::string* out);
/// Float verbs b e E f g G x X v; `flags` as given by the user.
void PrintFloatVerb(double value, char verb, const Flags& flags, std::string* out);
void AppendPadding(int64_t count, const Flags& flags, std::string* out);
/// Appends text padded to the width, counted in runes.
void AppendPadded(std::string_view text, const Flags& flags, std::string* out);

/// True if every underscore stands between digits (or after a base prefix).
bool UnderscoresSeparateDigits(std::string_view text);
/// Whole text; base 0 takes the base from the prefix and allows underscores.
Result<int64_t> ParseIntInBase(std::string_view text, int base);

}  // namespace capi::data::format_internal
