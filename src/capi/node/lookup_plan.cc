#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/node/lookup_internal.h"

namespace capi::node {

namespace {

using data::RowId;

template <typename T>
void AppendAll(std::vector<T>* to, const std::vector<T>& from) {
  to->insert(to->end(), from.begin(), from.end());
}

/// Values for matched rows, `missing` for the others: row i of the result is values[positions[i]],
/// or missing where positions[i] is -1.
Result<std::shared_ptr<arrow::Array>> WithMissing(const std::shared_ptr<arrow::Array>& values,
                                                  data::FieldType type, const data::Value& missing,
                                                  std::vector<int32_t> positions) {
  CAPI_ASSIGN_OR_RETURN(auto constant, data::ConstantColumn(type, missing, 1));
  if (type == data::FieldType::kString) {
    CAPI_ASSIGN_OR_RETURN(constant, data::ToPlainString(constant));
  }
  const auto n = static_cast<int32_t>(values->length());
  CAPI_ASSIGN_OR_RETURN(auto all, data::Concatenate({values, constant}));
  for (int32_t& position : positions) {
    if (position < 0) position = n;
  }
  return data::Take(all, positions.data(), static_cast<int64_t>(positions.size()));
}

}  // namespace

LeftRows LeftRows::Slice(int64_t begin, int64_t n) const {
  LeftRows slice;
  slice.num_rows = n;
  for (const auto& column : columns) slice.columns.push_back(column->Slice(begin, n));
  slice.row_ids.assign(row_ids.begin() + begin, row_ids.begin() + begin + n);
  return slice;
}

Matches Matches::Before(int64_t end) const {
  const auto n = std::lower_bound(left_rows.begin(), left_rows.end(), end) - left_rows.begin();
  Matches before;
  before.left_rows.assign(left_rows.begin(), left_rows.begin() + n);
  before.right_rows.assign(right_rows.begin(), right_rows.begin() + n);
  for (const auto& column : right_columns) before.right_columns.push_back(column->Slice(0, n));
  return before;
}

Result<std::unique_ptr<LookupPlan>> LookupPlan::Make(const NodeSetup& setup) {
  auto plan = std::make_unique<LookupPlan>();
  const script::Node& node = *setup.node;
  const script::Lookup& lookup = *node.lookup;
  plan->node_ = &node;
  plan->left_ = setup.reader;
  plan->right_ = setup.lookup;
  plan->grouped_ = lookup.group;
  plan->left_join_ = lookup.join_type == script::JoinType::kLeft;
  plan->targets_ = TargetsOf(node);
  for (const script::TargetField& field : node.table_writer->fields) {
    plan->defaults_.push_back(field.default_value);
  }
  const size_t num_targets = plan->targets_.size();

  CAPI_ASSIGN_OR_RETURN(plan->left_references_, PlanReferences(plan->targets_, "r", *setup.reader));
  if (!plan->grouped_) {
    CAPI_ASSIGN_OR_RETURN(plan->right_references_,
                          PlanReferences(plan->targets_, "l", *setup.lookup));
  }
  plan->is_reference_.assign(num_targets, false);
  for (const int field : plan->left_references_.fields) plan->is_reference_[field] = true;
  for (const int field : plan->right_references_.fields) plan->is_reference_[field] = true;
  // Having needs the values of the fields it mentions, stored as references or not.
  plan->having_needs_.assign(num_targets, false);
  if (node.table_writer->having != nullptr) {
    for (size_t i = 0; i < num_targets; ++i) {
      const auto& used = node.table_writer->having->variables();
      plan->having_needs_[i] = std::find(used.begin(), used.end(),
                                         expr::Variable{"w", plan->targets_[i].name}) != used.end();
    }
    // Having alone: the fields themselves are computed by programs_.
    std::vector<Target> names = plan->targets_;
    for (Target& target : names) target.expression = nullptr;
    CAPI_ASSIGN_OR_RETURN(
        plan->having_,
        FieldPrograms::Make(std::move(names), node.table_writer->having,
                            "nodes." + node.name + ".w.having", {}, setup.environment));
  }

  std::vector<const expr::Expression*> computed;
  std::vector<script::ExpressionPtr> programs;
  for (size_t i = 0; i < num_targets; ++i) {
    const script::ExpressionPtr& expression = plan->targets_[i].expression;
    plan->uses_right_.push_back(expression->uses_alias("l"));
    const bool wanted = !plan->is_reference_[i] || plan->having_needs_[i];
    if (wanted) computed.push_back(expression.get());
    programs.push_back(wanted && !expression->aggregate() ? expression : nullptr);
  }
  const std::vector<std::string> left_names = UsedNames(computed, "r");
  std::vector<const expr::Expression*> right_users = computed;
  right_users.push_back(lookup.filter.get());
  const std::vector<std::string> right_names = UsedNames(right_users, "l");
  plan->num_left_inputs_ = left_names.size();
  plan->inputs_ = VariablesOf("r", left_names);
  const std::vector<expr::Variable> right_inputs = VariablesOf("l", right_names);
  AppendAll(&plan->inputs_, right_inputs);
  CAPI_ASSIGN_OR_RETURN(plan->left_fields_, FieldsOf(*setup.reader, left_names));
  CAPI_ASSIGN_OR_RETURN(const std::vector<int> join_fields,
                        FieldsOf(*setup.reader, lookup.join_fields));
  AppendAll(&plan->left_fields_, join_fields);
  CAPI_ASSIGN_OR_RETURN(plan->right_fields_, FieldsOf(*setup.lookup, right_names));

  CAPI_ASSIGN_OR_RETURN(plan->programs_,
                        Programs::Make(programs, plan->inputs_, setup.environment));
  if (lookup.filter != nullptr) {
    CAPI_ASSIGN_OR_RETURN(plan->filter_,
                          Programs::Make({lookup.filter}, right_inputs, setup.environment));
  }
  plan->aggregators_.resize(num_targets);
  for (size_t i = 0; i < num_targets; ++i) {
    if (!plan->targets_[i].expression->aggregate()) continue;
    CAPI_ASSIGN_OR_RETURN(
        plan->aggregators_[i],
        expr::Aggregator::Make(plan->targets_[i].expression, plan->inputs_, setup.environment));
  }
  return plan;
}

std::vector<store::TableWriter::ReferenceGroup> LookupPlan::ReferenceGroups() const {
  std::vector<store::TableWriter::ReferenceGroup> groups;
  const auto add = [&](const ReferencePlan& plan,
                       const std::shared_ptr<const store::Table>& table) {
    if (plan.empty()) return;
    store::TableWriter::ReferenceGroup group;
    group.source = table;
    for (size_t i = 0; i < plan.fields.size(); ++i) {
      group.fields.emplace_back(plan.fields[i], plan.source_fields[i]);
      group.missing.push_back(defaults_[static_cast<size_t>(plan.fields[i])]);
    }
    groups.push_back(std::move(group));
  };
  add(left_references_, left_);
  add(right_references_, right_);
  return groups;
}

Result<LeftRows> LookupPlan::ReadLeft(const store::Table& table,
                                      const store::Table::Morsel& morsel) const {
  CAPI_ASSIGN_OR_RETURN(auto scan, table.Read(morsel, left_fields_));
  LeftRows rows;
  rows.columns = std::move(scan.columns);
  rows.row_ids = std::move(scan.row_ids);
  rows.num_rows = scan.num_rows;
  return rows;
}

Columns LookupPlan::KeysOf(const LeftRows& left) const {
  return {left.columns.begin() + static_cast<ptrdiff_t>(num_left_inputs_), left.columns.end()};
}

std::string LookupPlan::DescribeLeft(const LeftRows& left, int64_t row) const {
  return DescribeTableRow(*left_, left.row_ids[static_cast<size_t>(row)]);
}

Status LookupPlan::Filter(const LeftRows& left, Matches* matches, int64_t* error_left) const {
  const auto n = static_cast<int64_t>(matches->right_rows.size());
  if (matches->right_columns.empty()) {
    CAPI_ASSIGN_OR_RETURN(matches->right_columns,
                          right_->GatherFields(right_fields_, matches->right_rows.data(), n));
  }
  if (filter_ == nullptr || n == 0) return Status::OK();
  std::vector<int32_t> selected;
  Programs::Lease lease = filter_->Acquire();
  const expr::Outcome outcome = lease[0]->Filter(matches->right_columns, n, &selected);
  if (!outcome.error.ok()) {
    const auto pair = static_cast<size_t>(outcome.error_row);
    *error_left = matches->left_rows[pair];
    const std::string row_text = DescribeLeft(left, matches->left_rows[pair]) + " joined with " +
                                 DescribeTableRow(*right_, matches->right_rows[pair]);
    return DescribeEvaluationError(outcome.error, lease[0]->expression(),
                                   "nodes." + node_->name + ".l.filter", row_text,
                                   filter_->inputs(), matches->right_columns, outcome.error_row);
  }
  if (static_cast<int64_t>(selected.size()) == n) return Status::OK();
  for (size_t i = 0; i < selected.size(); ++i) {
    const auto from = static_cast<size_t>(selected[i]);
    matches->left_rows[i] = matches->left_rows[from];
    matches->right_rows[i] = matches->right_rows[from];
  }
  matches->left_rows.resize(selected.size());
  matches->right_rows.resize(selected.size());
  for (auto& column : matches->right_columns) {
    CAPI_ASSIGN_OR_RETURN(
        column, data::Take(column, selected.data(), static_cast<int64_t>(selected.size())));
  }
  return Status::OK();
}

Status LookupPlan::DescribeError(const FirstError& first, const std::string& row_text,
                                 const Columns& columns, int64_t row) const {
  const Target& target = targets_[first.target()];
  return DescribeEvaluationError(first.error(), *target.expression, target.field_path, row_text,
                                 inputs_, columns, row);
}

Result<bool> LookupPlan::ApplyHaving(const OutputRows& rows, std::vector<int32_t>* selected) const {
  return having_->ApplyHaving(
      rows.columns, rows.num_rows,
      [&](int64_t row) {
        return "row joined from " +
               DescribeTableRow(*left_, rows.left_ids[static_cast<size_t>(row)]);
      },
      selected);
}

Status LookupPlan::Emit(const TableOutput& output, OutputRows rows, EncodedBlock* block) const {
  std::vector<int32_t> selected;
  if (having_ != nullptr) {
    CAPI_ASSIGN_OR_RETURN(const bool all, ApplyHaving(rows, &selected));
    if (!all) {
      const auto kept = static_cast<int64_t>(selected.size());
      block->counts.filtered += rows.num_rows - kept;
      rows.num_rows = kept;
      for (size_t i = 0; i < selected.size(); ++i) {
        rows.left_ids[i] = rows.left_ids[static_cast<size_t>(selected[i])];
        if (!rows.right_ids.empty()) {
          rows.right_ids[i] = rows.right_ids[static_cast<size_t>(selected[i])];
        }
      }
      rows.left_ids.resize(selected.size());
      if (!rows.right_ids.empty()) rows.right_ids.resize(selected.size());
      for (size_t i = 0; i < rows.columns.size(); ++i) {
        if (rows.columns[i] == nullptr || is_reference_[i]) continue;
        CAPI_ASSIGN_OR_RETURN(rows.columns[i], data::Take(rows.columns[i], selected.data(), kept));
      }
    }
  }
  if (rows.num_rows == 0) return Status::OK();
  for (size_t i = 0; i < rows.columns.size(); ++i) {
    if (is_reference_[i]) rows.columns[i] = nullptr;
  }
  block->counts.out += rows.num_rows;
  std::vector<std::vector<RowId>> references;
  if (!left_references_.empty()) references.push_back(std::move(rows.left_ids));
  if (!right_references_.empty()) references.push_back(std::move(rows.right_ids));
  CAPI_ASSIGN_OR_RETURN(
      auto encoded, output.Encode(std::move(rows.columns), rows.num_rows, std::move(references)));
  block->pieces.push_back(std::move(encoded));
  return Status::OK();
}

Result<LookupPlan::OutputRows> LookupPlan::PairRows(const LeftRows& left, const Matches& matches,
                                                    size_t begin, size_t end,
                                                    const std::vector<int32_t>& output_left,
                                                    const std::vector<int32_t>& output_pair) const {
  OutputRows rows;
  rows.num_rows = static_cast<int64_t>(end - begin);
  rows.columns.resize(targets_.size());
  std::vector<int32_t> left_rows(output_left.begin() + static_cast<ptrdiff_t>(begin),
                                 output_left.begin() + static_cast<ptrdiff_t>(end));
  // Rows with a pair; position[i] is the place of output row i among them, -1 without a pair.
  std::vector<int32_t> matched;
  std::vector<int32_t> pairs;
  std::vector<int32_t> position;
  position.reserve(left_rows.size());
  for (size_t i = begin; i < end; ++i) {
    rows.left_ids.push_back(left.row_ids[static_cast<size_t>(output_left[i])]);
    const int32_t pair = output_pair[i];
    rows.right_ids.push_back(pair < 0 ? data::kNoRow
                                      : matches.right_rows[static_cast<size_t>(pair)]);
    position.push_back(pair < 0 ? -1 : static_cast<int32_t>(pairs.size()));
    if (pair >= 0) {
      matched.push_back(output_left[i]);
      pairs.push_back(pair);
    }
  }
  const bool all_matched = pairs.size() == left_rows.size();

  Columns all_columns(inputs_.size());      // for expressions without l.*
  Columns matched_columns(inputs_.size());  // for expressions with l.*
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (i < num_left_inputs_) {
      CAPI_ASSIGN_OR_RETURN(all_columns[i], data::Take(left.columns[i], left_rows.data(),
                                                       static_cast<int64_t>(left_rows.size())));
      if (all_matched) {
        matched_columns[i] = all_columns[i];
      } else {
        CAPI_ASSIGN_OR_RETURN(matched_columns[i], data::Take(left.columns[i], matched.data(),
                                                             static_cast<int64_t>(matched.size())));
      }
    } else {
      CAPI_ASSIGN_OR_RETURN(matched_columns[i],
                            data::Take(matches.right_columns[i - num_left_inputs_], pairs.data(),
                                       static_cast<int64_t>(pairs.size())));
    }
  }

  FirstError first;
  {
    Programs::Lease lease = programs_->Acquire();
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (lease[i] == nullptr) continue;
      const bool with_right = uses_right_[i];
      expr::Outcome outcome =
          with_right ? lease[i]->Evaluate(matched_columns, static_cast<int64_t>(pairs.size()))
                     : lease[i]->Evaluate(all_columns, rows.num_rows);
      if (!outcome.error.ok()) {
        int64_t row = outcome.error_row;
        if (with_right && !all_matched) {
          row = std::find(position.begin(), position.end(), static_cast<int32_t>(row)) -
                position.begin();
        }
        first.Offer(outcome.error, row, i);
        continue;
      }
      rows.columns[i] = std::move(outcome.values);
      if (with_right && !all_matched) {
        CAPI_ASSIGN_OR_RETURN(
            rows.columns[i],
            WithMissing(rows.columns[i], targets_[i].expression->type(), defaults_[i], position));
      }
    }
  }
  if (!first.ok()) {
    const auto row = static_cast<size_t>(first.row());
    // A having error of an earlier row comes first.
    if (having_ != nullptr && row > 0) {
      CAPI_ASSIGN_OR_RETURN(const OutputRows earlier,
                            PairRows(left, matches, begin, begin + row, output_left, output_pair));
      std::vector<int32_t> selected;
      CAPI_RETURN_NOT_OK(ApplyHaving(earlier, &selected).status());
    }
    std::string row_text = DescribeTableRow(*left_, rows.left_ids[row]);
    if (rows.right_ids[row] != data::kNoRow) {
      row_text += " joined with " + DescribeTableRow(*right_, rows.right_ids[row]);
    }
    // Values in the message: of the failing row alone.
    Columns values(inputs_.size());
    const auto all_row = static_cast<int32_t>(row);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (all_columns[i] != nullptr) {
        CAPI_ASSIGN_OR_RETURN(values[i], data::Take(all_columns[i], &all_row, 1));
      } else if (position[row] >= 0) {
        CAPI_ASSIGN_OR_RETURN(values[i], data::Take(matched_columns[i], &position[row], 1));
      }
    }
    return DescribeError(first, row_text, values, 0);
  }
  return rows;
}

Status LookupPlan::JoinPairs(const TableOutput& output, const LeftRows& left,
                             const Matches& matches, EncodedBlock* block) const {
  std::vector<int32_t> output_left;
  std::vector<int32_t> output_pair;
  const size_t num_pairs = matches.left_rows.size();
  output_left.reserve(num_pairs + static_cast<size_t>(left_join_ ? left.num_rows : 0));
  output_pair.reserve(output_left.capacity());
  size_t pair = 0;
  for (int32_t row = 0; row < left.num_rows; ++row) {
    if (pair == num_pairs || matches.left_rows[pair] != row) {
      ++block->counts.unmatched_left;
      if (left_join_) {
        output_left.push_back(row);
        output_pair.push_back(-1);
      }
      continue;
    }
    for (; pair < num_pairs && matches.left_rows[pair] == row; ++pair) {
      output_left.push_back(row);
      output_pair.push_back(static_cast<int32_t>(pair));
    }
  }
  for (size_t begin = 0; begin < output_left.size(); begin += data::kMaxBatchRows) {
    const size_t end = std::min(output_left.size(), begin + data::kMaxBatchRows);
    CAPI_ASSIGN_OR_RETURN(OutputRows rows,
                          PairRows(left, matches, begin, end, output_left, output_pair));
    CAPI_RETURN_NOT_OK(Emit(output, std::move(rows), block));
  }
  return Status::OK();
}

Status LookupPlan::JoinGrouped(const TableOutput& output, const LeftRows& left,
                               const Matches& matches, EncodedBlock* block) const {
  const size_t num_pairs = matches.left_rows.size();
  // Groups are the left rows with pairs.
  std::vector<int32_t> group_of_pair(num_pairs);
  std::vector<int32_t> group_left;
  std::vector<int32_t> group_last_pair;
  for (size_t i = 0; i < num_pairs; ++i) {
    if (group_left.empty() || group_left.back() != matches.left_rows[i]) {
      group_left.push_back(matches.left_rows[i]);
      group_last_pair.push_back(0);
    }
    group_of_pair[i] = static_cast<int32_t>(group_left.size()) - 1;
    group_last_pair.back() = static_cast<int32_t>(i);
  }
  block->counts.unmatched_left += left.num_rows - static_cast<int64_t>(group_left.size());

  // Output rows and, for each, its group (-1: left row without a pair).
  std::vector<int32_t> output_left;
  std::vector<int32_t> output_group;
  if (left_join_) {
    size_t group = 0;
    for (int32_t row = 0; row < left.num_rows; ++row) {
      const bool matched = group < group_left.size() && group_left[group] == row;
      output_left.push_back(row);
      output_group.push_back(matched ? static_cast<int32_t>(group++) : -1);
    }
  } else {
    output_left = group_left;
    for (size_t i = 0; i < group_left.size(); ++i) output_group.push_back(static_cast<int32_t>(i));
  }
  if (output_left.empty()) return Status::OK();

  OutputRows rows;
  rows.num_rows = static_cast<int64_t>(output_left.size());
  rows.columns.resize(targets_.size());
  for (const int32_t row : output_left)
    rows.left_ids.push_back(left.row_ids[static_cast<size_t>(row)]);

  FirstError first;
  Columns error_columns;
  int64_t error_left = 0;
  const auto fail = [&](const Status& error, int64_t left_row, int64_t column_row, size_t target,
                        const Columns& columns) {
    if (!first.ok() &&
        (left_row > error_left || (left_row == error_left && target >= first.target()))) {
      return;
    }
    first = FirstError();
    first.Offer(error, column_row, target);
    error_left = left_row;
    error_columns = columns;
  };

  // Aggregates: pairs are fed in pieces, so that gathered columns stay small.
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (aggregators_[i] == nullptr) continue;
    const std::unique_ptr<expr::Aggregator> aggregator = aggregators_[i]->Clone();
    aggregator->Begin(static_cast<int64_t>(group_left.size()));
    bool failed = false;
    const auto& used = targets_[i].expression->variables();
    for (size_t begin = 0; begin < num_pairs && !failed; begin += data::kMaxBatchRows) {
      const size_t n = std::min<size_t>(num_pairs - begin, data::kMaxBatchRows);
      Columns columns(inputs_.size());
      for (size_t c = 0; c < inputs_.size(); ++c) {
        if (!std::binary_search(used.begin(), used.end(), inputs_[c])) continue;
        if (c < num_left_inputs_) {
          CAPI_ASSIGN_OR_RETURN(columns[c],
                                data::Take(left.columns[c], matches.left_rows.data() + begin,
                                           static_cast<int64_t>(n)));
        } else {
          columns[c] = matches.right_columns[c - num_left_inputs_]->Slice(
              static_cast<int64_t>(begin), static_cast<int64_t>(n));
        }
      }
      const expr::Outcome outcome =
          aggregator->Update(columns, static_cast<int64_t>(n), group_of_pair.data() + begin);
      if (!outcome.error.ok()) {
        failed = true;
        fail(outcome.error, matches.left_rows[begin + static_cast<size_t>(outcome.error_row)],
             outcome.error_row, i, columns);
      }
    }
    if (failed) continue;
    CAPI_ASSIGN_OR_RETURN(rows.columns[i], aggregator->Finish());
    if (group_left.size() != output_left.size()) {
      CAPI_ASSIGN_OR_RETURN(
          rows.columns[i],
          WithMissing(rows.columns[i], targets_[i].expression->type(), defaults_[i], output_group));
    }
  }

  // Other fields: the value for the last right row seen.
  Columns group_columns(inputs_.size());
  Columns output_columns(inputs_.size());
  for (size_t c = 0; c < inputs_.size(); ++c) {
    if (c < num_left_inputs_) {
      CAPI_ASSIGN_OR_RETURN(group_columns[c], data::Take(left.columns[c], group_left.data(),
                                                         static_cast<int64_t>(group_left.size())));
      CAPI_ASSIGN_OR_RETURN(output_columns[c],
                            data::Take(left.columns[c], output_left.data(), rows.num_rows));
    } else {
      CAPI_ASSIGN_OR_RETURN(
          group_columns[c],
          data::Take(matches.right_columns[c - num_left_inputs_], group_last_pair.data(),
                     static_cast<int64_t>(group_last_pair.size())));
    }
  }
  {
    Programs::Lease lease = programs_->Acquire();
    for (size_t i = 0; i < targets_.size(); ++i) {
      if (lease[i] == nullptr) continue;
      if (!uses_right_[i]) {
        expr::Outcome outcome = lease[i]->Evaluate(output_columns, rows.num_rows);
        if (!outcome.error.ok()) {
          fail(outcome.error, output_left[static_cast<size_t>(outcome.error_row)],
               outcome.error_row, i, output_columns);
        }
        rows.columns[i] = std::move(outcome.values);
        continue;
      }
      expr::Outcome outcome =
          lease[i]->Evaluate(group_columns, static_cast<int64_t>(group_left.size()));
      if (!outcome.error.ok()) {
        fail(outcome.error, group_left[static_cast<size_t>(outcome.error_row)], outcome.error_row,
             i, group_columns);
      }
      if (group_left.size() != output_left.size()) {
        // A left row without a match has no value for l.* (spec/script.md 9, step 5).
        const auto unmatched = std::find(output_group.begin(), output_group.end(), -1);
        const auto at = static_cast<size_t>(unmatched - output_group.begin());
        ErrorInfo info;
        info.kind = ErrorKind::kUser;
        info.error_class = "unknown_variable";
        fail(MakeError(info,
                       "a field of a grouped left join uses l.* outside an aggregate, but the left "
                       "row has no match"),
             output_left[at], static_cast<int64_t>(at), i, output_columns);
        continue;
      }
      rows.columns[i] = std::move(outcome.values);
    }
  }
  if (!first.ok()) {
    // A having error of an earlier row comes first.
    if (having_ != nullptr && error_left > 0) {
      EncodedBlock unused;
      CAPI_RETURN_NOT_OK(
          JoinGrouped(output, left.Slice(0, error_left), matches.Before(error_left), &unused));
    }
    return DescribeError(first, DescribeLeft(left, error_left), error_columns, first.row());
  }
  return Emit(output, std::move(rows), block);
}

}  // namespace capi::node
