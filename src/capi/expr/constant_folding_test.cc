#include <string>

#include "capi/expr/expression.h"
#include "capi/expr/tree.h"
#include "gtest/gtest.h"

namespace capi::expr {
namespace {

using data::FieldType;

Result<std::shared_ptr<const Expression>> CompileText(std::string_view text) {
  Scope scope;
  scope.lookup = [](const Variable& variable) -> std::optional<FieldType> {
    if (variable.name == "i") return FieldType::kInt;
    if (variable.name == "d") return FieldType::kDecimal2;
    if (variable.name == "f") return FieldType::kFloat;
    if (variable.name == "s") return FieldType::kString;
    if (variable.name == "b") return FieldType::kBool;
    return std::nullopt;
  };
  return Compile(text, ContextKind::kField, scope, std::nullopt);
}

/// The value of an expression that folds to one; "varies" when it does not; else "class@offset".
std::string Fold(std::string_view text) {
  const auto expression = CompileText(text);
  if (!expression.ok()) {
    const ErrorInfo info = InfoOf(expression.status());
    return info.error_class + "@" + std::to_string(info.expression_offset);
  }
  const Node& root = (*expression)->root();
  return IsConstant(root) ? data::ValueToText(root.value) : "varies";
}

TEST(ConstantFolding, FoldsWholeExpressions) {
  EXPECT_EQ(Fold("1+2*3-4/2%3"), "5");
  EXPECT_EQ(Fold("9223372036854775807 + 1"), "-9223372036854775808");
  EXPECT_EQ(Fold("decimal2(1) / 3 * 3"), "0.99");
  EXPECT_EQ(Fold("1.0 / 0"), "+Inf");
  EXPECT_EQ(Fold("strings.ReplaceAll(\"abc\", \"\", \"-\")"), "-a-b-c-");
  EXPECT_EQ(Fold("string(time.March) + string(time.UTC)"), "MarchUTC");
  EXPECT_EQ(Fold("re.MatchString(`^a+$`, \"aaa\")"), "true");
  EXPECT_EQ(Fold("time.Now() == time.Now()"), "varies");
  EXPECT_EQ(Fold("r.i + 0"), "varies");
}

TEST(ConstantFolding, ReportsErrorsOfConstants) {
  EXPECT_EQ(Fold("10 / (1 - 1)"), "division_by_zero@3");
  EXPECT_EQ(Fold("r.i / 0"), "division_by_zero@4");
  EXPECT_EQ(Fold("r.i % 0"), "division_by_zero@4");
  EXPECT_EQ(Fold("r.d / 0"), "division_by_zero@4");
  EXPECT_EQ(Fold("r.f / 0"), "varies");
  EXPECT_EQ(Fold("r.i + 1/0"), "division_by_zero@7");
  EXPECT_EQ(Fold("int(\"x\")"), "bad_number_text@0");
  EXPECT_EQ(Fold("int(\"9223372036854775808\")"), "number_out_of_range@0");
  EXPECT_EQ(Fold("int(1e30)"), "number_out_of_range@0");
  EXPECT_EQ(Fold("decimal2(1e400)"), "not_finite@0");
  EXPECT_EQ(Fold("re.MatchString(\"[\", r.s)"), "bad_regexp@0");
  EXPECT_EQ(Fold("re.MatchString(r.s, \"[\")"), "varies");
  EXPECT_EQ(Fold("time.Unix(time.Parse(\"2006-01-02\", \"2023-02-29\"))"), "bad_time_text@10");
  EXPECT_EQ(Fold("string(time.FixedZone(\"x\", 86400))"), "number_out_of_range@7");
}

TEST(ConstantFolding, DropsWhatIsNeverEvaluated) {
  EXPECT_EQ(Fold("false && 1/0 > 1"), "false");
  EXPECT_EQ(Fold("true || 1/0 > 1"), "true");
  EXPECT_EQ(Fold("true && 1/0 > 1"), "division_by_zero@9");
  EXPECT_EQ(Fold("r.b && 1/0 > 1"), "division_by_zero@8");
  EXPECT_EQ(Fold("int.iif(1 > 0, 5, 1/0)"), "5");
  EXPECT_EQ(Fold("int.iif(1 < 0, 1/0, r.i)"), "varies");
  EXPECT_EQ(Fold("int.iif(r.b, 1/0, r.i)"), "division_by_zero@14");
  EXPECT_EQ(Fold("false && re.MatchString(\"[\", r.s)"), "false");
  const auto expression = *CompileText("true && r.b || r.i / r.i > 1");
  EXPECT_EQ(expression->variables(), (std::vector<Variable>{{"r", "b"}, {"r", "i"}}));
  EXPECT_TRUE((*CompileText("false && r.b"))->variables().empty());
}

}  // namespace
}  // namespace capi::expr
