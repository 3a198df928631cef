#include <map>
#include <string>
#include <vector>

#include "capi/expr/expression.h"
#include "capi/expr/tree.h"
#include "gtest/gtest.h"

namespace capi::expr {
namespace {

using data::FieldType;

const std::map<std::string, FieldType> kFields = {
    {"r.i", FieldType::kInt},        {"r.f", FieldType::kFloat},    {"r.s", FieldType::kString},
    {"r.b", FieldType::kBool},       {"r.d", FieldType::kDecimal2}, {"r.t", FieldType::kDatetime},
    {"r.order_id", FieldType::kInt}, {"l.i", FieldType::kInt},      {"l.s", FieldType::kString},
    {"l.d", FieldType::kDecimal2},   {"l.b", FieldType::kBool},     {"l.t", FieldType::kDatetime}};

Scope TestScope() {
  Scope scope;
  scope.lookup = [](const Variable& variable) -> std::optional<FieldType> {
    const auto found = kFields.find(variable.alias + "." + variable.name);
    if (found == kFields.end()) return std::nullopt;
    return found->second;
  };
  scope.prohibited_aliases = {"w"};
  for (const auto& [name, type] : kFields) scope.candidates.push_back(name);
  scope.constants = [](const Variable& variable) -> std::optional<data::Value> {
    if (variable == Variable{"wfmodel", "RunStart"}) return int64_t{1};
    return std::nullopt;
  };
  return scope;
}

Result<std::shared_ptr<const Expression>> CompileIn(ContextKind context, std::string_view text) {
  return Compile(text, context, TestScope(), std::nullopt);
}

/// The result type, or "class@offset" of the error.
std::string Check(std::string_view text, ContextKind context = ContextKind::kField) {
  const auto expression = CompileIn(context, text);
  if (expression.ok()) return std::string(data::FieldTypeName((*expression)->type()));
  const ErrorInfo info = InfoOf(expression.status());
  EXPECT_EQ(info.kind, ErrorKind::kUser) << text << ": " << expression.status().ToString();
  return info.error_class + "@" + std::to_string(info.expression_offset);
}

std::string CheckGroup(std::string_view text) { return Check(text, ContextKind::kGroup); }

std::string MessageOf(std::string_view text, ContextKind context = ContextKind::kField) {
  return CompileIn(context, text).status().message();
}

/// The typed tree as nested lists.
std::string Show(const Node& node) {
  static const std::map<Op, std::string> kNames = {
      {Op::kNegate, "neg"}, {Op::kNot, "not"},   {Op::kAdd, "+"},         {Op::kSubtract, "-"},
      {Op::kMultiply, "*"}, {Op::kDivide, "/"},  {Op::kModulo, "%"},      {Op::kEqual, "=="},
      {Op::kLess, "<"},     {Op::kGreater, ">"}, {Op::kAnd, "&&"},        {Op::kOr, "||"},
      {Op::kIif, "iif"},    {Op::kCall, "call"}, {Op::kAggregate, "agg"}, {Op::kNotEqual, "!="}};
  if (node.op == Op::kConstant) return data::ValueToText(node.value);
  if (node.op == Op::kVariable) return node.variable.alias + "." + node.variable.name;
  std::string out =
      node.op == Op::kConvert ? "to_" + std::string(ValueTypeName(node.type)) : kNames.at(node.op);
  if (node.round_to_two) out += "~";
  for (const std::unique_ptr<Node>& child : node.children) out += " " + Show(*child);
  return "(" + out + ")";
}

std::string Tree(std::string_view text, ContextKind context = ContextKind::kField) {
  const auto expression = CompileIn(context, text);
  return expression.ok() ? Show((*expression)->root()) : expression.status().ToString();
}

TEST(Checker, ImplicitConversions) {
  EXPECT_EQ(Tree("r.i + r.f"), "(+ (to_float r.i) r.f)");
  EXPECT_EQ(Tree("r.d * r.f"), "(* (to_float r.d) r.f)");
  EXPECT_EQ(Tree("r.i == r.d"), "(== (to_decimal2 r.i) r.d)");
  EXPECT_EQ(Tree("math.Sqrt(r.d)"), "(call (to_float r.d))");
  EXPECT_EQ(Tree("float(r.i)"), "(to_float r.i)");
  EXPECT_EQ(Tree("decimal2(r.i)"), "(to_decimal2 r.i)");
  EXPECT_EQ(Tree("int(r.i) + len(r.s)"), "(+ r.i (call r.s))");
  EXPECT_EQ(Tree("string(r.s)"), "r.s");
}

TEST(Checker, DecimalRoundingFollowsTheContext) {
  EXPECT_EQ(Tree("r.d + 1"), "(+~ r.d 1)");
  EXPECT_EQ(Tree("-r.d"), "(neg r.d)");
  EXPECT_EQ(Tree("r.d / 3 > 1", ContextKind::kCond), "(> (/ r.d 3) 1)");
  EXPECT_EQ(Tree("l.d / 3", ContextKind::kGroup), "(/ l.d 3)");
  EXPECT_EQ(Tree("sum(l.d / 3)", ContextKind::kGroup), "(agg (/~ l.d 3))");
  EXPECT_EQ(Tree("r.i + 1"), "(+ r.i 1)");
}

TEST(Checker, Names) {
  EXPECT_EQ(Check("r.i"), "int");
  EXPECT_EQ(Check("wfmodel.RunStart"), "int");
  EXPECT_EQ(Check("time.UTC"), "wrong_result_type@0");
  EXPECT_EQ(Check("1 + r.missing"), "unknown_variable@4");
  EXPECT_EQ(Check("x.i"), "unknown_variable@0");
  EXPECT_EQ(Check("w.i"), "prohibited_variable@0");
  EXPECT_EQ(Check("time.Local"), "unknown_variable@0");
  EXPECT_EQ(Check("math.Pi"), "unknown_variable@0");
  EXPECT_EQ(Check("r.i.x"), "bad_selector@4");
  EXPECT_EQ(Check("(r).i"), "bad_selector@4");
  EXPECT_EQ(Check("order_id"), "bare_identifier@0");
  EXPECT_EQ(Check("nil"), "bare_identifier@0");
  EXPECT_EQ(Check("True"), "bare_identifier@0");
  EXPECT_EQ(Check("false && r.missing"), "unknown_variable@9");
}

TEST(Checker, SuggestsNearNames) {
  EXPECT_NE(MessageOf("r.order_di").find("did you mean r.order_id?"), std::string::npos);
  EXPECT_NE(MessageOf("order_id").find("did you mean r.order_id?"), std::string::npos);
  EXPECT_NE(MessageOf("True").find("did you mean true?"), std::string::npos);
  EXPECT_NE(MessageOf("null").find("no null values"), std::string::npos);
  EXPECT_NE(MessageOf("strings.Replaceall(r.s, r.s, r.s)").find("mean strings.ReplaceAll?"),
            std::string::npos);
  EXPECT_EQ(MessageOf("r.zzzzzz").find("did you mean"), std::string::npos);
}

TEST(Checker, UnsupportedSyntax) {
  for (const char* text : {"r[0]", "r.s[0:1]", "[]int{1}", "struct{}{}", "func() int { return 1 }",
                           "r.i.(int)", "*r.i", "'a'", "5i", "[]int"}) {
    EXPECT_EQ(Check(text), "unsupported_syntax@0") << text;
  }
  for (const char* text : {"+1", "^1", "&r.i", "<-1", "~1"}) {
    EXPECT_EQ(Check(text), "unsupported_operator@0") << text;
  }
  for (const char* text : {"1 | 2", "1 & 2", "1 ^ 2", "1 << 2", "1 >> 2", "6 &^ 2"}) {
    EXPECT_EQ(Check(text), "unsupported_operator@2") << text;
  }
  EXPECT_EQ(Check("f(1)(2)"), "bad_call_target@0");
  EXPECT_EQ(Check("(int)(r.i)"), "bad_call_target@0");
  EXPECT_EQ(Check("func() int { return 1 }()"), "bad_call_target@0");
  EXPECT_EQ(Check("a.b.c(1)"), "bad_call_target@0");
}

TEST(Checker, OperatorTypes) {
  EXPECT_EQ(Check("r.i / r.i"), "int");
  EXPECT_EQ(Check("r.i / r.d"), "decimal2");
  EXPECT_EQ(Check("r.d / r.f"), "float");
  EXPECT_EQ(Check("r.s + r.s"), "string");
  EXPECT_EQ(Check("r.t == r.t"), "bool");
  EXPECT_EQ(Check("r.b == r.b"), "bool");
  EXPECT_EQ(Check("r.s + 1"), "type_mismatch@4");
  EXPECT_EQ(Check("r.s - r.s"), "unsupported_operator@4");
  EXPECT_EQ(Check("r.s % r.s"), "unsupported_operator@4");
  EXPECT_EQ(Check("r.f % r.i"), "unsupported_operator@4");
  EXPECT_EQ(Check("r.d % r.d"), "unsupported_operator@4");
  EXPECT_EQ(Check("r.b + r.b"), "type_mismatch@4");
  EXPECT_EQ(Check("r.t - r.t"), "type_mismatch@4");
  EXPECT_EQ(Check("r.b > r.b"), "unsupported_operator@4");
  EXPECT_EQ(Check("r.b == r.i"), "type_mismatch@4");
  EXPECT_EQ(Check("r.t == r.s"), "type_mismatch@4");
  EXPECT_EQ(Check("1 < 2 < 3"), "type_mismatch@6");
  EXPECT_EQ(Check("r.b && r.i"), "type_mismatch@4");
  EXPECT_EQ(Check("!r.i"), "type_mismatch@0");
  EXPECT_EQ(Check("-r.s"), "type_mismatch@0");
  EXPECT_EQ(Check("-r.t"), "type_mismatch@0");
  EXPECT_EQ(Check("time.June + 1 == 2"), "type_mismatch@10");
  EXPECT_EQ(Check("time.June == time.June"), "type_mismatch@10");
  EXPECT_EQ(Check("time.UTC == time.UTC"), "type_mismatch@9");
}

TEST(Checker, FunctionArguments) {
  EXPECT_EQ(Check("len(r.s)"), "int");
  EXPECT_EQ(Check("int.iif(r.b, len(r.s), r.i)"), "int");
  EXPECT_EQ(Check("string(time.January)"), "string");
  EXPECT_EQ(Check("time.Date(r.i, time.May, 1, 0, 0, 0, len(r.s), time.FixedZone(r.s, r.i))"),
            "datetime");
  EXPECT_EQ(Check("fmt.Sprintf(r.s, r.i, r.t, r.b, r.d)"), "string");
  EXPECT_EQ(Check("len(1)"), "type_mismatch@4");
  EXPECT_EQ(Check("len()"), "wrong_argument_count@0");
  EXPECT_EQ(Check("len(r.s, r.s)"), "wrong_argument_count@0");
  EXPECT_EQ(Check("time.Now(1)"), "wrong_argument_count@0");
  EXPECT_EQ(Check("fmt.Sprintf(r.s)"), "wrong_argument_count@0");
  EXPECT_EQ(Check("fmt.Sprintf(1, 2)"), "type_mismatch@12");
  EXPECT_EQ(Check("fmt.Sprintf(\"%v\", time.May)"), "type_mismatch@18");
  EXPECT_EQ(Check("int(r.t)"), "type_mismatch@4");
  EXPECT_EQ(Check("int(time.May)"), "type_mismatch@4");
  EXPECT_EQ(Check("time.Date(1, 5, 1, 0, 0, 0, 0, time.UTC)"), "type_mismatch@13");
  EXPECT_EQ(Check("int.iif(r.b, 1, 2.0)"), "type_mismatch@16");
  EXPECT_EQ(Check("int.iif(r.b, 1)"), "wrong_argument_count@0");
  EXPECT_EQ(Check("decimal2.iif(r.b, 1, 2)"), "type_mismatch@18");
  EXPECT_EQ(Check("bool.iif(r.b, true, false)"), "unknown_function@0");
  EXPECT_EQ(Check("r.i(1)"), "unknown_function@0");
  EXPECT_EQ(Check("string(r.s.x)"), "bad_selector@11");
}

TEST(Checker, MessagesNameExpectedAndFound) {
  EXPECT_EQ(MessageOf("len(r.i)"),
            "wrong argument type: argument 1 of len must be string, found int");
  EXPECT_EQ(MessageOf("len()"), "wrong number of arguments: len takes 1 argument, found 0");
  EXPECT_EQ(MessageOf("fmt.Sprintf(r.s)"),
            "wrong number of arguments: fmt.Sprintf takes at least 2 arguments, found 1");
  EXPECT_EQ(
      MessageOf("math.Sqrt(r.b)"),
      "wrong argument type: argument 1 of math.Sqrt must be int, float or decimal2, found bool");
  EXPECT_EQ(MessageOf("r.s + 1"), "operator cannot combine these types: string + int");
  EXPECT_EQ(MessageOf("!r.i"), "wrong operand type: unary ! needs bool, found int");
}

TEST(Checker, Aggregates) {
  EXPECT_EQ(CheckGroup("count()"), "int");
  EXPECT_EQ(CheckGroup("sum(l.d)"), "decimal2");
  EXPECT_EQ(CheckGroup("min(l.s)"), "string");
  EXPECT_EQ(CheckGroup("string_agg_if(l.s, \",\", l.b)"), "string");
  EXPECT_EQ(CheckGroup("count_if(l.i > 1)"), "int");
  EXPECT_EQ(CheckGroup("sum(len(l.s))"), "int");
  EXPECT_EQ(Check("sum(l.i)"), "aggregate_not_allowed_here@0");
  EXPECT_EQ(Check("count()", ContextKind::kCond), "aggregate_not_allowed_here@0");
  EXPECT_EQ(CheckGroup("sum(l.i) + 1"), "aggregate_not_allowed_here@0");
  EXPECT_EQ(CheckGroup("(sum(l.i))"), "aggregate_not_allowed_here@1");
  EXPECT_EQ(CheckGroup("float(sum(l.i))"), "aggregate_not_allowed_here@6");
  EXPECT_EQ(CheckGroup("sum(count())"), "multiple_aggregates@4");
  EXPECT_EQ(CheckGroup("count(l.i)"), "wrong_argument_count@0");
  EXPECT_EQ(CheckGroup("sum()"), "wrong_argument_count@0");
  EXPECT_EQ(CheckGroup("sum(l.s)"), "type_mismatch@4");
  EXPECT_EQ(CheckGroup("min(l.b)"), "type_mismatch@4");
  EXPECT_EQ(CheckGroup("max(l.t)"), "type_mismatch@4");
  EXPECT_EQ(CheckGroup("sum_if(l.i, 1)"), "type_mismatch@12");
  EXPECT_EQ(CheckGroup("count_if(1)"), "type_mismatch@9");
  EXPECT_EQ(CheckGroup("string_agg(l.s, r.s)"), "aggregate_bad_separator@16");
  EXPECT_EQ(CheckGroup("string_agg(l.s, \"a\" + \"b\")"), "aggregate_bad_separator@16");
  EXPECT_EQ(CheckGroup("string_agg(l.s, (\",\"))"), "aggregate_bad_separator@16");
  EXPECT_EQ(CheckGroup("string_agg(l.s)"), "wrong_argument_count@0");
  EXPECT_EQ(CheckGroup("string_agg(l.i, \",\")"), "type_mismatch@11");
  EXPECT_EQ(CheckGroup("median(l.i)"), "unknown_function@0");
}

TEST(Checker, SeparatorIsTheText) {
  const auto expression = *CompileIn(ContextKind::kGroup, "string_agg(l.s, `; `)");
  EXPECT_EQ(expression->root().separator, "; ");
  EXPECT_EQ(expression->aggregate(), AggregateKind::kStringAgg);
}

TEST(Checker, DeclaredType) {
  const auto check = [](std::string_view text, FieldType declared) {
    return Compile(text, ContextKind::kField, TestScope(), declared).status();
  };
  EXPECT_TRUE(check("r.i", FieldType::kInt).ok());
  const Status status = check("r.i", FieldType::kFloat);
  EXPECT_EQ(InfoOf(status).error_class, "wrong_result_type");
  EXPECT_NE(status.message().find("convert with float(...)"), std::string::npos);
  EXPECT_EQ(check("r.t", FieldType::kInt).message().find("convert"), std::string::npos);
  EXPECT_EQ(InfoOf(check("time.January", FieldType::kInt)).error_class, "wrong_result_type");
  EXPECT_EQ(InfoOf(check("-9223372036854775808", FieldType::kInt)).error_class,
            "wrong_result_type");
}

TEST(Checker, Literals) {
  EXPECT_EQ(Tree("010"), "10");
  EXPECT_EQ(Check("9223372036854775807"), "int");
  EXPECT_EQ(Check("9223372036854775808"), "decimal2");
  EXPECT_EQ(Tree("1e400"), "+Inf");
  EXPECT_EQ(Tree("1_0.5"), "10.5");
  EXPECT_EQ(Check("0x10"), "bad_number_text@0");
  EXPECT_EQ(Check("1 + 1_000"), "bad_number_text@4");
  EXPECT_EQ(Check(std::string(20000, '9')), "number_out_of_range@0");
}

TEST(Checker, CheckAllReportsEverythingInOrder) {
  const std::vector<Status> errors = CheckAll("nosuch(1) + r.missing * len(5) + w.x",
                                              ContextKind::kField, TestScope(), FieldType::kInt);
  std::vector<std::string> classes;
  for (const Status& error : errors) classes.push_back(InfoOf(error).error_class);
  EXPECT_EQ(classes, (std::vector<std::string>{"unknown_function", "unknown_variable",
                                               "type_mismatch", "prohibited_variable"}));
  EXPECT_TRUE(CheckAll("r.i", ContextKind::kField, TestScope(), FieldType::kInt).empty());
  std::string many = "r.x";
  for (int i = 0; i < 100; ++i) many += " + r.x";
  EXPECT_EQ(CheckAll(many, ContextKind::kField, TestScope(), std::nullopt).size(), 20u);
  EXPECT_EQ(CheckAll("1 +", ContextKind::kField, TestScope(), std::nullopt).size(), 1u);
}

TEST(Expression, VariablesAndBareVariable) {
  const auto sum = *CompileIn(ContextKind::kField, "r.i + l.i + r.i");
  EXPECT_EQ(sum->variables(), (std::vector<Variable>{{"l", "i"}, {"r", "i"}}));
  EXPECT_TRUE(sum->uses_alias("l"));
  EXPECT_FALSE(sum->uses_alias("w"));
  EXPECT_FALSE(sum->bare_variable().has_value());
  const auto bare = *CompileIn(ContextKind::kField, " ((r.i)) ");
  EXPECT_EQ(bare->bare_variable(), (Variable{"r", "i"}));
  const auto constant = *CompileIn(ContextKind::kField, "wfmodel.RunStart");
  EXPECT_FALSE(constant->bare_variable().has_value());
  EXPECT_EQ(constant->text(), "wfmodel.RunStart");
}

TEST(Expression, WithCaret) {
  EXPECT_EQ(WithCaret("1 + r.x", 4), "1 + r.x\n    ^");
  EXPECT_EQ(WithCaret("é + r.x", 5), "é + r.x\n    ^");
  EXPECT_EQ(WithCaret("a +\n\tb + c", 9), "\tb + c\n\t    ^");
  EXPECT_EQ(WithCaret("a", 100), "a\n ^");
  EXPECT_EQ(WithCaret("a\nb", 1), "a\n ^");
  EXPECT_EQ(WithCaret("", -1), "\n^");
}

}  // namespace
}  // namespace capi::expr
