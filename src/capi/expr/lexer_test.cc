#include <string>
#include <vector>

#include "capi/expr/lexer_internal.h"
#include "gtest/gtest.h"

namespace capi::expr {
namespace {

/// Kinds and texts of all tokens, e.g. "i:a o:+ n:1"; an error as "error@offset".
std::string Lex(std::string_view text) {
  Lexer lexer(text);
  std::string out;
  while (true) {
    const Result<Token> token = lexer.Next();
    if (!out.empty()) out += ' ';
    if (!token.ok()) {
      return out + "error@" + std::to_string(InfoOf(token.status()).expression_offset);
    }
    switch (token->kind) {
      case TokenKind::kEnd:
        return out + "$";
      case TokenKind::kNewline:
        out += "nl";
        continue;
      case TokenKind::kIdentifier:
        out += "id:";
        break;
      case TokenKind::kKeyword:
        out += "kw:";
        break;
      case TokenKind::kInteger:
        out += "int:";
        break;
      case TokenKind::kFloat:
        out += "float:";
        break;
      case TokenKind::kImaginary:
        out += "imag:";
        break;
      case TokenKind::kRune:
        out += "rune:";
        break;
      case TokenKind::kString:
      case TokenKind::kRawString:
        out += "str:";
        break;
      case TokenKind::kOperator:
        out += "op:";
        break;
    }
    out += token->text;
  }
}

TEST(Lexer, Identifiers) {
  EXPECT_EQ(Lex("a _b1 Größe"), "id:a id:_b1 id:Größe $");
  EXPECT_EQ(Lex("日本"), "id:日本 $");
  EXPECT_EQ(Lex("a٣"), "id:a٣ $");  // an Arabic digit
  EXPECT_EQ(Lex("type types"), "kw:type id:types $");
  EXPECT_EQ(Lex("r.a"), "id:r op:. id:a $");
}

TEST(Lexer, IntegersAndFloats) {
  EXPECT_EQ(Lex("0 010 1_000 0x1F 0X_1f 0b11 0o17"),
            "int:0 int:010 int:1_000 int:0x1F int:0X_1f int:0b11 int:0o17 $");
  EXPECT_EQ(Lex("1.5 .5 5. 1e3 1E-3 1_0.5"),
            "float:1.5 float:.5 float:5. float:1e3 float:1E-3 "
            "float:1_0.5 $");
  EXPECT_EQ(Lex("0x1p-2 0x1.8P1 09.5 09e1"), "float:0x1p-2 float:0x1.8P1 float:09.5 float:09e1 $");
  EXPECT_EQ(Lex("5i 1.5i 08i"), "imag:5i imag:1.5i imag:08i $");
  EXPECT_EQ(Lex("0x1e3"), "int:0x1e3 $");
  EXPECT_EQ(Lex("1abc"), "int:1 id:abc $");
  EXPECT_EQ(Lex("1..2"), "float:1. float:.2 $");
}

TEST(Lexer, WrongNumbers) {
  EXPECT_EQ(Lex("09"), "error@1");
  EXPECT_EQ(Lex("0128"), "error@3");
  EXPECT_EQ(Lex("0_9"), "error@2");
  EXPECT_EQ(Lex("0b12"), "error@3");
  EXPECT_EQ(Lex("0o8"), "error@2");
  EXPECT_EQ(Lex("0x"), "error@0");
  EXPECT_EQ(Lex("0b"), "error@0");
  EXPECT_EQ(Lex("1e"), "error@0");
  EXPECT_EQ(Lex("1e+"), "error@0");
  EXPECT_EQ(Lex("1p3"), "error@0");
  EXPECT_EQ(Lex("0x1.5"), "error@0");
  EXPECT_EQ(Lex("0b1.1"), "error@0");
  EXPECT_EQ(Lex("0b1e1"), "error@0");
  EXPECT_EQ(Lex("1__0"), "error@0");
  EXPECT_EQ(Lex("1_"), "error@0");
  EXPECT_EQ(Lex("1_.5"), "error@0");
  EXPECT_EQ(Lex("1._5"), "error@0");
  EXPECT_EQ(Lex("1e_5"), "error@0");
}

TEST(Lexer, Strings) {
  EXPECT_EQ(Lex(R"("a\nb\"c\\")"), R"(str:"a\nb\"c\\" $)");
  EXPECT_EQ(Lex(R"("\x41\101\u00e9\U0001F600\a\b\f\r\t\v")"),
            R"(str:"\x41\101\u00e9\U0001F600\a\b\f\r\t\v" $)");
  EXPECT_EQ(Lex("`a\\q\n\"b\"`"), "str:`a\\q\n\"b\"` $");
  EXPECT_EQ(Lex(R"('a' '\n' '\'' 'é')"), R"(rune:'a' rune:'\n' rune:'\'' rune:'é' $)");
  EXPECT_EQ(Lex("\"\" ``"), "str:\"\" str:`` $");
}

TEST(Lexer, WrongStrings) {
  EXPECT_EQ(Lex(R"("bad \q")"), "error@5");
  EXPECT_EQ(Lex(R"("\'")"), "error@1");
  EXPECT_EQ(Lex(R"('\"')"), "error@1");
  EXPECT_EQ(Lex(R"("\x4")"), "error@1");
  EXPECT_EQ(Lex(R"("\08")"), "error@1");
  EXPECT_EQ(Lex(R"("\400")"), "error@1");
  EXPECT_EQ(Lex(R"("\ud800")"), "error@1");
  EXPECT_EQ(Lex(R"("\U00110000")"), "error@1");
  EXPECT_EQ(Lex(R"("\Uffffffff")"), "error@1");
  EXPECT_EQ(Lex(R"("\)"), "error@1");
  EXPECT_EQ(Lex(R"("open)"), "error@0");
  EXPECT_EQ(Lex("\"a\nb\""), "error@0");
  EXPECT_EQ(Lex("`open"), "error@0");
  EXPECT_EQ(Lex("'abc'"), "error@0");
  EXPECT_EQ(Lex("''"), "error@0");
  EXPECT_EQ(Lex("'a"), "error@0");
}

TEST(Lexer, NewlinesTerminateAfterOperands) {
  EXPECT_EQ(Lex("1\n+2"), "int:1 nl op:+ int:2 $");
  EXPECT_EQ(Lex("1 +\n2"), "int:1 op:+ int:2 $");
  EXPECT_EQ(Lex(")\n]\n}\na\n\"s\"\n"), "op:) nl op:] nl op:} nl id:a nl str:\"s\" nl $");
  EXPECT_EQ(Lex("1\n\n\n"), "int:1 nl $");
  EXPECT_EQ(Lex("(\n,\n"), "op:( op:, $");
  EXPECT_EQ(Lex("1 /* a\nb */ + 2"), "int:1 nl op:+ int:2 $");
  EXPECT_EQ(Lex("1 // tail\n"), "int:1 nl $");
  EXPECT_EQ(Lex("1 /* one line */ + 2 // tail"), "int:1 op:+ int:2 $");
}

TEST(Lexer, OperatorsAreLongestFirst) {
  EXPECT_EQ(Lex("a&^b&&c&d"), "id:a op:&^ id:b op:&& id:c op:& id:d $");
  EXPECT_EQ(Lex("<<= << <- <= <"), "op:<<= op:<< op:<- op:<= op:< $");
  EXPECT_EQ(Lex("--1"), "op:-- int:1 $");
  EXPECT_EQ(Lex("x..."), "id:x op:... $");
}

TEST(Lexer, WrongCharacters) {
  EXPECT_EQ(Lex("a ? b"), "id:a error@2");
  EXPECT_EQ(Lex("1 @"), "int:1 error@2");
  EXPECT_EQ(Lex("a\xff"), "error@1");
  EXPECT_EQ(Lex("\"\xc3\""), "error@1");
  EXPECT_EQ(Lex(std::string_view("a\0b", 3)), "error@1");
  EXPECT_EQ(Lex("/* open"), "error@0");
  EXPECT_EQ(Lex("½"), "error@0");
  EXPECT_EQ(Lex("\xEF\xBB\xBF"
                "1"),
            "int:1 $");
}

}  // namespace
}  // namespace capi::expr
