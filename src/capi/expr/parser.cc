#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

#include "capi/expr/lexer_internal.h"
#include "capi/expr/syntax.h"

namespace capi::expr {

namespace {

using SyntaxPointer = std::unique_ptr<Syntax>;

constexpr int kLowestPrecedence = 1;

/// 1 (||) to 5 (*), 0 for anything that is no binary operator.
int PrecedenceOf(const Token& token) {
  if (token.kind != TokenKind::kOperator) return 0;
  constexpr std::array<std::string_view, 7> kMultiplicative = {"*",  "/", "%", "<<",
                                                               ">>", "&", "&^"};
  constexpr std::array<std::string_view, 4> kAdditive = {"+", "-", "|", "^"};
  constexpr std::array<std::string_view, 6> kComparison = {"==", "!=", "<", "<=", ">", ">="};
  const auto is_in = [&token](const auto& list) {
    return std::find(list.begin(), list.end(), token.text) != list.end();
  };
  if (is_in(kMultiplicative)) return 5;
  if (is_in(kAdditive)) return 4;
  if (is_in(kComparison)) return 3;
  if (token.text == "&&") return 2;
  if (token.text == "||") return 1;
  return 0;
}

bool IsUnaryOperator(const Token& token) {
  constexpr std::array<std::string_view, 7> kUnary = {"-", "!", "+", "^", "&", "<-", "~"};
  return token.kind == TokenKind::kOperator &&
         std::find(kUnary.begin(), kUnary.end(), token.text) != kUnary.end();
}

bool StartsType(const Token& token) {
  if (token.kind == TokenKind::kIdentifier) return true;
  if (token.kind == TokenKind::kKeyword) {
    return token.text == "func" || token.text == "struct" || token.text == "map" ||
           token.text == "chan" || token.text == "interface";
  }
  return token.Is("*") || token.Is("[") || token.Is("(") || token.Is("<-");
}

std::string DescribeToken(const Token& token) {
  switch (token.kind) {
    case TokenKind::kEnd:
      return "the end of the expression";
    case TokenKind::kNewline:
      return "a line end";
    case TokenKind::kKeyword:
      return "the Go keyword `" + std::string(token.text) + "`";
    default:
      return "`" + std::string(token.text) + "`";
  }
}

/// A word of advice for spellings known from other languages, or "".
std::string_view HintAfterExpression(const Token& token) {
  if (token.Is("=") || token.Is(":=")) return "; to compare, write ==";
  if (token.kind == TokenKind::kIdentifier) {
    if (token.text == "and" || token.text == "AND") return "; write &&";
    if (token.text == "or" || token.text == "OR") return "; write ||";
    if (token.text == "in" || token.text == "IN") return "; write a == x || a == y";
  }
  if (token.kind == TokenKind::kNewline) {
    return "; a line may be broken only after an operator, a comma or an opening parenthesis";
  }
  return "";
}

std::string StringValue(const Token& token) {
  const char quote = token.kind == TokenKind::kString ? '"' : '`';
  const size_t first = token.text.find_first_not_of(quote);
  if (first == std::string_view::npos) return {};
  std::string value(token.text.substr(first, token.text.find_last_not_of(quote) - first + 1));
  if (quote == '`') std::erase(value, '\r');
  return value;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  Result<SyntaxPointer> Parse() {
    CAPI_RETURN_NOT_OK(Advance());
    CAPI_ASSIGN_OR_RETURN(SyntaxPointer root, ParseBinary(kLowestPrecedence));
    const Token after = token_;
    if (after.kind == TokenKind::kNewline) CAPI_RETURN_NOT_OK(Advance());
    if (token_.kind == TokenKind::kEnd) return root;
    return SyntaxError(after.offset, "unexpected " + DescribeToken(after) +
                                         " after the expression" +
                                         std::string(HintAfterExpression(after)));
  }

 private:
  /// Counts nested calls of the parser for the time it lives.
  class Nesting {
   public:
    explicit Nesting(int* depth) : depth_(depth) { ++*depth_; }
    ~Nesting() { --*depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    int* depth_;
  };

  Status CheckNesting() const {
    if (depth_ <= kMaxNesting) return Status::OK();
    return SyntaxError(token_.offset, "expression is nested too deeply, the limit is " +
                                          std::to_string(kMaxNesting));
  }

  Status Advance() {
    previous_end_ = token_.offset + static_cast<int64_t>(token_.text.size());
    CAPI_ASSIGN_OR_RETURN(token_, lexer_.Next());
    return Status::OK();
  }

  Status Expected(std::string_view what) const {
    return SyntaxError(token_.offset,
                       "expected " + std::string(what) + ", found " + DescribeToken(token_));
  }

  Status Expect(std::string_view operator_text, std::string_view what) {
    if (!token_.Is(operator_text)) return Expected(what);
    return Advance();
  }

  /// A node that ends where the last taken token ends.
  SyntaxPointer NewNode(SyntaxKind kind, int64_t begin, int64_t offset,
                        std::string text = {}) const {
    auto node = std::make_unique<Syntax>();
    node->kind = kind;
    node->begin = begin;
    node->offset = offset;
    node->end = previous_end_;
    node->text = std::move(text);
    return node;
  }

  static void AddChild(Syntax* node, SyntaxPointer child) {
    node->height = std::max(node->height, child->height + 1);
    node->children.push_back(std::move(child));
  }

  /// For chains, which grow the tree without nesting the parser.
  static Status CheckHeight(const Syntax& node) {
    if (node.height <= kMaxTreeHeight) return Status::OK();
    return SyntaxError(node.offset, "expression has too many operators in a row, the limit is " +
                                        std::to_string(kMaxTreeHeight));
  }

  Result<SyntaxPointer> ParseBinary(int min_precedence) {
    CAPI_ASSIGN_OR_RETURN(SyntaxPointer left, ParseUnary());
    while (true) {
      const Token operator_token = token_;
      const int precedence = PrecedenceOf(operator_token);
      if (precedence < min_precedence) return left;
      CAPI_RETURN_NOT_OK(Advance());
      if (operator_token.Is("<") && token_.Is(">")) {
        return SyntaxError(operator_token.offset, "there is no operator <>; write !=");
      }
      CAPI_ASSIGN_OR_RETURN(SyntaxPointer right, ParseBinary(precedence + 1));
      SyntaxPointer node = NewNode(SyntaxKind::kBinary, left->begin, operator_token.offset,
                                   std::string(operator_token.text));
      AddChild(node.get(), std::move(left));
      AddChild(node.get(), std::move(right));
      CAPI_RETURN_NOT_OK(CheckHeight(*node));
      left = std::move(node);
    }
  }

  Result<SyntaxPointer> ParseUnary() {
    const Nesting nesting(&depth_);
    CAPI_RETURN_NOT_OK(CheckNesting());
    const Token first = token_;
    if (IsUnaryOperator(first)) {
      CAPI_RETURN_NOT_OK(Advance());
      CAPI_ASSIGN_OR_RETURN(SyntaxPointer operand, ParseUnary());
      if (first.Is("<-") && operand->kind == SyntaxKind::kType && operand->text == "chan") {
        operand->begin = operand->offset = first.offset;  // the type <-chan T
        return operand;
      }
      SyntaxPointer node =
          NewNode(SyntaxKind::kUnary, first.offset, first.offset, std::string(first.text));
      AddChild(node.get(), std::move(operand));
      return node;
    }
    if (first.Is("*")) {
      CAPI_RETURN_NOT_OK(Advance());
      CAPI_ASSIGN_OR_RETURN(SyntaxPointer operand, ParseUnary());
      SyntaxPointer node = NewNode(SyntaxKind::kDereference, first.offset, first.offset);
      AddChild(node.get(), std::move(operand));
      return node;
    }
    return ParsePrimary();
  }

  Result<SyntaxPointer> ParsePrimary() {
    CAPI_ASSIGN_OR_RETURN(SyntaxPointer node, ParseOperand());
    while (true) {
      CAPI_RETURN_NOT_OK(CheckHeight(*node));
      if (token_.Is(".")) {
        CAPI_ASSIGN_OR_RETURN(node, ParseAfterDot(std::move(node)));
      } else if (token_.Is("(")) {
        CAPI_ASSIGN_OR_RETURN(node, ParseCall(std::move(node)));
      } else if (token_.Is("[")) {
        CAPI_ASSIGN_OR_RETURN(node, ParseIndex(std::move(node)));
      } else if (token_.Is("{") && MayStartLiteral(*node)) {
        CAPI_ASSIGN_OR_RETURN(node, ParseCompositeLiteral(std::move(node)));
      } else {
        return node;
      }
    }
  }

  Result<SyntaxPointer> ParseOperand() {
    const Token first = token_;
    SyntaxKind kind = SyntaxKind::kIdentifier;
    std::string text(first.text);
    switch (first.kind) {
      case TokenKind::kIdentifier:
        break;
      case TokenKind::kInteger:
        kind = SyntaxKind::kInteger;
        break;
      case TokenKind::kFloat:
        kind = SyntaxKind::kFloat;
        break;
      case TokenKind::kImaginary:
        kind = SyntaxKind::kImaginary;
        break;
      case TokenKind::kRune:
        kind = SyntaxKind::kRune;
        break;
      case TokenKind::kString:
      case TokenKind::kRawString:
        kind = SyntaxKind::kString;
        text = StringValue(first);
        break;
      case TokenKind::kKeyword:
        if (first.text == "func") return ParseFunction();
        if (StartsType(first)) return ParseType();
        return SyntaxError(first.offset, "the Go keyword `" + text + "` cannot be used as a name");
      case TokenKind::kOperator:
        if (first.Is("(")) return ParseParenthesized();
        if (first.Is("[")) return ParseType();
        return Expected("a value");
      default:
        return Expected("a value");
    }
    CAPI_RETURN_NOT_OK(Advance());
    return NewNode(kind, first.offset, first.offset, std::move(text));
  }

  Result<SyntaxPointer> ParseParenthesized() {
    const int64_t begin = token_.offset;
    CAPI_RETURN_NOT_OK(Advance());
    CAPI_ASSIGN_OR_RETURN(SyntaxPointer inside, ParseBinary(kLowestPrecedence));
    CAPI_RETURN_NOT_OK(Expect(")", "an operator or )"));
    SyntaxPointer node = NewNode(SyntaxKind::kParenthesized, begin, begin);
    AddChild(node.get(), std::move(inside));
    return node;
  }

  Result<SyntaxPointer> ParseAfterDot(SyntaxPointer base) {
    CAPI_RETURN_NOT_OK(Advance());
    const int64_t begin = base->begin;
    const Token name = token_;
    if (name.kind == TokenKind::kIdentifier) {
      CAPI_RETURN_NOT_OK(Advance());
      SyntaxPointer node =
          NewNode(SyntaxKind::kSelector, begin, name.offset, std::string(name.text));
      AddChild(node.get(), std::move(base));
      return node;
    }
    if (name.Is("(")) {
      CAPI_RETURN_NOT_OK(Advance());
      if (token_.IsKeyword("type")) {
        CAPI_RETURN_NOT_OK(Advance());
      } else {
        CAPI_RETURN_NOT_OK(ParseType().status());
      }
      CAPI_RETURN_NOT_OK(Expect(")", ")"));
      SyntaxPointer node = NewNode(SyntaxKind::kTypeAssertion, begin, name.offset);
      AddChild(node.get(), std::move(base));
      return node;
    }
    if (name.kind == TokenKind::kKeyword) {
      return SyntaxError(name.offset, "a field named like a Go keyword cannot be referenced: `" +
                                          std::string(name.text) + "`");
    }
    return Expected("a name after the dot");
  }

  Result<SyntaxPointer> ParseCall(SyntaxPointer target) {
    CAPI_RETURN_NOT_OK(Advance());
    auto node = std::make_unique<Syntax>();
    node->kind = SyntaxKind::kCall;
    node->begin = target->begin;
    node->offset = target->begin;
    AddChild(node.get(), std::move(target));
    while (!token_.Is(")")) {
      CAPI_ASSIGN_OR_RETURN(SyntaxPointer argument, ParseBinary(kLowestPrecedence));
      AddChild(node.get(), std::move(argument));
      const bool last = token_.Is("...");
      if (last) CAPI_RETURN_NOT_OK(Advance());
      if (token_.Is(",")) {
        CAPI_RETURN_NOT_OK(Advance());
        if (!last) continue;
      }
      if (!token_.Is(")")) return Expected(last ? ")" : "an operator, a comma or )");
    }
    CAPI_RETURN_NOT_OK(Advance());
    node->end = previous_end_;
    return node;
  }

  Result<SyntaxPointer> ParseIndex(SyntaxPointer base) {
    const int64_t offset = token_.offset;
    CAPI_RETURN_NOT_OK(Advance());
    if (token_.Is("]")) return Expected("an index");
    std::vector<SyntaxPointer> parts;
    int num_colons = 0;
    bool has_comma = false;
    while (!token_.Is("]")) {
      if (token_.Is(":") && num_colons < 2 && !has_comma) {
        ++num_colons;
        CAPI_RETURN_NOT_OK(Advance());
      } else if (token_.Is(",") && num_colons == 0 && !parts.empty()) {
        has_comma = true;
        CAPI_RETURN_NOT_OK(Advance());
      } else {
        const size_t allowed = has_comma ? parts.size() + 1 : static_cast<size_t>(num_colons) + 1;
        if (parts.size() >= allowed) return Expected("]");
        CAPI_ASSIGN_OR_RETURN(SyntaxPointer part, ParseBinary(kLowestPrecedence));
        parts.push_back(std::move(part));
        if (!token_.Is("]") && !token_.Is(":") && !token_.Is(",")) return Expected("]");
      }
    }
    CAPI_RETURN_NOT_OK(Advance());
    SyntaxPointer node =
        NewNode(num_colons > 0 ? SyntaxKind::kSlice : SyntaxKind::kIndex, base->begin, offset);
    AddChild(node.get(), std::move(base));
    for (SyntaxPointer& part : parts) AddChild(node.get(), std::move(part));
    return node;
  }

  /// May `{` after this node start the body of a composite literal?
  static bool MayStartLiteral(const Syntax& node) {
    switch (node.kind) {
      case SyntaxKind::kIdentifier:
        return true;
      case SyntaxKind::kSelector:
      case SyntaxKind::kIndex:
        return node.children[0]->kind == SyntaxKind::kIdentifier;
      case SyntaxKind::kType:
        return node.text == "[" || node.text == "map" || node.text == "struct";
      default:
        return false;
    }
  }

  Result<SyntaxPointer> ParseCompositeLiteral(SyntaxPointer type) {
    const int64_t begin = type->begin;
    CAPI_RETURN_NOT_OK(ParseLiteralBody());
    SyntaxPointer node = NewNode(SyntaxKind::kCompositeLiteral, begin, begin);
    AddChild(node.get(), std::move(type));
    return node;
  }

  /// Checks `{ [key :] value, ... }`; the contents are not kept, no place allows them.
  Status ParseLiteralBody() {
    const Nesting nesting(&depth_);
    CAPI_RETURN_NOT_OK(CheckNesting());
    CAPI_RETURN_NOT_OK(Advance());
    while (!token_.Is("}")) {
      CAPI_RETURN_NOT_OK(ParseLiteralElement());
      if (token_.Is(":")) {
        CAPI_RETURN_NOT_OK(Advance());
        CAPI_RETURN_NOT_OK(ParseLiteralElement());
      }
      if (token_.Is(",")) {
        CAPI_RETURN_NOT_OK(Advance());
      } else if (!token_.Is("}")) {
        return Expected("a comma or }");
      }
    }
    return Advance();
  }

  Status ParseLiteralElement() {
    if (token_.Is("{")) return ParseLiteralBody();
    return ParseBinary(kLowestPrecedence).status();
  }

  Result<SyntaxPointer> ParseType() {
    const Nesting nesting(&depth_);
    CAPI_RETURN_NOT_OK(CheckNesting());
    const Token first = token_;
    if (!StartsType(first)) return Expected("a type");
    if (first.IsKeyword("func")) return ParseFunction();
    if (first.IsKeyword("chan")) return ParseChannelType(first.offset);
    CAPI_RETURN_NOT_OK(Advance());
    if (first.kind == TokenKind::kIdentifier) {
      if (token_.Is(".")) {
        CAPI_RETURN_NOT_OK(Advance());
        if (token_.kind != TokenKind::kIdentifier) return Expected("a name after the dot");
        CAPI_RETURN_NOT_OK(Advance());
      }
    } else if (first.Is("*")) {
      CAPI_RETURN_NOT_OK(ParseType().status());
    } else if (first.Is("<-")) {
      if (!token_.IsKeyword("chan")) return Expected("chan");
      return ParseChannelType(first.offset);
    } else if (first.Is("(")) {
      CAPI_RETURN_NOT_OK(ParseType().status());
      CAPI_RETURN_NOT_OK(Expect(")", ")"));
    } else if (first.Is("[")) {
      if (token_.Is("...")) {
        CAPI_RETURN_NOT_OK(Advance());
      } else if (!token_.Is("]")) {
        CAPI_RETURN_NOT_OK(ParseBinary(kLowestPrecedence).status());
      }
      CAPI_RETURN_NOT_OK(Expect("]", "]"));
      CAPI_RETURN_NOT_OK(ParseType().status());
    } else if (first.IsKeyword("map")) {
      CAPI_RETURN_NOT_OK(Expect("[", "["));
      CAPI_RETURN_NOT_OK(ParseType().status());
      CAPI_RETURN_NOT_OK(Expect("]", "]"));
      CAPI_RETURN_NOT_OK(ParseType().status());
    } else {  // struct, interface
      if (!token_.Is("{")) return Expected("{");
      CAPI_RETURN_NOT_OK(SkipBrackets());
    }
    return NewNode(SyntaxKind::kType, first.offset, first.offset, std::string(first.text));
  }

  /// At `chan`; `begin` is that of a `<-` before it.
  Result<SyntaxPointer> ParseChannelType(int64_t begin) {
    CAPI_RETURN_NOT_OK(Advance());
    if (token_.Is("<-")) CAPI_RETURN_NOT_OK(Advance());
    CAPI_RETURN_NOT_OK(ParseType().status());
    return NewNode(SyntaxKind::kType, begin, begin, "chan");
  }

  /// At `func`: a function literal, or a function type when no body follows. Bodies are only
  /// checked for matching brackets.
  Result<SyntaxPointer> ParseFunction() {
    const int64_t begin = token_.offset;
    CAPI_RETURN_NOT_OK(Advance());
    if (!token_.Is("(")) return Expected("(");
    CAPI_RETURN_NOT_OK(SkipBrackets());
    if (token_.Is("(")) {
      CAPI_RETURN_NOT_OK(SkipBrackets());
    } else if (StartsType(token_)) {
      CAPI_RETURN_NOT_OK(ParseType().status());
    }
    if (!token_.Is("{")) return NewNode(SyntaxKind::kType, begin, begin, "func");
    CAPI_RETURN_NOT_OK(SkipBrackets());
    return NewNode(SyntaxKind::kFunctionLiteral, begin, begin);
  }

  /// Skips from an opening bracket to beyond the one that closes it.
  Status SkipBrackets() {
    std::string open;
    do {
      if (token_.kind == TokenKind::kEnd) return Expected("a closing bracket");
      if (token_.Is("(")) open.push_back(')');
      if (token_.Is("[")) open.push_back(']');
      if (token_.Is("{")) open.push_back('}');
      if (token_.Is(")") || token_.Is("]") || token_.Is("}")) {
        if (token_.text[0] != open.back()) return Expected(std::string(1, open.back()));
        open.pop_back();
      }
      CAPI_RETURN_NOT_OK(Advance());
    } while (!open.empty());
    return Status::OK();
  }

  Lexer lexer_;
  Token token_;
  int64_t previous_end_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<std::unique_ptr<Syntax>> ParseExpression(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    ErrorInfo info;
    info.kind = ErrorKind::kUser;
    info.error_class = "empty_expression";
    info.expression_offset = 0;
    return MakeError(std::move(info), "expression is empty");
  }
  return Parser(text).Parse();
}

const Syntax& WithoutParentheses(const Syntax& syntax) {
  const Syntax* inside = &syntax;
  while (inside->kind == SyntaxKind::kParenthesized) inside = inside->children[0].get();
  return *inside;
}

}  // namespace capi::expr
