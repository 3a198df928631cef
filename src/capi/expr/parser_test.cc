#include <string>

#include "capi/expr/syntax.h"
#include "gtest/gtest.h"

namespace capi::expr {
namespace {

/// The tree as nested lists, e.g. "(+ 1 (call f r.a))".
std::string Show(const Syntax& syntax) {
  std::string list;
  switch (syntax.kind) {
    case SyntaxKind::kIdentifier:
    case SyntaxKind::kInteger:
    case SyntaxKind::kFloat:
    case SyntaxKind::kImaginary:
    case SyntaxKind::kRune:
      return syntax.text;
    case SyntaxKind::kString:
      return "<" + syntax.text + ">";
    case SyntaxKind::kSelector:
      return Show(*syntax.children[0]) + "." + syntax.text;
    case SyntaxKind::kCall:
      list = "call";
      break;
    case SyntaxKind::kParenthesized:
      list = "paren";
      break;
    case SyntaxKind::kUnary:
    case SyntaxKind::kBinary:
      list = syntax.text;
      break;
    case SyntaxKind::kDereference:
      list = "deref";
      break;
    case SyntaxKind::kIndex:
      list = "index";
      break;
    case SyntaxKind::kSlice:
      list = "slice";
      break;
    case SyntaxKind::kTypeAssertion:
      list = "assert";
      break;
    case SyntaxKind::kCompositeLiteral:
      list = "composite";
      break;
    case SyntaxKind::kFunctionLiteral:
      return "function";
    case SyntaxKind::kType:
      return "type:" + syntax.text;
  }
  for (const std::unique_ptr<Syntax>& child : syntax.children) list += " " + Show(*child);
  return "(" + list + ")";
}

std::string Parse(std::string_view text) {
  const Result<std::unique_ptr<Syntax>> syntax = ParseExpression(text);
  if (syntax.ok()) return Show(**syntax);
  const ErrorInfo info = InfoOf(syntax.status());
  EXPECT_EQ(info.kind, ErrorKind::kUser);
  return info.error_class + "@" + std::to_string(info.expression_offset);
}

std::string MessageOf(std::string_view text) { return ParseExpression(text).status().message(); }

TEST(Parser, PrecedenceAndAssociativity) {
  EXPECT_EQ(Parse("1+2*3-4/2%3"), "(- (+ 1 (* 2 3)) (% (/ 4 2) 3))");
  EXPECT_EQ(Parse("a-b-c"), "(- (- a b) c)");
  EXPECT_EQ(Parse("a||b&&c==d+e"), "(|| a (&& b (== c (+ d e))))");
  EXPECT_EQ(Parse("1<2==true"), "(== (< 1 2) true)");
  EXPECT_EQ(Parse("-a*b"), "(* (- a) b)");
  EXPECT_EQ(Parse("!a>b"), "(> (! a) b)");
  EXPECT_EQ(Parse("a|b&c^d<<e"), "(^ (| a (& b c)) (<< d e))");
  EXPECT_EQ(Parse("(1+2)*3"), "(* (paren (+ 1 2)) 3)");
  EXPECT_EQ(Parse("- -1"), "(- (- 1))");
  EXPECT_EQ(Parse("<-a + ~b"), "(+ (<- a) (~ b))");
}

TEST(Parser, CallsAndSelectors) {
  EXPECT_EQ(Parse("f()"), "(call f)");
  EXPECT_EQ(Parse("f(a, b,)"), "(call f a b)");
  EXPECT_EQ(Parse("f(a,\n b)"), "(call f a b)");
  EXPECT_EQ(Parse("f(a...)"), "(call f a)");
  EXPECT_EQ(Parse("f(a...,)"), "(call f a)");
  EXPECT_EQ(Parse("math.Sqrt(r . a)"), "(call math.Sqrt r.a)");
  EXPECT_EQ(Parse("f(1)(2).x"), "(call (call f 1) 2).x");
  EXPECT_EQ(Parse("(r).a"), "(paren r).a");
  EXPECT_EQ(Parse("\"s\".x"), "<s>.x");
}

TEST(Parser, OrderDefinitions) {
  EXPECT_EQ(Parse("unique(order_id(case_sensitive, 32), b(desc))"),
            "(call unique (call order_id case_sensitive 32) (call b desc))");
  EXPECT_EQ(Parse("non_unique()"), "(call non_unique)");
}

TEST(Parser, StringValues) {
  EXPECT_EQ(Parse(R"("a\nb")"), R"(<a\nb>)");
  EXPECT_EQ(Parse(R"("\"")"), R"(<\>)");
  EXPECT_EQ(Parse(R"("\"x\"")"), R"(<\"x\>)");
  EXPECT_EQ(Parse("`\"q\"`"), "<\"q\">");
  EXPECT_EQ(Parse("`a\r\nb`"), "<a\nb>");
  EXPECT_EQ(Parse("\"\""), "<>");
  EXPECT_EQ(Parse("``"), "<>");
}

TEST(Parser, SyntaxWithoutMeaningHere) {
  EXPECT_EQ(Parse("r[0]"), "(index r 0)");
  EXPECT_EQ(Parse("r[a, b]"), "(index r a b)");
  EXPECT_EQ(Parse("r[1:2]"), "(slice r 1 2)");
  EXPECT_EQ(Parse("r[:]"), "(slice r)");
  EXPECT_EQ(Parse("r[1:2:3]"), "(slice r 1 2 3)");
  EXPECT_EQ(Parse("r.a.(int)"), "(assert r.a)");
  EXPECT_EQ(Parse("*r.a"), "(deref r.a)");
  EXPECT_EQ(Parse("[]int{1, 2}"), "(composite type:[)");
  EXPECT_EQ(Parse("[...]int{1,}"), "(composite type:[)");
  EXPECT_EQ(Parse("map[string]int{\"a\": 1}"), "(composite type:map)");
  EXPECT_EQ(Parse("[]T{{1, 2}, {a: 3}}"), "(composite type:[)");
  EXPECT_EQ(Parse("struct{}{}"), "(composite type:struct)");
  EXPECT_EQ(Parse("r{1}"), "(composite r)");
  EXPECT_EQ(Parse("func() int { return 1 }"), "function");
  EXPECT_EQ(Parse("func(a int) (x int) { if a { } }(1)"), "(call function 1)");
  EXPECT_EQ(Parse("func(int) bool"), "type:func");
  EXPECT_EQ(Parse("<-chan int"), "type:chan");
  EXPECT_EQ(Parse("<-chan int(x)"), "(<- (call type:chan x))");
  EXPECT_EQ(Parse("chan<- int"), "type:chan");
  EXPECT_EQ(Parse("interface{}(x)"), "(call type:interface x)");
  EXPECT_EQ(Parse("[]int"), "type:[");
  EXPECT_EQ(Parse("(*a)(x)"), "(call (paren (deref a)) x)");
}

TEST(Parser, SyntaxErrors) {
  EXPECT_EQ(Parse("1 +"), "syntax_error@3");
  EXPECT_EQ(Parse("1\n+2"), "syntax_error@1");
  EXPECT_EQ(Parse("1\n"), "1");
  EXPECT_EQ(Parse("1;"), "syntax_error@1");
  EXPECT_EQ(Parse("1,2"), "syntax_error@1");
  EXPECT_EQ(Parse("1 2"), "syntax_error@2");
  EXPECT_EQ(Parse("(1"), "syntax_error@2");
  EXPECT_EQ(Parse("(1\n)"), "syntax_error@2");
  EXPECT_EQ(Parse("1)"), "syntax_error@1");
  EXPECT_EQ(Parse("()"), "syntax_error@1");
  EXPECT_EQ(Parse("f(1\n)"), "syntax_error@3");
  EXPECT_EQ(Parse("f(,)"), "syntax_error@2");
  EXPECT_EQ(Parse("f(a... b)"), "syntax_error@7");
  EXPECT_EQ(Parse("f(a..., b)"), "syntax_error@8");
  EXPECT_EQ(Parse("r.a..."), "syntax_error@3");
  EXPECT_EQ(Parse("r.type"), "syntax_error@2");
  EXPECT_EQ(Parse("r.1"), "syntax_error@1");
  EXPECT_EQ(Parse("r."), "syntax_error@2");
  EXPECT_EQ(Parse("type"), "syntax_error@0");
  EXPECT_EQ(Parse("--1"), "syntax_error@0");
  EXPECT_EQ(Parse("1++"), "syntax_error@1");
  EXPECT_EQ(Parse("1 = 1"), "syntax_error@2");
  EXPECT_EQ(Parse("1 === 1"), "syntax_error@4");
  EXPECT_EQ(Parse("1 <> 2"), "syntax_error@2");
  EXPECT_EQ(Parse("true and false"), "syntax_error@5");
  EXPECT_EQ(Parse("// only comment"), "syntax_error@15");
  EXPECT_EQ(Parse("r[]"), "syntax_error@2");
  EXPECT_EQ(Parse("r[1"), "syntax_error@3");
  EXPECT_EQ(Parse("r[1 2]"), "syntax_error@4");
  EXPECT_EQ(Parse("r[,]"), "syntax_error@2");
  EXPECT_EQ(Parse("r{1"), "syntax_error@3");
  EXPECT_EQ(Parse("f(1){}"), "syntax_error@4");
  EXPECT_EQ(Parse("map[string"), "syntax_error@10");
  EXPECT_EQ(Parse("func() { (] }"), "syntax_error@10");
  EXPECT_EQ(Parse("func() {"), "syntax_error@8");
  EXPECT_EQ(Parse("[]"), "syntax_error@2");
}

TEST(Parser, BlankIsEmpty) {
  EXPECT_EQ(Parse(""), "empty_expression@0");
  EXPECT_EQ(Parse(" \t\r\n"), "empty_expression@0");
}

TEST(Parser, MessagesSayWhatToDo) {
  EXPECT_NE(MessageOf("r.type == 1").find("Go keyword"), std::string::npos);
  EXPECT_NE(MessageOf("a = 1").find("write =="), std::string::npos);
  EXPECT_NE(MessageOf("a and b").find("write &&"), std::string::npos);
  EXPECT_NE(MessageOf("a <> b").find("write !="), std::string::npos);
  EXPECT_NE(MessageOf("a\n+ b").find("line"), std::string::npos);
  EXPECT_NE(MessageOf("'abc'").find("double quotes"), std::string::npos);
  EXPECT_NE(MessageOf("(1").find("found the end"), std::string::npos);
}

TEST(Parser, Offsets) {
  const std::unique_ptr<Syntax> syntax = *ParseExpression("1 + f(r.abc)");
  EXPECT_EQ(syntax->offset, 2);
  EXPECT_EQ(syntax->begin, 0);
  EXPECT_EQ(syntax->end, 12);
  const Syntax& call = *syntax->children[1];
  EXPECT_EQ(call.begin, 4);
  EXPECT_EQ(call.end, 12);
  const Syntax& selector = *call.children[1];
  EXPECT_EQ(selector.begin, 6);
  EXPECT_EQ(selector.offset, 8);
  EXPECT_EQ(selector.end, 11);
}

std::string Repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Parser, NestingHasALimit) {
  EXPECT_TRUE(ParseExpression(Repeat("(", 150) + "1" + Repeat(")", 150)).ok());
  for (const std::string_view opening : {"(", "- ", "!", "f(", "r[", "*", "[]", "x{", "x{{", "&",
                                         "map[", "func() ", "<-", "chan ", "1 + ("}) {
    const Status status = ParseExpression(Repeat(opening, 100000) + "1").status();
    EXPECT_EQ(InfoOf(status).error_class, "syntax_error") << opening;
    if (opening == "(") {
      EXPECT_NE(status.message().find("too deeply"), std::string::npos);
    }
  }
}

TEST(Parser, ChainsHaveALimit) {
  EXPECT_TRUE(ParseExpression("1" + Repeat(" + 1", 1900)).ok());
  EXPECT_FALSE(ParseExpression("1" + Repeat(" + 1", 100000)).ok());
  EXPECT_FALSE(ParseExpression("r" + Repeat(".a", 100000)).ok());
  EXPECT_FALSE(ParseExpression("f" + Repeat("()", 100000)).ok());
}

}  // namespace
}  // namespace capi::expr
