#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/data/types.h"
#include "capi/expr/cases_runner.h"
#include "capi/expr/evaluator.h"

namespace capi::cli {

namespace {

struct EvalArguments {
  std::string expression;
  std::vector<std::string> variables;
  std::string context = "field";
  std::string cases;
  std::string deviations;
};

Result<data::Value> ParseValue(data::FieldType type, const std::string& text) {
  switch (type) {
    case data::FieldType::kInt: {
      CAPI_ASSIGN_OR_RETURN(const int64_t value, data::ParseGoInt(text));
      return data::Value(value);
    }
    case data::FieldType::kFloat: {
      CAPI_ASSIGN_OR_RETURN(const double value, data::ParseGoFloat(text));
      return data::Value(value);
    }
    case data::FieldType::kBool: {
      CAPI_ASSIGN_OR_RETURN(const bool value, data::ParseGoBool(text));
      return data::Value(value);
    }
    case data::FieldType::kDecimal2: {
      CAPI_ASSIGN_OR_RETURN(data::BigDecimal value, data::BigDecimal::Parse(text));
      return data::Value(std::move(value));
    }
    case data::FieldType::kDatetime: {
      CAPI_ASSIGN_OR_RETURN(data::Instant value, data::ParseRfc3339(text));
      return data::Value(std::move(value));
    }
    case data::FieldType::kString:
      return data::Value(text);
  }
  return BugError("value of an unknown type");
}

/// "r.x=decimal2:1.25"
Result<expr::NamedValue> ParseVariable(const std::string& text) {
  const size_t equals = text.find('=');
  const size_t dot = text.find('.');
  const size_t colon = equals == std::string::npos ? equals : text.find(':', equals);
  if (equals == std::string::npos || dot == std::string::npos || dot > equals ||
      colon == std::string::npos) {
    return UserError(
        "usage",
        "a variable such as r.x=int:5 or r.t=datetime:2024-01-02T03:04:05Z is expected, "
        "not \"" +
            text + "\"");
  }
  const std::string type_name = text.substr(equals + 1, colon - equals - 1);
  const std::optional<data::FieldType> type = data::ParseFieldType(type_name);
  if (!type) {
    return UserError("usage", "a type is int, float, string, bool, decimal2 or datetime, not \"" +
                                  type_name + "\"");
  }
  expr::NamedValue variable;
  variable.variable = {text.substr(0, dot), text.substr(dot + 1, equals - dot - 1)};
  auto value = ParseValue(*type, text.substr(colon + 1));
  if (!value.ok()) return Prefixed(value.status(), "value of " + text.substr(0, equals) + ": ");
  variable.value = *std::move(value);
  return variable;
}

std::string TypeName(const data::Value& value) {
  constexpr const char* kNames[] = {"int",      "float",    "string", "bool",
                                    "decimal2", "datetime", "int"};
  return kNames[value.index()];
}

int RunCases(const EvalArguments& arguments) {
  Env* env = Env::Default();
  Result<std::string> cases = env->ReadFile(arguments.cases);
  Result<std::string> deviations = arguments.deviations.empty()
                                       ? Result<std::string>(std::string())
                                       : env->ReadFile(arguments.deviations);
  for (const auto* text : {&cases, &deviations}) {
    if (text->ok()) continue;
    PrintDiagnostics({}, {text->status()});
    return kExitUsage;
  }
  const Result<expr::CaseReport> report = expr::RunExpressionCases(*cases, *deviations);
  if (!report.ok()) {
    PrintDiagnostics({}, {report.status()});
    return kExitUsage;
  }
  std::printf("%s", report->ToText().c_str());
  return report->ok() ? kExitOk : kExitFailed;
}

int Evaluate(const EvalArguments& arguments) {
  if (!arguments.cases.empty()) return RunCases(arguments);
  if (arguments.expression.empty()) {
    std::fprintf(stderr, "an expression (or --cases FILE) is expected\n");
    return kExitUsage;
  }
  std::vector<expr::NamedValue> row;
  for (const std::string& text : arguments.variables) {
    Result<expr::NamedValue> variable = ParseVariable(text);
    if (!variable.ok()) {
      PrintDiagnostics({}, {variable.status()});
      return kExitUsage;
    }
    row.push_back(*std::move(variable));
  }
  expr::ContextKind context = expr::ContextKind::kField;
  if (arguments.context == "cond") context = expr::ContextKind::kCond;
  if (arguments.context == "group") context = expr::ContextKind::kGroup;
  expr::Environment environment;
  environment.now = data::Instant::FromMillis(Env::Default()->NowMillis());
  const Result<data::Value> value =
      expr::EvaluateOnce(arguments.expression, context, {row}, std::nullopt, environment);
  if (!value.ok()) {
    const ErrorInfo info = InfoOf(value.status());
    std::fprintf(stderr, "%s%s\n", value.status().message().c_str(),
                 info.error_class.empty() ? "" : (" [" + info.error_class + "]").c_str());
    if (info.expression_offset >= 0) {
      std::fprintf(stderr, "%s\n",
                   expr::WithCaret(arguments.expression, info.expression_offset).c_str());
    }
    return kExitUsage;
  }
  std::printf("%s %s\n", TypeName(*value).c_str(), data::ValueToText(*value).c_str());
  return kExitOk;
}

}  // namespace

void AddEvalCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* command = app->add_subcommand("eval", "Evaluate one expression, to try things out");
  command->add_option("expression", arguments->expression, "Expression");
  command->add_option("--var", arguments->variables,
                      "Variable, alias.name=type:value (repeatable)");
  command
      ->add_option("--context", arguments->context,
                   "field (decimals rounded to 2), cond (having, filter) or group (aggregates)")
      ->check(CLI::IsMember({"field", "cond", "group"}));
  command->add_option("--cases", arguments->cases, "Run a file of cases instead");
  command->add_option("--deviations", arguments->deviations,
                      "Deviations from the cases that are known and asserted");
  command->footer(
      "Examples:\n"
      "  capi eval 'r.x * 3' --var r.x=decimal2:1.25\n"
      "  capi eval 'time.Format(r.t, \"Jan _2 2006\")' --var r.t=datetime:2024-03-05T14:07:09Z\n"
      "  capi eval --cases tests/cases/expr_cases.jsonl --deviations tests/cases/deviations.jsonl");
  command->callback([arguments, exit_code] { *exit_code = Evaluate(*arguments); });
}

}  // namespace capi::cli
