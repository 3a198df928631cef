#include <algorithm>
#include <string>
#include <utility>

#include "capi/expr/evaluator_program_internal.h"

namespace capi::expr {

namespace {

/// True if the operation itself, given its operands, may fail.
bool OperationCanFail(const Node& node) {
  switch (node.op) {
    case Op::kAdd:
    case Op::kSubtract:
    case Op::kMultiply:
      return node.type == ValueType::kDecimal;  // beyond the cap of digits
    case Op::kDivide:
    case Op::kModulo:
      return node.type != ValueType::kFloat;
    case Op::kCall:
      switch (node.function) {
        case Function::kInt:
        case Function::kFloat:
        case Function::kDecimal2:
        case Function::kMatchString:
        case Function::kTimeParse:
        case Function::kTimeDate:
        case Function::kFixedZone:
          return true;
        default:
          return false;
      }
    default:
      return false;
  }
}

/// True if a row costs a few nanoseconds.
bool OperationIsCheap(const Node& node) {
  if (node.op == Op::kCall) {
    switch (node.function) {
      case Function::kInt:
      case Function::kFloat:
      case Function::kDecimal2:
        return node.children[0]->type != ValueType::kString &&
               node.children[0]->type != ValueType::kFloat;
      case Function::kLen:
      case Function::kSqrt:
      case Function::kRound:
      case Function::kTimeNow:
      case Function::kTimeUnix:
      case Function::kTimeUnixMilli:
      case Function::kDiffMilli:
      case Function::kTimeBefore:
      case Function::kTimeAfter:
        return true;
      default:
        return false;
    }
  }
  return !(node.op == Op::kAdd && node.type == ValueType::kString);
}

bool IsConstantString(const Node& node) {
  return node.op == Op::kConstant && node.type == ValueType::kString;
}

/// Prepares what constant arguments allow to prepare. A bad pattern stays unprepared: rows report
/// it.
void PrepareCall(const Node& node, Step* step) {
  const auto text = [&node](size_t child) -> const std::string* {
    return IsConstantString(*node.children[child])
               ? &std::get<std::string>(node.children[child]->value)
               : nullptr;
  };
  switch (node.function) {
    case Function::kMatchString:
      if (const std::string* pattern = text(0)) {
        if (auto compiled = CompilePattern(*pattern); compiled.ok()) {
          step->pattern = *std::move(compiled);
          step->can_fail = std::any_of(step->children.begin(), step->children.end(),
                                       [](const auto& child) { return child->can_fail; });
        }
      }
      break;
    case Function::kTimeParse:
      if (const std::string* layout = text(0)) step->layout = data::TimeLayout::Compile(*layout);
      break;
    case Function::kTimeFormat:
      if (const std::string* layout = text(1)) step->layout = data::TimeLayout::Compile(*layout);
      break;
    case Function::kSprintf:
      if (const std::string* format = text(0)) step->format = data::PrintFormat::Compile(*format);
      break;
    default:
      break;
  }
}

/// The only input below a step; nullopt if there is none or more than one.
struct InputUse {
  size_t count = 0;
  size_t input = 0;
  bool is_string = false;
};

void CollectUse(const Step& step, InputUse* use) {
  if (step.node->op == Op::kVariable) {
    if (use->count == 0) {
      use->count = 1;
      use->input = step.input;
      use->is_string = step.node->type == ValueType::kString;
    } else if (use->input != step.input) {
      use->count = 2;
    }
  }
  for (const auto& child : step.children) CollectUse(*child, use);
}

}  // namespace

Result<std::unique_ptr<Step>> Program::MakeStep(const Node& node) {
  auto step = std::make_unique<Step>();
  step->node = &node;
  step->id = num_steps_++;
  step->can_fail = OperationCanFail(node);
  step->cheap = OperationIsCheap(node);
  for (const std::unique_ptr<Node>& child : node.children) {
    CAPI_ASSIGN_OR_RETURN(auto child_step, MakeStep(*child));
    step->can_fail = step->can_fail || child_step->can_fail;
    step->cheap = step->cheap && child_step->cheap;
    step->children.push_back(std::move(child_step));
  }
  switch (node.op) {
    case Op::kConstant:
      step->constant = std::make_unique<ConstantValue>(node.type, node.value);
      break;
    case Op::kVariable: {
      const auto place = std::find(inputs_.begin(), inputs_.end(), node.variable);
      if (place == inputs_.end()) {
        return BugError("variable is not among the inputs of the evaluator: " +
                        node.variable.alias + "." + node.variable.name);
      }
      step->input = static_cast<size_t>(place - inputs_.begin());
      const auto used = std::lower_bound(used_inputs_.begin(), used_inputs_.end(), step->input);
      if (used == used_inputs_.end() || *used != step->input) {
        used_types_.insert(used_types_.begin() + (used - used_inputs_.begin()), node.type);
        used_inputs_.insert(used, step->input);
      }
      break;
    }
    case Op::kCall:
      PrepareCall(node, step.get());
      break;
    case Op::kAggregate:
      return BugError("an aggregate needs an Aggregator");
    default:
      break;
  }
  InputUse use;
  CollectUse(*step, &use);
  if (use.count == 1 && use.is_string && node.op != Op::kVariable) {
    step->dictionary_input = use.input;
  }
  return step;
}

Result<std::shared_ptr<const Program>> Program::Make(std::shared_ptr<const Expression> expression,
                                                     const std::vector<const Node*>& roots,
                                                     const std::vector<Variable>& inputs,
                                                     const data::Instant& now) {
  auto program = std::make_shared<Program>();
  program->expression_ = std::move(expression);
  program->inputs_ = inputs;
  program->now_ = now;
  for (const Node* root : roots) {
    CAPI_ASSIGN_OR_RETURN(auto step, program->MakeStep(*root));
    program->roots_.push_back(std::move(step));
  }
  return program;
}

}  // namespace capi::expr
