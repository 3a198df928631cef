#include "capi/workflow/dependency_policy.h"

#include <algorithm>
#include <variant>

#include "capi/expr/expression.h"
#include "capi/expr/scalar_functions.h"

namespace capi::workflow {

namespace {

using script::RuleCommand;

data::Instant MomentOf(int64_t millis) {
  return data::Instant::FromMillis(millis == 0 ? data::kZeroMomentMillis : millis);
}

Result<data::Value> FieldOf(const DependencyRecord& record, const std::string& name) {
  if (name == "run_id") return data::Value(record.run_id);
  if (name == "run_is_current") return data::Value(record.run_is_current);
  if (name == "run_status") return data::Value(static_cast<int64_t>(record.run_status));
  if (name == "node_status") return data::Value(static_cast<int64_t>(record.node_status));
  if (name == "run_start_ts") return data::Value(MomentOf(record.run_start_ms));
  if (name == "run_completed_ts") return data::Value(MomentOf(record.run_completed_ms));
  if (name == "run_stopped_ts") return data::Value(MomentOf(record.run_stopped_ms));
  if (name == "node_is_started") {
    return data::Value(record.node_status != state::NodeStatus::kNone);
  }
  if (name == "node_start_ts") return data::Value(MomentOf(record.node_start_ms));
  if (name == "node_status_ts") return data::Value(MomentOf(record.node_status_ms));
  return BugError("dependency rule uses an unknown event field: " + name);
}

/// <0, 0, >0; only the types of event fields.
int CompareValues(const data::Value& left, const data::Value& right) {
  if (const auto* number = std::get_if<int64_t>(&left)) {
    const int64_t other = std::get<int64_t>(right);
    return (*number > other) - (*number < other);
  }
  if (const auto* flag = std::get_if<bool>(&left)) {
    return static_cast<int>(*flag) - static_cast<int>(std::get<bool>(right));
  }
  return std::get<data::Instant>(left).Compare(std::get<data::Instant>(right));
}

struct Sortable {
  DependencyRecord record;
  std::vector<data::Value> key;
};

}  // namespace

Result<DependencyDecision> Decide(const script::DependencyPolicy& policy,
                                  std::vector<DependencyRecord> records, const data::Instant& now) {
  if (records.empty()) {
    return UserError("dependency_never_started", "a dependency was never started in this keyspace");
  }
  std::vector<Sortable> sorted;
  sorted.reserve(records.size());
  for (const DependencyRecord& record : records) {
    Sortable item;
    item.record = record;
    for (const data::KeyComponent& component : policy.order) {
      CAPI_ASSIGN_OR_RETURN(data::Value value, FieldOf(record, component.field));
      item.key.push_back(std::move(value));
    }
    sorted.push_back(std::move(item));
  }
  std::sort(sorted.begin(), sorted.end(), [&](const Sortable& left, const Sortable& right) {
    for (size_t i = 0; i < policy.order.size(); ++i) {
      int order = CompareValues(left.key[i], right.key[i]);
      if (policy.order[i].descending) order = -order;
      if (order != 0) return order < 0;
    }
    return left.record.run_id > right.record.run_id;
  });
  for (const Sortable& item : sorted) {
    const expr::VariableReader reader = [&](const expr::Variable& variable) {
      return FieldOf(item.record, variable.name);
    };
    for (size_t i = 0; i < policy.rules.size(); ++i) {
      const script::DependencyRule& rule = policy.rules[i];
      Result<data::Value> value = expr::EvaluateScalar(rule.expression->root(), reader, now);
      if (!value.ok()) {
        return Prefixed(value.status(), "dependency policy " + policy.name + ", rule " +
                                            std::to_string(i + 1) + ": ");
      }
      const bool* matched = std::get_if<bool>(&*value);
      if (matched == nullptr) return BugError("dependency rule is not boolean");
      if (*matched) {
        return DependencyDecision{rule.command, item.record.run_id, static_cast<int>(i)};
      }
    }
  }
  return DependencyDecision{RuleCommand::kWait, sorted.front().record.run_id, -1};
}

RuleCommand Combine(RuleCommand left, RuleCommand right) {
  if (left == RuleCommand::kNoGo || right == RuleCommand::kNoGo) return RuleCommand::kNoGo;
  if (left == RuleCommand::kWait || right == RuleCommand::kWait) return RuleCommand::kWait;
  return RuleCommand::kGo;
}

}  // namespace capi::workflow
