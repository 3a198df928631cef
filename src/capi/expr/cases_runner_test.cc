#include "capi/expr/cases_runner.h"

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace capi::expr {
namespace {

std::string ReadCases(const std::string& name) {
  std::ifstream file(std::string(CAPI_SOURCE_DIR) + "/tests/cases/" + name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(ExpressionCases, ReferenceCases) {
  const Result<CaseReport> report =
      RunExpressionCases(ReadCases("expr_cases.jsonl"), ReadCases("deviations.jsonl"));
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_TRUE(report->ok()) << report->ToText();
  std::cout << "expression cases: " << report->ToText();
  EXPECT_EQ(report->passed + report->deviations, 1035);
}

TEST(ExpressionCases, OwnCases) {
  const Result<CaseReport> report = RunExpressionCases(ReadCases("expr_cases_ours.jsonl"), "");
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  EXPECT_TRUE(report->ok()) << report->ToText();
  EXPECT_GT(report->passed, 50);
}

TEST(ExpressionCases, LargestTreesEvaluate) {
  constexpr int kTerms = 1900;
  std::string chain = "r.a";
  for (int i = 0; i < kTerms; ++i) chain += "+1";
  constexpr int kDepth = 190;
  const std::string nest = std::string(kDepth, '(') + "-r.a" + std::string(kDepth, ')');
  const auto one_case = [](const std::string& expression, const std::string& value) {
    return R"({"id": "x", "ctx": "field", "expr": ")" + expression +
           R"(", "vars": {"r.a": {"type": "int", "value": "5"}}, "result": {"type": "int", "value": ")" +
           value + "\"}}";
  };
  EXPECT_TRUE(RunExpressionCases(one_case(chain, "1905"), "")->ok());
  EXPECT_TRUE(RunExpressionCases(one_case(nest, "-5"), "")->ok());
}

TEST(CasesRunner, CountsAndFails) {
  const std::string cases =
      R"({"id": "a", "ctx": "field", "expr": "1+1", "result": {"type": "int", "value": "2"}})"
      "\n\n"
      R"({"id": "b", "ctx": "field", "expr": "1+1", "result": {"type": "int", "value": "3"}})"
      "\n"
      R"({"id": "c", "ctx": "field", "expr": "1+", "error": "type_mismatch"})";
  const CaseReport report = *RunExpressionCases(cases, "");
  EXPECT_EQ(report.passed, 1);
  ASSERT_EQ(report.failures.size(), 2u);
  EXPECT_EQ(report.ToText(),
            "FAILED b: `1+1`: expected int 3, found int 2\n"
            "FAILED c: `1+`: expected error type_mismatch, found error syntax_error\n"
            "1 passed, 2 failed, 0 deviations\n");
}

TEST(CasesRunner, DeviationsAreAsserted) {
  const std::string cases =
      R"({"id": "a", "ctx": "field", "expr": "1+1", "result": {"type": "int", "value": "3"}})";
  const auto run = [&cases](const std::string& deviation) {
    return *RunExpressionCases(cases, deviation);
  };
  const CaseReport right =
      run(R"({"id": "a", "reason": "x", "ours": {"result": {"type": "int", "value": "2"}}})");
  EXPECT_TRUE(right.ok());
  EXPECT_EQ(right.deviations, 1);
  EXPECT_EQ(right.passed, 0);
  EXPECT_FALSE(run(R"({"id": "a", "reason": "x", "ours": {"error": "type_mismatch"}})").ok());
  EXPECT_FALSE(
      run(R"({"id": "a", "reason": "x", "ours": {"result": {"type": "int", "value": "3"}}})").ok());
  EXPECT_FALSE(run(R"({"id": "b", "reason": "x", "ours": {"error": "type_mismatch"}})").ok());
}

TEST(CasesRunner, DeviationsOfOtherSuitesAreSkipped) {
  const std::string cases =
      R"({"id": "a", "ctx": "field", "expr": "1+1", "result": {"type": "int", "value": "2"}})";
  const std::string others =
      R"({"id": "a", "suite": "script", "reason": "x", "ours": {"valid": true}})"
      "\n"
      R"({"id": "b", "suite": "run", "reason": "x", "ours": {}})";
  EXPECT_EQ(RunExpressionCases(cases, others)->passed, 1);
  const std::string own =
      R"({"id": "b", "suite": "expr", "reason": "x", "ours": {"error": "type_mismatch"}})";
  EXPECT_FALSE(RunExpressionCases(cases, own)->ok());
  EXPECT_EQ(InfoOf(RunExpressionCases(cases, R"({"id": "a", "suite": 1})").status()).error_class,
            "bad_json");
}

TEST(CasesRunner, OffsetsAreAsserted) {
  const auto run = [](const std::string& offset) {
    return RunExpressionCases(
               R"({"id": "a", "ctx": "field", "expr": "1+r.x", "error": "unknown_variable", "offset": )" +
                   offset + "}",
               "")
        ->ok();
  };
  EXPECT_TRUE(run("2"));
  EXPECT_FALSE(run("0"));
}

TEST(CasesRunner, UnreadableLines) {
  for (const char* cases :
       {"{", "{}", R"({"id": "a", "ctx": "field", "expr": 5, "error": "x"})",
        R"({"id": "a", "ctx": "field", "expr": "1"})",
        R"({"id": "a", "ctx": "field", "expr": "1", "error": "x", "vars": {"x": {}}})",
        R"({"id": "a", "ctx": "field", "expr": "1", "type": "x", "error": "x"})",
        R"({"id":"a","ctx":"field","expr":"1","result":{"type":"x","value":"1"}})"}) {
    EXPECT_EQ(InfoOf(RunExpressionCases(cases, "").status()).error_class, "bad_json") << cases;
  }
}

}  // namespace
}  // namespace capi::expr
