#include "capi/expr/cases_runner.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "capi/expr/evaluator.h"
#include "capi/expr/tree.h"
#include "capi/expr/vector_internal.h"
#include "nlohmann/json.hpp"

namespace capi::expr {

namespace {

using nlohmann::json;

/// The name of these cases in a list of deviations.
constexpr const char* kSuite = "expr";

/// What an expression gave, in a form that compares as text: "int 5", "error type_mismatch".
using Answer = std::string;

struct Found {
  Answer answer;
  int64_t offset = -1;  // of an error inside the expression
};

struct Deviation {
  Answer ours;
  bool used = false;
};

Found FoundError(const Status& status) {
  const ErrorInfo info = InfoOf(status);
  return {info.error_class.empty() ? "error without a class: " + status.message()
                                   : "error " + info.error_class,
          info.expression_offset};
}

Answer AnswerOfValue(const data::Value& value) {
  struct Visitor {
    Answer operator()(int64_t number) const { return "int " + std::to_string(number); }
    Answer operator()(data::NativeInt number) const {
      return "native_int " + std::to_string(number.value);
    }
    Answer operator()(double number) const {
      Answer answer = "float ";
      data::AppendFloatText(number, &answer);
      return answer;
    }
    Answer operator()(const std::string& text) const {
      constexpr int kOneLine = -1;
      return "string " + json(text).dump(kOneLine, ' ', false, json::error_handler_t::replace);
    }
    Answer operator()(bool truth) const { return truth ? "bool true" : "bool false"; }
    Answer operator()(const data::BigDecimal& number) const {
      return "decimal2 " + number.ToString();
    }
    Answer operator()(const data::Instant& instant) const {
      return "datetime " + data::DatetimeToRfc3339(instant);
    }
  };
  return std::visit(Visitor{}, value);
}

Found FoundResult(const Result<data::Value>& result) {
  return result.ok() ? Found{AnswerOfValue(*result)} : FoundError(result.status());
}

/// A value {type, value} of a case file.
Result<data::Value> ReadValue(const json& object) {
  const std::string type = object.at("type").get<std::string>();
  const json& value = object.at("value");
  if (type == "bool") return value.get<bool>();
  const std::string text = value.get<std::string>();
  if (type == "string") return text;
  if (type == "int") return data::ParseGoInt(text);
  if (type == "float") return data::ParseGoFloat(text);
  if (type == "decimal2") return data::BigDecimal::Parse(text);
  if (type == "datetime") return data::ParseRfc3339(text);
  if (type == "native_int") {
    CAPI_ASSIGN_OR_RETURN(const int64_t number, data::ParseGoInt(text));
    return data::NativeInt{number};
  }
  return UserError("bad_json", "unknown type of a value: " + type);
}

/// The answer written in a case or in the "ours" of a deviation.
Result<Answer> ReadAnswer(const json& object) {
  if (object.contains("error")) return "error " + object.at("error").get<std::string>();
  const json& result = object.at("result");
  const bool accepted = result.is_object() ? result.at("type") == "accepted" : result == "accepted";
  if (accepted) return Answer("accepted");
  const Result<data::Value> value = ReadValue(result);
  if (!value.ok() && result.at("type") == "datetime") {
    // A year before 0 cannot be read as RFC 3339, but is printed in its manner.
    return "datetime " + result.at("value").get<std::string>();
  }
  CAPI_RETURN_NOT_OK(value.status());
  return AnswerOfValue(*value);
}

Result<std::vector<NamedValue>> ReadVariables(const json& object) {
  std::vector<NamedValue> variables;
  for (const auto& [name, value] : object.items()) {
    NamedValue variable;
    const size_t dot = name.find('.');
    if (dot == std::string::npos) return UserError("bad_json", "variable without alias: " + name);
    variable.variable = {name.substr(0, dot), name.substr(dot + 1)};
    CAPI_ASSIGN_OR_RETURN(variable.value, ReadValue(value));
    variables.push_back(std::move(variable));
  }
  return variables;
}

std::optional<data::FieldType> FieldTypeOfValue(const data::Value& value) {
  // The order of the alternatives of data::Value.
  constexpr data::FieldType kTypes[] = {data::FieldType::kInt,      data::FieldType::kFloat,
                                        data::FieldType::kString,   data::FieldType::kBool,
                                        data::FieldType::kDecimal2, data::FieldType::kDatetime,
                                        data::FieldType::kInt};
  return kTypes[value.index()];
}

/// Loading only: the expression over the types of the variables.
Found FindByLoading(const std::string& text, const std::vector<NamedValue>& variables,
                    std::optional<data::FieldType> declared) {
  Scope scope;
  scope.lookup = [&variables](const Variable& variable) -> std::optional<data::FieldType> {
    for (const NamedValue& candidate : variables) {
      if (candidate.variable == variable) return FieldTypeOfValue(candidate.value);
    }
    return std::nullopt;
  };
  scope.prohibited_aliases = {"w"};
  const auto expression = Compile(text, ContextKind::kField, scope, declared);
  return expression.ok() ? Found{"accepted"} : FoundError(expression.status());
}

Result<data::Value> EmptyGroup(std::shared_ptr<const Expression> expression) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<Aggregator> aggregator,
                        Aggregator::Make(expression, expression->variables(), Environment()));
  aggregator->Begin(1);
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<arrow::Array> values, aggregator->Finish());
  Inputs inputs(1);
  CAPI_RETURN_NOT_OK(inputs.SetColumn(0, *values));
  return ValueAt(inputs.vector(0), 0);
}

/// A group of a lookup without any matching row: fields of the declared type stand for the missing
/// ones.
Found FindWithoutRows(const std::string& text, data::FieldType declared) {
  Scope scope;
  scope.lookup = [declared](const Variable&) { return declared; };
  const auto expression = Compile(text, ContextKind::kGroup, scope, declared);
  if (!expression.ok()) return FoundError(expression.status());
  return FoundResult((*expression)->aggregate().has_value() ? EmptyGroup(*expression)
                                                            : data::ZeroValue(declared));
}

/// A column holds one type: rows that say otherwise cannot be loaded.
bool HaveOneTypePerVariable(const std::vector<std::vector<NamedValue>>& rows) {
  std::map<Variable, size_t> types;
  for (const std::vector<NamedValue>& row : rows) {
    for (const NamedValue& value : row) {
      const auto [place, added] = types.emplace(value.variable, value.value.index());
      if (place->second != value.value.index()) return false;
    }
  }
  return true;
}

/// Runs one case. An error status: the case itself cannot be read.
Result<Found> RunCase(const json& object) {
  const std::string text = object.at("expr").get<std::string>();
  const std::string context_name = object.at("ctx").get<std::string>();
  std::optional<data::FieldType> declared;
  if (object.contains("type")) {
    declared = data::ParseFieldType(object.at("type").get<std::string>());
    if (!declared.has_value()) return UserError("bad_json", "unknown declared type");
  }
  std::vector<std::vector<NamedValue>> rows;
  if (object.contains("rows")) {
    for (const json& row : object.at("rows")) {
      CAPI_ASSIGN_OR_RETURN(std::vector<NamedValue> variables, ReadVariables(row));
      rows.push_back(std::move(variables));
    }
    if (rows.empty() && declared.has_value()) return FindWithoutRows(text, *declared);
  } else {
    const json variables_object = object.value("vars", json::object());
    CAPI_ASSIGN_OR_RETURN(std::vector<NamedValue> variables, ReadVariables(variables_object));
    rows.push_back(std::move(variables));
  }
  if (context_name == "load") return FindByLoading(text, rows[0], declared);
  if (!HaveOneTypePerVariable(rows)) return Found{"error type_mismatch"};
  const ContextKind context = context_name == "group"  ? ContextKind::kGroup
                              : context_name == "cond" ? ContextKind::kCond
                                                       : ContextKind::kField;
  return FoundResult(EvaluateOnce(text, context, rows, declared, Environment()));
}

/// Calls `visit(object)` for each line that is not blank. Catches what the JSON library throws.
template <typename Visit>
Status ForEachLine(std::string_view text, Visit visit) {
  int64_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      CAPI_RETURN_NOT_OK(visit(json::parse(line)));
    } catch (const json::exception& error) {
      return UserError("bad_json", "line of a case file cannot be read: " +
                                       std::to_string(line_number) + ": " + error.what());
    }
  }
  return Status::OK();
}

}  // namespace

std::string CaseReport::ToText() const {
  std::string text;
  for (const CaseFailure& failure : failures) {
    text += "FAILED " + failure.id + ": " + failure.message + "\n";
  }
  text += std::to_string(passed) + " passed, " + std::to_string(failures.size()) + " failed, " +
          std::to_string(deviations) + " deviations\n";
  return text;
}

Result<CaseReport> RunExpressionCases(std::string_view cases, std::string_view deviations) {
  std::map<std::string, Deviation> known;
  CaseReport report;
  const auto fail = [&report](std::string id, std::string message) {
    report.failures.push_back({std::move(id), std::move(message)});
  };
  CAPI_RETURN_NOT_OK(ForEachLine(deviations, [&known](const json& object) {
    if (object.value("suite", kSuite) != kSuite) return Status::OK();
    CAPI_ASSIGN_OR_RETURN(Answer ours, ReadAnswer(object.at("ours")));
    known[object.at("id").get<std::string>()] = {std::move(ours)};
    return Status::OK();
  }));
  CAPI_RETURN_NOT_OK(ForEachLine(cases, [&](const json& object) {
    const std::string id = object.at("id").get<std::string>();
    CAPI_ASSIGN_OR_RETURN(const Answer stated, ReadAnswer(object));
    CAPI_ASSIGN_OR_RETURN(const Found found, RunCase(object));
    const auto deviation = known.find(id);
    const bool deviates = deviation != known.end();
    if (deviates) deviation->second.used = true;
    const Answer& expected = deviates ? deviation->second.ours : stated;
    if (deviates && expected == stated) {
      fail(id, "listed deviation says what the case says: " + stated);
    } else if (found.answer != expected) {
      fail(id, "`" + object.at("expr").get<std::string>() + "`: expected " +
                   (deviates ? "(deviation) " : "") + expected + ", found " + found.answer);
    } else if (object.contains("offset") && object.at("offset") != found.offset) {
      fail(id, "`" + object.at("expr").get<std::string>() + "`: expected " + expected +
                   " at offset " + object.at("offset").dump() + ", found it at " +
                   std::to_string(found.offset));
    } else {
      ++(deviates ? report.deviations : report.passed);
    }
    return Status::OK();
  }));
  for (const auto& [id, deviation] : known) {
    if (!deviation.used) fail(id, "listed deviation without a case");
  }
  return report;
}

}  // namespace capi::expr
