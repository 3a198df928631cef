#include <algorithm>
#include <array>
#include <utility>

#include "capi/expr/lexer_internal.h"
#include "utf8proc.h"

namespace capi::expr {

namespace {

constexpr std::array<std::string_view, 25> kKeywords = {
    "break",  "case",        "chan", "const",   "continue", "default", "defer",
    "else",   "fallthrough", "for",  "func",    "go",       "goto",    "if",
    "import", "interface",   "map",  "package", "range",    "return",  "select",
    "struct", "switch",      "type", "var"};
static_assert(std::is_sorted(kKeywords.begin(), kKeywords.end()));

// Longest first, so that the first match is the token.
constexpr std::array<std::string_view, 48> kOperators = {
    "<<=", ">>=", "&^=", "...", "<<", ">>", "&^", "&&", "||", "<-", "++", "--",
    "==",  "!=",  "<=",  ">=",  ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=",
    "^=",  "+",   "-",   "*",   "/",  "%",  "&",  "|",  "^",  "<",  ">",  "=",
    "!",   "(",   ")",   "[",   "]",  "{",  "}",  ",",  ";",  ".",  ":",  "~"};

constexpr int32_t kMaxCodePoint = 0x10FFFF;
constexpr int32_t kFirstSurrogate = 0xD800;
constexpr int32_t kLastSurrogate = 0xDFFF;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsDecimalDigit(char c) { return c >= '0' && c <= '9'; }

/// Value of a hexadecimal digit, 16 for another byte.
int DigitValue(char c) {
  if (IsDecimalDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

bool IsLetter(int32_t code_point) {
  if (code_point < 0x80) {
    return (code_point >= 'a' && code_point <= 'z') || (code_point >= 'A' && code_point <= 'Z') ||
           code_point == '_';
  }
  const utf8proc_category_t category = utf8proc_category(code_point);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsDigit(int32_t code_point) {
  if (code_point < 0x80) return code_point >= '0' && code_point <= '9';
  return utf8proc_category(code_point) == UTF8PROC_CATEGORY_ND;
}

bool EndsExpression(const Token& token) {
  switch (token.kind) {
    case TokenKind::kIdentifier:
    case TokenKind::kInteger:
    case TokenKind::kFloat:
    case TokenKind::kImaginary:
    case TokenKind::kRune:
    case TokenKind::kString:
    case TokenKind::kRawString:
      return true;
    case TokenKind::kKeyword:
      return token.text == "break" || token.text == "continue" || token.text == "fallthrough" ||
             token.text == "return";
    case TokenKind::kOperator:
      return token.text == ")" || token.text == "]" || token.text == "}" || token.text == "++" ||
             token.text == "--";
    default:
      return false;
  }
}

std::string_view BaseName(int base) {
  switch (base) {
    case 2:
      return "binary";
    case 8:
      return "octal";
    case 16:
      return "hexadecimal";
    default:
      return "decimal";
  }
}

/// True when every _ stands between two digits (the prefix 0x counts as a digit).
bool UnderscoresSeparateDigits(std::string_view literal) {
  // '.' stands for anything that is no digit, '0' for a digit.
  char previous = '.';
  size_t start = 0;
  bool hexadecimal = false;
  if (literal.size() > 1 && literal[0] == '0') {
    const char letter = static_cast<char>(literal[1] | 0x20);
    if (letter == 'x' || letter == 'o' || letter == 'b') {
      hexadecimal = letter == 'x';
      previous = '0';
      start = 2;
    }
  }
  for (const char c : literal.substr(start)) {
    if (c == '_') {
      if (previous != '0') return false;
      previous = '_';
    } else if (hexadecimal ? DigitValue(c) < 16 : IsDecimalDigit(c)) {
      previous = '0';
    } else {
      if (previous == '_') return false;
      previous = '.';
    }
  }
  return previous != '_';
}

}  // namespace

bool IsKeyword(std::string_view word) {
  return std::binary_search(kKeywords.begin(), kKeywords.end(), word);
}

Status SyntaxError(int64_t offset, std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = "syntax_error";
  info.expression_offset = offset;
  return MakeError(std::move(info), std::move(message));
}

Result<int32_t> Lexer::PeekCodePoint(size_t* length) const {
  utf8proc_int32_t code_point = 0;
  const utf8proc_ssize_t bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text_.data() + position_),
                       static_cast<utf8proc_ssize_t>(text_.size() - position_), &code_point);
  if (bytes <= 0) return SyntaxError(static_cast<int64_t>(position_), "text is not valid UTF-8");
  if (code_point == 0) return SyntaxError(static_cast<int64_t>(position_), "zero byte in the text");
  *length = static_cast<size_t>(bytes);
  return code_point;
}

Status Lexer::SkipComment(bool* has_newline) {
  const size_t begin = position_;
  const bool to_line_end = Peek(1) == '/';
  position_ += 2;
  while (!AtEnd()) {
    if (to_line_end && Peek() == '\n') return Status::OK();
    if (!to_line_end && Peek() == '*' && Peek(1) == '/') {
      position_ += 2;
      return Status::OK();
    }
    if (Peek() == '\n') *has_newline = true;
    size_t length = 0;
    CAPI_RETURN_NOT_OK(PeekCodePoint(&length).status());
    position_ += length;
  }
  if (to_line_end) return Status::OK();
  return SyntaxError(static_cast<int64_t>(begin), "comment is not closed, */ is missing");
}

Result<bool> Lexer::SkipBlanks() {
  bool has_newline = false;
  if (position_ == 0 && text_.starts_with(kByteOrderMark)) position_ = kByteOrderMark.size();
  while (!AtEnd()) {
    const char c = Peek();
    if (c == '\n') {
      has_newline = true;
      ++position_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++position_;
    } else if (c == '/' && (Peek(1) == '/' || Peek(1) == '*')) {
      CAPI_RETURN_NOT_OK(SkipComment(&has_newline));
    } else {
      break;
    }
  }
  return has_newline;
}

Result<Token> Lexer::Finish(TokenKind kind, size_t begin) {
  Token token;
  token.kind = kind;
  token.offset = static_cast<int64_t>(begin);
  token.text = text_.substr(begin, position_ - begin);
  may_terminate_ = EndsExpression(token);
  return token;
}

Result<Token> Lexer::Next() {
  const size_t before = position_;
  CAPI_ASSIGN_OR_RETURN(const bool has_newline, SkipBlanks());
  if (has_newline && may_terminate_) {
    may_terminate_ = false;
    // Points at the line end itself, where a reader looks for the missing operator.
    const size_t line_end = text_.find('\n', before);
    Token token;
    token.kind = TokenKind::kNewline;
    token.offset = static_cast<int64_t>(line_end);
    token.text = text_.substr(line_end, 1);
    return token;
  }
  if (AtEnd()) return Finish(TokenKind::kEnd, position_);
  const char c = Peek();
  if (IsDecimalDigit(c) || (c == '.' && IsDecimalDigit(Peek(1)))) return LexNumber();
  if (c == '"' || c == '\'') return LexQuoted(c);
  if (c == '`') return LexRawString();
  size_t length = 0;
  CAPI_ASSIGN_OR_RETURN(const int32_t code_point, PeekCodePoint(&length));
  if (IsLetter(code_point)) return LexIdentifier();
  return LexOperator();
}

Result<Token> Lexer::LexIdentifier() {
  const size_t begin = position_;
  while (!AtEnd()) {
    size_t length = 0;
    CAPI_ASSIGN_OR_RETURN(const int32_t code_point, PeekCodePoint(&length));
    if (!IsLetter(code_point) && !IsDigit(code_point)) break;
    position_ += length;
  }
  const bool keyword = IsKeyword(text_.substr(begin, position_ - begin));
  return Finish(keyword ? TokenKind::kKeyword : TokenKind::kIdentifier, begin);
}

void Lexer::LexDigits(int base, bool* any, size_t* invalid_digit) {
  while (!AtEnd()) {
    const char c = Peek();
    if (c != '_') {
      const int value = DigitValue(c);
      const bool taken = base == 16 ? value < 16 : IsDecimalDigit(c);
      if (!taken) break;
      *any = true;
      if (value >= base && *invalid_digit == std::string_view::npos) *invalid_digit = position_;
    }
    ++position_;
  }
}

Status Lexer::LexExponent(size_t begin, int base, TokenKind* kind) {
  const auto error = [begin](std::string message) {
    return SyntaxError(static_cast<int64_t>(begin), std::move(message));
  };
  const char exponent = static_cast<char>(Peek() | 0x20);
  if (exponent != 'e' && exponent != 'p') {
    if (base == 16 && *kind == TokenKind::kFloat) {
      return error("hexadecimal float needs an exponent, such as p0");
    }
    return Status::OK();
  }
  if (exponent == 'e' && base != 10) {
    return error("exponent e in a " + std::string(BaseName(base)) + " number");
  }
  if (exponent == 'p' && base != 16) return error("exponent p needs a hexadecimal number");
  ++position_;
  *kind = TokenKind::kFloat;
  if (Peek() == '+' || Peek() == '-') ++position_;
  bool any = false;
  size_t unused = std::string_view::npos;
  LexDigits(10, &any, &unused);
  return any ? Status::OK() : error("exponent has no digits");
}

Result<Token> Lexer::LexNumber() {
  const size_t begin = position_;
  int base = 10;
  bool leading_zero = false;
  if (Peek() == '0') {
    const char letter = static_cast<char>(Peek(1) | 0x20);
    if (letter == 'x' || letter == 'o' || letter == 'b') {
      base = letter == 'x' ? 16 : letter == 'o' ? 8 : 2;
      position_ += 2;
    } else {
      leading_zero = true;
    }
  }
  const auto error = [begin](std::string message) {
    return SyntaxError(static_cast<int64_t>(begin), std::move(message));
  };
  bool any = false;
  size_t invalid_digit = std::string_view::npos;
  LexDigits(base, &any, &invalid_digit);
  TokenKind kind = TokenKind::kInteger;
  if (Peek() == '.') {
    kind = TokenKind::kFloat;
    if (base == 2 || base == 8) {
      return error("decimal point in a " + std::string(BaseName(base)) + " number");
    }
    ++position_;
    LexDigits(base, &any, &invalid_digit);
  }
  if (!any) return error(std::string(BaseName(base)) + " number has no digits");
  CAPI_RETURN_NOT_OK(LexExponent(begin, base, &kind));
  const std::string_view literal = text_.substr(begin, position_ - begin);
  if (Peek() == 'i') {
    kind = TokenKind::kImaginary;
    ++position_;
  }
  if (leading_zero && kind == TokenKind::kInteger && literal.find_first_of("89") < literal.size()) {
    // 010 is ten here, but Go still reads it as octal when it looks for wrong digits.
    invalid_digit = begin + literal.find_first_of("89");
    base = 8;
  }
  if (invalid_digit != std::string_view::npos) {
    return SyntaxError(static_cast<int64_t>(invalid_digit),
                       "digit '" + std::string(1, text_[invalid_digit]) + "' in a " +
                           std::string(BaseName(base)) + " number" +
                           (leading_zero ? " (it starts with 0)" : ""));
  }
  if (!UnderscoresSeparateDigits(literal)) return error("_ must stand between two digits");
  return Finish(kind, begin);
}

Status Lexer::LexEscape(char quote) {
  const size_t begin = position_;
  ++position_;  // backslash
  const char c = Peek();
  const auto error = [begin](std::string message) {
    return SyntaxError(static_cast<int64_t>(begin), std::move(message));
  };
  int num_digits = 0;
  int base = 16;
  int32_t limit = 255;
  switch (c) {
    case 'a':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'v':
    case '\\':
      ++position_;
      return Status::OK();
    case 'x':
      num_digits = 2;
      break;
    case 'u':
      num_digits = 4;
      limit = kMaxCodePoint;
      break;
    case 'U':
      num_digits = 8;
      limit = kMaxCodePoint;
      break;
    default:
      if (c == quote && !AtEnd()) {
        ++position_;
        return Status::OK();
      }
      if (c < '0' || c > '7') {
        return error(
            "unknown escape sequence; in a regular expression use `...` instead of \"...\"");
      }
      num_digits = 3;
      base = 8;
      --position_;  // the digits start right after the backslash
      break;
  }
  ++position_;
  uint32_t value = 0;
  for (int i = 0; i < num_digits; ++i) {
    const int digit = AtEnd() ? 16 : DigitValue(Peek());
    if (digit >= base) return error("escape sequence has a wrong digit");
    value = value * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit);
    ++position_;
  }
  const bool surrogate = limit == kMaxCodePoint &&
                         value >= static_cast<uint32_t>(kFirstSurrogate) &&
                         value <= static_cast<uint32_t>(kLastSurrogate);
  if (value > static_cast<uint32_t>(limit) || surrogate) {
    return error("escape sequence is no character");
  }
  return Status::OK();
}

Result<Token> Lexer::LexQuoted(char quote) {
  const size_t begin = position_;
  const std::string what = quote == '"' ? "string" : "character in single quotes";
  ++position_;
  int64_t num_characters = 0;
  while (true) {
    if (AtEnd() || Peek() == '\n') {
      return SyntaxError(static_cast<int64_t>(begin),
                         what + " is not closed, " + std::string(1, quote) + " is missing");
    }
    if (Peek() == quote) break;
    if (Peek() == '\\') {
      CAPI_RETURN_NOT_OK(LexEscape(quote));
    } else {
      size_t length = 0;
      CAPI_RETURN_NOT_OK(PeekCodePoint(&length).status());
      position_ += length;
    }
    ++num_characters;
  }
  ++position_;
  if (quote == '"') return Finish(TokenKind::kString, begin);
  if (num_characters != 1) {
    return SyntaxError(static_cast<int64_t>(begin),
                       "text must stand in double quotes or back-quotes, not in single quotes");
  }
  return Finish(TokenKind::kRune, begin);
}

Result<Token> Lexer::LexRawString() {
  const size_t begin = position_;
  ++position_;
  while (!AtEnd() && Peek() != '`') {
    size_t length = 0;
    CAPI_RETURN_NOT_OK(PeekCodePoint(&length).status());
    position_ += length;
  }
  if (AtEnd()) {
    return SyntaxError(static_cast<int64_t>(begin), "string is not closed, ` is missing");
  }
  ++position_;
  return Finish(TokenKind::kRawString, begin);
}

Result<Token> Lexer::LexOperator() {
  const size_t begin = position_;
  const std::string_view rest = text_.substr(position_);
  for (const std::string_view candidate : kOperators) {
    if (rest.starts_with(candidate)) {
      position_ += candidate.size();
      return Finish(TokenKind::kOperator, begin);
    }
  }
  size_t length = 0;
  CAPI_RETURN_NOT_OK(PeekCodePoint(&length).status());
  return SyntaxError(static_cast<int64_t>(begin),
                     "unexpected character '" + std::string(rest.substr(0, length)) + "'");
}

}  // namespace capi::expr
