#pragma once

// The untyped syntax tree. The grammar is that of Go expressions (spec/expressions.md 2, 3); what a
// place allows of it is decided by its user: the checker of expressions, index and order
// definitions, formulas.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::expr {

enum class SyntaxKind : uint8_t {
  kIdentifier,        ///< text: the name
  kInteger,           ///< text: the literal as written
  kFloat,             ///< text: the literal as written
  kImaginary,         ///< text: the literal as written
  kRune,              ///< text: the literal as written, with its quotes
  kString,            ///< text: the value (outer quotes removed, escapes NOT processed)
  kSelector,          ///< a.b; text: b; child: a
  kCall,              ///< children: target, then the arguments
  kParenthesized,     ///< child: the inside
  kUnary,             ///< text: the operator; child: the operand
  kBinary,            ///< text: the operator; children: left, right
  kDereference,       ///< *x; child: x
  kIndex,             ///< x[i]; children: x, i ...
  kSlice,             ///< x[i:j]; children: x and the bounds given
  kTypeAssertion,     ///< x.(T); child: x
  kCompositeLiteral,  ///< T{...}
  kFunctionLiteral,   ///< func(...) {...}
  kType,              ///< []T, map[K]V, struct{...} ...
};

struct Syntax {
  SyntaxKind kind = SyntaxKind::kIdentifier;
  /// Where an error about this node points: the operator of a binary node, the name after the dot
  /// of a selector, else the first byte. Byte offset in the parsed text.
  int64_t offset = 0;
  int64_t begin = 0;  ///< first byte of the source
  int64_t end = 0;    ///< one past the last byte of the source
  int height = 1;     ///< of the tree below and with this node
  std::string text;
  std::vector<std::unique_ptr<Syntax>> children;
};

/// Parentheses, unary operators, calls and the like may nest this deep.
constexpr int kMaxNesting = 200;
/// Height of the tree: a chain a+b+c+... counts one per operator.
constexpr int kMaxTreeHeight = 2000;

/// Errors: class "syntax_error", or "empty_expression" for blank text; expression_offset is set.
Result<std::unique_ptr<Syntax>> ParseExpression(std::string_view text);

/// The inside of any number of parentheses.
const Syntax& WithoutParentheses(const Syntax& syntax);

}  // namespace capi::expr
