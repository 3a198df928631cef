#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "arrow/array/data.h"
#include "capi/expr/evaluator_machine_internal.h"
#include "capi/expr/kernels_internal.h"

namespace capi::expr {

namespace {

/// With fewer needed rows than this share, even a cheap side is evaluated for them only.
constexpr int64_t kSparseShare = 8;

/// A mask with a byte for each row.
const uint8_t* FullMask(const Vector& mask, int64_t n, Scratch* scratch) {
  if (!mask.constant) return mask.as<uint8_t>();
  auto* full = scratch->Allocate<uint8_t>(n);
  std::fill(full, full + n, mask.as<uint8_t>()[0]);
  return full;
}

}  // namespace

Status StoreError(const data::BigDecimal& value, int64_t offset) {
  return AtOffset(UserError("number_out_of_range", "decimal2 result has more than 38 digits: " +
                                                       value.ToFixed(kernels::kStoredScale)),
                  offset);
}

bool FitsColumn(const data::BigDecimal& value) {
  int128 hundredths = 0;
  return value.ToInt128(kernels::kStoredScale, &hundredths) && data::FitsStoredDecimal(hundredths);
}

Machine::Machine(std::shared_ptr<const Program> program)
    : program_(std::move(program)),
      inputs_(program_->inputs().size()),
      block_scratch_(std::make_unique<Scratch>()),
      scratch_(block_scratch_.get()),
      dictionary_results_(program_->num_steps()) {}

Status Machine::SetColumns(const std::vector<std::shared_ptr<arrow::Array>>& columns,
                           int64_t num_rows) {
  num_rows_ = num_rows;
  const std::vector<size_t>& used = program_->used_inputs();
  for (size_t i = 0; i < used.size(); ++i) {
    const size_t input = used[i];
    if (input >= columns.size() || columns[input] == nullptr) {
      const Variable& variable = program_->inputs()[input];
      return BugError("column of a used input is missing: " + variable.alias + "." + variable.name);
    }
    if (columns[input]->length() < num_rows) {
      const Variable& variable = program_->inputs()[input];
      return BugError("column has fewer rows than the call: " + variable.alias + "." +
                      variable.name);
    }
    CAPI_RETURN_NOT_OK(inputs_.SetColumn(input, *columns[input]));
    if (inputs_.vector(input).type != program_->used_types()[i]) {
      const Variable& variable = program_->inputs()[input];
      return BugError("column has another type than the variable: " + variable.alias + "." +
                      variable.name + ": " + columns[input]->type()->ToString());
    }
  }
  return Status::OK();
}

BlockResult Machine::RunBlock(int64_t begin, int64_t n, bool store, std::vector<Vector>* results) {
  block_scratch_->Reset();
  results->clear();
  const Rows rows{begin, n, nullptr};
  for (const auto& root : program_->roots()) {
    Vector result;
    if (!Run(*root, rows, &result)) return RunRows(begin, n, store, results);
    results->push_back(result);
  }
  return {};
}

BlockResult Machine::RunRows(int64_t begin, int64_t n, bool store, std::vector<Vector>* results) {
  ++num_row_blocks_;
  results->clear();
  int64_t row = begin;
  const VariableReader reader = [this, &row](const Variable& variable) -> Result<data::Value> {
    const std::vector<Variable>& inputs = program_->inputs();
    const auto place = std::find(inputs.begin(), inputs.end(), variable);
    return ValueAt(inputs_.vector(static_cast<size_t>(place - inputs.begin())), row);
  };
  std::vector<std::vector<data::Value>> values(program_->roots().size());
  for (; row < begin + n; ++row) {
    for (size_t i = 0; i < values.size(); ++i) {
      const Node& node = *program_->roots()[i]->node;
      Result<data::Value> value = EvaluateScalar(node, reader, program_->now());
      if (!value.ok()) return {value.status(), row};
      if (store && node.type == ValueType::kDecimal) {
        const auto& decimal = std::get<data::BigDecimal>(*value);
        if (!FitsColumn(decimal)) return {StoreError(decimal, node.offset), row};
      }
      values[i].push_back(*std::move(value));
    }
  }
  for (size_t i = 0; i < values.size(); ++i) {
    results->push_back(FromValues(program_->roots()[i]->node->type, values[i], scratch_));
  }
  return {};
}

Rows Machine::Subset(const Rows& rows, const int32_t* positions, int64_t n) {
  auto* list = scratch_->Allocate<int32_t>(n);
  for (int64_t i = 0; i < n; ++i) list[i] = static_cast<int32_t>(rows[positions[i]]);
  return {0, n, list};
}

bool Machine::Run(const Step& step, const Rows& rows, Vector* out) {
  if (HasDictionary(step) && RunDictionary(step, rows, out)) return true;
  return RunOperation(step, rows, out);
}

bool Machine::RunDictionary(const Step& step, const Rows& rows, Vector* out) {
  const size_t input = *step.dictionary_input;
  DictionaryResult& result = dictionary_results_[step.id];
  if (result.dictionary != inputs_.dictionary_data(input)) {
    result.dictionary = inputs_.dictionary_data(input);
    result.memory = std::make_unique<Scratch>();
    const Vector codes = inputs_.vector(input);
    const Rows all{0, codes.dictionary_size, nullptr};
    inputs_.SetVector(input, *codes.dictionary);
    scratch_ = result.memory.get();
    in_dictionary_ = true;
    // Values that no row uses may fail: then the rows decide.
    result.usable = all.n > 0 && RunOperation(step, all, &result.values);
    in_dictionary_ = false;
    scratch_ = block_scratch_.get();
    inputs_.SetVector(input, codes);
    if (result.usable && step.node->type == ValueType::kString && !result.values.constant) {
      result.values.values = kernels::ToViews(result.values, all.n, result.memory.get());
      result.values.form = Form::kViews;
    }
  }
  if (!result.usable) return false;
  if (result.values.constant) {
    *out = result.values;
    return true;
  }
  const Vector codes = SelectRows(inputs_.vector(input), rows, scratch_);
  if (step.node->type == ValueType::kString) {
    *out = codes;
    out->dictionary = &result.values;
  } else {
    *out = Gather(result.values, codes.as<int32_t>(), rows.n, scratch_);
  }
  return true;
}

bool Machine::RunOperation(const Step& step, const Rows& rows, Vector* out) {
  switch (step.node->op) {
    case Op::kConstant:
      *out = step.constant->vector;
      return true;
    case Op::kVariable:
      *out = SelectRows(inputs_.vector(step.input), rows, scratch_);
      return true;
    case Op::kConvert:
      return RunConvert(step, rows, out);
    case Op::kNegate:
    case Op::kNot:
      return RunUnary(step, rows, out);
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
    case Op::kDivide:
    case Op::kModulo:
      return step.node->type == ValueType::kString ? RunConcatenation(step, rows, out)
                                                   : RunArithmetic(step, rows, out);
    case Op::kEqual:
    case Op::kNotEqual:
    case Op::kLess:
    case Op::kLessEqual:
    case Op::kGreater:
    case Op::kGreaterEqual:
      return RunComparison(step, rows, out);
    case Op::kAnd:
    case Op::kOr:
      return RunLogic(step, rows, out);
    case Op::kIif:
      return RunIif(step, rows, out);
    case Op::kCall:
      return RunCall(step, rows, out);
    case Op::kAggregate:
      break;
  }
  return false;
}

bool Machine::RunConvert(const Step& step, const Rows& rows, Vector* out) {
  Vector operand;
  if (!Run(*step.children[0], rows, &operand)) return false;
  const int64_t n = operand.constant ? 1 : rows.n;
  if (step.node->type == ValueType::kDecimal) {
    *out = operand;  // an int is a decimal of scale 0
    out->type = ValueType::kDecimal;
    out->scale = 0;
    return true;
  }
  auto* values = scratch_->Allocate<double>(n);
  if (operand.type == ValueType::kDecimal) {
    kernels::DecimalsToFloats(operand, n, values);
  } else {
    const auto* from = operand.as<int64_t>();
    for (int64_t i = 0; i < n; ++i) values[i] = static_cast<double>(from[i]);
  }
  *out = MakeVector(ValueType::kFloat, Form::kDouble, values, operand.constant);
  return true;
}

bool Machine::RunUnary(const Step& step, const Rows& rows, Vector* out) {
  Vector operand;
  if (!Run(*step.children[0], rows, &operand)) return false;
  const int64_t n = operand.constant ? 1 : rows.n;
  switch (operand.type) {
    case ValueType::kBool: {
      const auto* from = operand.as<uint8_t>();
      auto* values = scratch_->Allocate<uint8_t>(n);
      for (int64_t i = 0; i < n; ++i) values[i] = from[i] ^ 1;
      *out = MakeVector(ValueType::kBool, Form::kMask, values, operand.constant);
      return true;
    }
    case ValueType::kInt: {
      const auto* from = operand.as<int64_t>();
      auto* values = scratch_->Allocate<int64_t>(n);
      for (int64_t i = 0; i < n; ++i) values[i] = WrapNegate(from[i]);
      *out = MakeVector(ValueType::kInt, Form::kInt64, values, operand.constant);
      return true;
    }
    case ValueType::kFloat: {
      const auto* from = operand.as<double>();
      auto* values = scratch_->Allocate<double>(n);
      for (int64_t i = 0; i < n; ++i) values[i] = -from[i];
      *out = MakeVector(ValueType::kFloat, Form::kDouble, values, operand.constant);
      return true;
    }
    default:
      kernels::NegateDecimals(operand, n, scratch_, out);
      out->constant = operand.constant;
      return true;
  }
}

bool Machine::RunArithmetic(const Step& step, const Rows& rows, Vector* out) {
  const Node& node = *step.node;
  Vector left;
  Vector right;
  if (!Run(*step.children[0], rows, &left) || !Run(*step.children[1], rows, &right)) return false;
  const bool constant = left.constant && right.constant;
  const int64_t n = constant ? 1 : rows.n;
  switch (node.type) {
    case ValueType::kInt: {
      const auto a = kernels::OperandOf<int64_t>(left);
      const auto b = kernels::OperandOf<int64_t>(right);
      auto* values = scratch_->Allocate<int64_t>(n);
      if (node.op == Op::kDivide || node.op == Op::kModulo) {
        if (!kernels::DivideInts(node.op, a, b, n, values)) return false;
      } else {
        kernels::ComputeInts(node.op, a, b, n, values);
      }
      *out = MakeVector(ValueType::kInt, Form::kInt64, values, constant);
      return true;
    }
    case ValueType::kFloat: {
      auto* values = scratch_->Allocate<double>(n);
      kernels::ComputeFloats(node.op, kernels::OperandOf<double>(left),
                             kernels::OperandOf<double>(right), n, values);
      *out = MakeVector(ValueType::kFloat, Form::kDouble, values, constant);
      return true;
    }
    default:
      if (!kernels::ComputeDecimals(node.op, node.round_to_two, left, right, n, scratch_, out)) {
        return false;
      }
      out->constant = constant;
      return true;
  }
}

bool Machine::HasDictionary(const Step& step) const {
  return step.dictionary_input.has_value() && !in_dictionary_ &&
         inputs_.vector(*step.dictionary_input).form == Form::kCodes &&
         inputs_.vector(*step.dictionary_input).dictionary_size <= num_rows_;
}

void Machine::FlattenConcatenation(const Step& step, std::vector<const Step*>* parts) const {
  for (const auto& child : step.children) {
    if (child->node->op == Op::kAdd && !HasDictionary(*child)) {
      FlattenConcatenation(*child, parts);
    } else {
      parts->push_back(child.get());
    }
  }
}

bool Machine::RunConcatenation(const Step& step, const Rows& rows, Vector* out) {
  std::vector<const Step*> parts;
  FlattenConcatenation(step, &parts);
  std::vector<Vector> vectors(parts.size());
  bool constant = true;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!Run(*parts[i], rows, &vectors[i])) return false;
    constant = constant && vectors[i].constant;
  }
  *out = kernels::ConcatenateStrings(vectors, constant ? 1 : rows.n, scratch_);
  out->constant = constant;
  return true;
}

bool Machine::RunComparison(const Step& step, const Rows& rows, Vector* out) {
  const Op op = step.node->op;
  Vector left;
  Vector right;
  if (!Run(*step.children[0], rows, &left) || !Run(*step.children[1], rows, &right)) return false;
  const bool constant = left.constant && right.constant;
  const int64_t n = constant ? 1 : rows.n;
  auto* mask = scratch_->Allocate<uint8_t>(n);
  switch (left.type) {
    case ValueType::kInt:
      kernels::CompareInts(op, kernels::OperandOf<int64_t>(left),
                           kernels::OperandOf<int64_t>(right), n, mask);
      break;
    case ValueType::kFloat:
      kernels::CompareFloats(op, kernels::OperandOf<double>(left),
                             kernels::OperandOf<double>(right), n, mask);
      break;
    case ValueType::kBool:
      kernels::CompareMasks(op, kernels::OperandOf<uint8_t>(left),
                            kernels::OperandOf<uint8_t>(right), n, mask);
      break;
    case ValueType::kString:
      kernels::CompareStringVectors(op, left, right, n, scratch_, mask);
      break;
    case ValueType::kDecimal:
      kernels::CompareDecimals(op, left, right, n, scratch_, mask);
      break;
    case ValueType::kDatetime:
      kernels::CompareDatetimes(op, left, right, n, mask);
      break;
    default:
      return false;
  }
  *out = MakeVector(ValueType::kBool, Form::kMask, mask, constant);
  return true;
}

bool Machine::RunLogic(const Step& step, const Rows& rows, Vector* out) {
  const bool is_and = step.node->op == Op::kAnd;
  const Step& right_step = *step.children[1];
  Vector left;
  if (!Run(*step.children[0], rows, &left)) return false;
  const uint8_t open = is_and ? 1 : 0;  // the left value that leaves the answer to the right side
  if (left.constant) {
    if (left.as<uint8_t>()[0] == open) return Run(right_step, rows, out);
    *out = left;
    return true;
  }
  const auto* left_mask = left.as<uint8_t>();
  const int64_t num_true = kernels::CountTrue(left_mask, rows.n);
  const int64_t num_open = is_and ? num_true : rows.n - num_true;
  if (num_open == 0) {
    *out = left;
    return true;
  }
  if (num_open == rows.n) return Run(right_step, rows, out);
  auto* mask = scratch_->Allocate<uint8_t>(rows.n);
  *out = MakeVector(ValueType::kBool, Form::kMask, mask);
  Vector right;
  if (!right_step.can_fail && right_step.cheap && num_open * kSparseShare >= rows.n) {
    if (!Run(right_step, rows, &right)) return false;
    const uint8_t* right_mask = FullMask(right, rows.n, scratch_);
    if (is_and) {
      for (int64_t i = 0; i < rows.n; ++i) mask[i] = left_mask[i] & right_mask[i];
    } else {
      for (int64_t i = 0; i < rows.n; ++i) mask[i] = left_mask[i] | right_mask[i];
    }
    return true;
  }
  auto* positions = scratch_->Allocate<int32_t>(rows.n);
  kernels::CollectPositions(left_mask, open, rows.n, positions);
  if (!Run(right_step, Subset(rows, positions, num_open), &right)) return false;
  std::copy(left_mask, left_mask + rows.n, mask);
  const uint8_t* right_mask = FullMask(right, num_open, scratch_);
  for (int64_t i = 0; i < num_open; ++i) mask[positions[i]] = right_mask[i];
  return true;
}

bool Machine::RunIif(const Step& step, const Rows& rows, Vector* out) {
  const Step& then_step = *step.children[1];
  const Step& else_step = *step.children[2];
  Vector condition;
  if (!Run(*step.children[0], rows, &condition)) return false;
  const auto* mask = condition.as<uint8_t>();
  if (condition.constant) return Run(mask[0] != 0 ? then_step : else_step, rows, out);
  const int64_t num_true = kernels::CountTrue(mask, rows.n);
  if (num_true == rows.n) return Run(then_step, rows, out);
  if (num_true == 0) return Run(else_step, rows, out);
  const auto may_run_all = [&rows](const Step& branch, int64_t needed) {
    return branch.node->op == Op::kConstant ||
           (!branch.can_fail && branch.cheap && needed * kSparseShare >= rows.n);
  };
  Vector then_values;
  Vector else_values;
  if (may_run_all(then_step, num_true) && may_run_all(else_step, rows.n - num_true)) {
    if (!Run(then_step, rows, &then_values) || !Run(else_step, rows, &else_values)) return false;
    *out = kernels::Select(mask, then_values, else_values, rows.n, scratch_);
    return true;
  }
  auto* then_positions = scratch_->Allocate<int32_t>(rows.n);
  auto* else_positions = scratch_->Allocate<int32_t>(rows.n);
  kernels::CollectPositions(mask, 1, rows.n, then_positions);
  kernels::CollectPositions(mask, 0, rows.n, else_positions);
  const int64_t num_false = rows.n - num_true;
  if (!Run(then_step, Subset(rows, then_positions, num_true), &then_values) ||
      !Run(else_step, Subset(rows, else_positions, num_false), &else_values)) {
    return false;
  }
  *out = kernels::Merge({then_values, then_positions, num_true},
                        {else_values, else_positions, num_false}, rows.n, scratch_);
  return true;
}

}  // namespace capi::expr
