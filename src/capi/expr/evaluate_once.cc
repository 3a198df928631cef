#include <algorithm>
#include <utility>

#include "capi/expr/aggregator_internal.h"
#include "capi/expr/evaluator.h"
#include "capi/expr/evaluator_machine_internal.h"

namespace capi::expr {

namespace {

/// The types of data::Value's alternatives, in their order.
data::FieldType FieldTypeOf(const data::Value& value) {
  constexpr data::FieldType kTypes[] = {data::FieldType::kInt,      data::FieldType::kFloat,
                                        data::FieldType::kString,   data::FieldType::kBool,
                                        data::FieldType::kDecimal2, data::FieldType::kDatetime,
                                        data::FieldType::kInt};
  static_assert(std::size(kTypes) == std::variant_size_v<data::Value>);
  return kTypes[value.index()];
}

/// NativeInt is an int here.
data::Value Plain(const data::Value& value) {
  const auto* native = std::get_if<data::NativeInt>(&value);
  return native != nullptr ? data::Value(native->value) : value;
}

struct Column {
  Variable variable;
  data::FieldType type = data::FieldType::kInt;
  std::vector<data::Value> values;
};

std::string NameOf(const Variable& variable) { return variable.alias + "." + variable.name; }

/// All rows name the same variables, each of one type.
Result<std::vector<Column>> ColumnsOf(const std::vector<std::vector<NamedValue>>& rows) {
  std::vector<Column> columns;
  for (const NamedValue& named : rows.front()) {
    columns.push_back({named.variable, FieldTypeOf(named.value), {}});
  }
  for (const std::vector<NamedValue>& row : rows) {
    for (Column& column : columns) {
      const auto named = std::find_if(row.begin(), row.end(), [&](const NamedValue& candidate) {
        return candidate.variable == column.variable;
      });
      if (named == row.end()) {
        return UserError("unknown_variable",
                         "variable has no value in a row: " + NameOf(column.variable));
      }
      if (FieldTypeOf(named->value) != column.type) {
        return UserError("type_mismatch",
                         "variable has values of different types: " + NameOf(column.variable));
      }
      column.values.push_back(Plain(named->value));
    }
  }
  return columns;
}

void SetInputs(const std::vector<Column>& columns, Scratch* scratch, Inputs* inputs) {
  for (size_t i = 0; i < columns.size(); ++i) {
    inputs->SetVector(i, FromValues(FromFieldType(columns[i].type), columns[i].values, scratch));
  }
}

}  // namespace

Result<data::Value> EvaluateOnce(std::string_view text, ContextKind context,
                                 const std::vector<std::vector<NamedValue>>& rows,
                                 std::optional<data::FieldType> declared,
                                 const Environment& environment) {
  if (rows.empty()) {
    if (declared.has_value()) return data::ZeroValue(*declared);
    return UserError("wrong_result_type", "without rows the type of the result must be declared");
  }
  CAPI_ASSIGN_OR_RETURN(const std::vector<Column> columns, ColumnsOf(rows));
  std::vector<Variable> inputs;
  Scope scope;
  for (const Column& column : columns) {
    inputs.push_back(column.variable);
    scope.candidates.push_back(NameOf(column.variable));
  }
  scope.lookup = [&columns](const Variable& variable) -> std::optional<data::FieldType> {
    for (const Column& column : columns) {
      if (column.variable == variable) return column.type;
    }
    return std::nullopt;
  };
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<const Expression> expression,
                        Compile(text, context, scope, declared));
  const auto num_rows = static_cast<int64_t>(rows.size());
  Scratch scratch;
  if (expression->aggregate().has_value()) {
    CAPI_ASSIGN_OR_RETURN(auto program,
                          GroupAggregator::MakeProgram(expression, inputs, environment));
    GroupAggregator aggregator(expression->root(), std::move(program));
    SetInputs(columns, &scratch, aggregator.machine()->inputs());
    aggregator.Begin(1);
    const std::vector<int32_t> groups(rows.size(), 0);
    const BlockResult result = aggregator.Update(num_rows, groups.data());
    CAPI_RETURN_NOT_OK(result.error);
    return ValueAt(aggregator.Results(&scratch), 0);
  }
  CAPI_ASSIGN_OR_RETURN(auto program,
                        Program::Make(expression, {&expression->root()}, inputs, environment.now));
  Machine machine(std::move(program));
  SetInputs(columns, &scratch, machine.inputs());
  std::vector<Vector> results;
  for (int64_t begin = 0; begin < num_rows; begin += kBlockRows) {
    const int64_t count = std::min(kBlockRows, num_rows - begin);
    const BlockResult result = machine.RunBlock(begin, count, false, &results);
    CAPI_RETURN_NOT_OK(result.error);
    // The last row of a group wins.
    if (begin + count == num_rows) return ValueAt(results[0], count - 1);
  }
  return BugError("no row was evaluated");
}

}  // namespace capi::expr
