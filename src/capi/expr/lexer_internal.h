#pragma once

// Go tokens with automatic terminators at line ends (spec/expressions.md 2).

#include <cstdint>
#include <string>
#include <string_view>

#include "capi/base/status.h"

namespace capi::expr {

enum class TokenKind : uint8_t {
  kEnd,
  kNewline,  ///< a line end after a token that may end an expression
  kIdentifier,
  kKeyword,
  kInteger,
  kFloat,
  kImaginary,
  kRune,
  kString,     ///< "..."
  kRawString,  ///< `...`
  kOperator,   ///< operators and punctuation; compare the text
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  int64_t offset = 0;
  std::string_view text;  ///< as written; points into the text given to the lexer

  bool Is(std::string_view operator_text) const {
    return kind == TokenKind::kOperator && text == operator_text;
  }
  bool IsKeyword(std::string_view word) const {
    return kind == TokenKind::kKeyword && text == word;
  }
};

class Lexer {
 public:
  /// `text` must outlive the lexer and its tokens.
  explicit Lexer(std::string_view text) : text_(text) {}
  /// kEnd for ever after the last token. Errors: class "syntax_error" with the offset.
  Result<Token> Next();

 private:
  bool AtEnd() const { return position_ >= text_.size(); }
  /// The byte `ahead` of the position, 0 beyond the end.
  char Peek(size_t ahead = 0) const {
    return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
  }
  /// The code point at the position and its length in bytes; an error for bytes that are not UTF-8.
  Result<int32_t> PeekCodePoint(size_t* length) const;
  Status SkipComment(bool* has_newline);
  /// Skips blanks and comments. True: they held a line end that terminates.
  Result<bool> SkipBlanks();
  Result<Token> Finish(TokenKind kind, size_t begin);
  Result<Token> LexIdentifier();
  Result<Token> LexNumber();
  /// Takes digits and underscores. *any: was there a digit; *invalid_digit: offset of the first
  /// decimal digit too large for the base.
  void LexDigits(int base, bool* any, size_t* invalid_digit);
  /// Takes an exponent if there is one; `begin`: offset of the number.
  Status LexExponent(size_t begin, int base, TokenKind* kind);
  Result<Token> LexQuoted(char quote);
  Status LexEscape(char quote);
  Result<Token> LexRawString();
  Result<Token> LexOperator();

  std::string_view text_;
  size_t position_ = 0;
  bool may_terminate_ = false;  // the last token may end an expression
};

bool IsKeyword(std::string_view word);
Status SyntaxError(int64_t offset, std::string message);

}  // namespace capi::expr
