#include "capi/node/field_programs.h"

#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"

namespace capi::node {

namespace {

/// Long cells are cut in messages.
constexpr size_t kMaxShownValue = 80;

std::string Shown(const arrow::Array& column, int64_t row) {
  const Result<data::Value> value = data::CellValue(column, row);
  if (!value.ok()) return "?";
  std::string text = data::ValueToText(*value);
  if (text.size() > kMaxShownValue) text = text.substr(0, kMaxShownValue) + "...";
  if (std::holds_alternative<std::string>(*value)) return "\"" + text + "\"";
  return text;
}

}  // namespace

Status DescribeEvaluationError(const Status& error, const expr::Expression& expression,
                               const std::string& field_path, const std::string& row_text,
                               const std::vector<expr::Variable>& inputs, const Columns& columns,
                               int64_t row) {
  std::string message;
  if (!row_text.empty()) message += row_text + ": ";
  message += error.message() + ", in expression " + expression.text();
  std::string values;
  for (const expr::Variable& variable : expression.variables()) {
    const auto at = std::find(inputs.begin(), inputs.end(), variable);
    if (at == inputs.end()) continue;
    const auto& column = columns[static_cast<size_t>(at - inputs.begin())];
    if (column == nullptr || row >= column->length()) continue;
    if (!values.empty()) values += ", ";
    values += variable.alias + "." + variable.name + "=" + Shown(*column, row);
  }
  if (!values.empty()) message += " with " + values;
  ErrorInfo info = InfoOf(error);
  if (info.field_path.empty()) info.field_path = field_path;
  return MakeError(std::move(info), std::move(message));
}

Result<std::unique_ptr<Programs>> Programs::Make(
    const std::vector<script::ExpressionPtr>& expressions,
    const std::vector<expr::Variable>& inputs, const expr::Environment& environment) {
  auto programs = std::make_unique<Programs>();
  programs->inputs_ = inputs;
  for (const script::ExpressionPtr& expression : expressions) {
    if (expression == nullptr) {
      programs->prototypes_.push_back(nullptr);
      continue;
    }
    CAPI_ASSIGN_OR_RETURN(auto evaluator, expr::Evaluator::Make(expression, inputs, environment));
    programs->prototypes_.push_back(std::move(evaluator));
  }
  return programs;
}

Programs::Lease Programs::Acquire() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!free_.empty()) {
    auto set = std::move(free_.back());
    free_.pop_back();
    return {this, std::move(set)};
  }
  auto set = std::make_unique<Set>();
  for (const auto& prototype : prototypes_) {
    set->push_back(prototype == nullptr ? nullptr : prototype->Clone());
  }
  return {this, std::move(set)};
}

void Programs::GiveBack(std::unique_ptr<Set> set) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(set));
}

Result<std::unique_ptr<FieldPrograms>> FieldPrograms::Make(std::vector<Target> targets,
                                                           script::ExpressionPtr having,
                                                           std::string having_path,
                                                           std::vector<expr::Variable> inputs,
                                                           const expr::Environment& environment) {
  auto result = std::make_unique<FieldPrograms>();
  std::vector<script::ExpressionPtr> expressions;
  std::vector<expr::Variable> having_inputs;
  for (const Target& target : targets) {
    expressions.push_back(target.expression);
    having_inputs.push_back({"w", target.name});
  }
  CAPI_ASSIGN_OR_RETURN(result->programs_, Programs::Make(expressions, inputs, environment));
  if (having != nullptr) {
    CAPI_ASSIGN_OR_RETURN(result->having_, Programs::Make({having}, having_inputs, environment));
  }
  result->targets_ = std::move(targets);
  result->having_expression_ = std::move(having);
  result->having_path_ = std::move(having_path);
  return result;
}

Result<bool> FieldPrograms::ApplyHaving(const Columns& computed, int64_t n,
                                        const DescribeRow& describe,
                                        std::vector<int32_t>* selected) {
  selected->clear();
  if (having_ == nullptr) return true;
  Programs::Lease lease = having_->Acquire();
  const expr::Outcome outcome = lease[0]->Filter(computed, n, selected);
  if (!outcome.error.ok()) {
    return DescribeEvaluationError(outcome.error, *having_expression_, having_path_,
                                   describe(outcome.error_row), having_->inputs(), computed,
                                   outcome.error_row);
  }
  return static_cast<int64_t>(selected->size()) == n;
}

bool FieldPrograms::Available(const expr::Expression& expression, const Columns& columns) const {
  return std::all_of(expression.variables().begin(), expression.variables().end(),
                     [&](const expr::Variable& variable) {
                       const auto at = std::find(inputs().begin(), inputs().end(), variable);
                       return at == inputs().end() || columns[at - inputs().begin()] != nullptr;
                     });
}

Result<Columns> FieldPrograms::ComputeFields(const Columns& columns, int64_t n,
                                             const DescribeRow& describe) {
  Columns computed(targets_.size());
  FirstError first;
  {
    Programs::Lease lease = programs_->Acquire();
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (lease[i] == nullptr || !Available(*targets_[i].expression, columns)) continue;
      expr::Outcome outcome = lease[i]->Evaluate(columns, n);
      first.Offer(outcome.error, outcome.error_row, i);
      computed[i] = std::move(outcome.values);
    }
  }
  if (first.ok()) return computed;
  // A having error of an earlier row comes first.
  if (having_ != nullptr && first.row() > 0) {
    CAPI_RETURN_NOT_OK(Compute(columns, first.row(), describe).status());
  }
  const Target& target = targets_[first.target()];
  return DescribeEvaluationError(first.error(), *target.expression, target.field_path,
                                 describe(first.row()), programs_->inputs(), columns, first.row());
}

Result<ComputedRows> FieldPrograms::Compute(const Columns& columns, int64_t n,
                                            const DescribeRow& describe) {
  ComputedRows rows;
  CAPI_ASSIGN_OR_RETURN(rows.columns, ComputeFields(columns, n, describe));
  rows.num_rows = n;
  CAPI_ASSIGN_OR_RETURN(rows.all_selected, ApplyHaving(rows.columns, n, describe, &rows.selected));
  if (!rows.all_selected) {
    const auto kept = static_cast<int64_t>(rows.selected.size());
    rows.filtered = n - kept;
    rows.num_rows = kept;
    for (auto& column : rows.columns) {
      if (column == nullptr) continue;
      CAPI_ASSIGN_OR_RETURN(column, data::Take(column, rows.selected.data(), kept));
    }
  }
  return rows;
}

std::vector<Target> TargetsOf(const script::Node& node) {
  std::vector<Target> targets;
  const std::string prefix = "nodes." + node.name + ".w.";
  if (node.table_writer) {
    for (const script::TargetField& field : node.table_writer->fields) {
      targets.push_back({field.field.name, prefix + "fields." + field.field.name + ".expression",
                         field.expression});
    }
  } else {
    for (size_t i = 0; i < node.file_writer->columns.size(); ++i) {
      const script::FileColumn& column = node.file_writer->columns[i];
      targets.push_back({column.field.name,
                         prefix + "columns[" + std::to_string(i) + "].expression",
                         column.expression});
    }
  }
  return targets;
}

}  // namespace capi::node
