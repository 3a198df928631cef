#include "capi/node/reference_plan.h"

#include <algorithm>

namespace capi::node {

Result<ReferencePlan> PlanReferences(const std::vector<Target>& targets, const std::string& alias,
                                     const store::Table& source) {
  ReferencePlan plan;
  bool has_string = false;
  for (size_t i = 0; i < targets.size(); ++i) {
    const auto& variable = targets[i].expression->bare_variable();
    if (!variable || variable->alias != alias) continue;
    const int field = source.FieldIndex(variable->name);
    if (field < 0) return BugError("table " + source.id().name + " has no field " + variable->name);
    plan.fields.push_back(static_cast<int>(i));
    plan.source_fields.push_back(field);
    has_string |=
        source.schema().fields[static_cast<size_t>(field)].type == data::FieldType::kString;
  }
  if (!has_string && plan.fields.size() < 2) return ReferencePlan{};
  return plan;
}

std::vector<std::string> UsedNames(const std::vector<const expr::Expression*>& expressions,
                                   const std::string& alias) {
  std::vector<std::string> names;
  for (const expr::Expression* expression : expressions) {
    if (expression == nullptr) continue;
    for (const expr::Variable& variable : expression->variables()) {
      if (variable.alias == alias &&
          std::find(names.begin(), names.end(), variable.name) == names.end()) {
        names.push_back(variable.name);
      }
    }
  }
  return names;
}

}  // namespace capi::node
