#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/near_name.h"
#include "capi/expr/syntax.h"
#include "capi/script/default_value.h"
#include "capi/script/event_fields.h"
#include "capi/script/index_definition.h"
#include "capi/script/load_state_internal.h"

namespace capi::script {

namespace {

constexpr std::string_view kOldEventAlias = "e";
constexpr std::string_view kStatusAlias = "wfmodel";

bool IsEventAlias(std::string_view alias) {
  return alias == kEventAlias || alias == kOldEventAlias;
}

struct Replacement {
  int64_t begin = 0;
  int64_t end = 0;
  std::string text;
};

/// Finds event fields in the old spelling.
void FindOldSpellings(const expr::Syntax& syntax, std::vector<Replacement>* found) {
  const bool is_field = syntax.kind == expr::SyntaxKind::kSelector &&
                        syntax.children[0]->kind == expr::SyntaxKind::kIdentifier &&
                        IsEventAlias(syntax.children[0]->text);
  if (is_field) {
    found->push_back({syntax.begin, syntax.end,
                      std::string(kEventAlias) + "." + CurrentEventField(syntax.text)});
    return;
  }
  for (const auto& child : syntax.children) {
    FindOldSpellings(*child, found);
  }
}

/// The rule in the new spelling, so that whoever evaluates it knows only that one.
std::string InNewSpelling(const std::string& text) {
  const Result<std::unique_ptr<expr::Syntax>> syntax = expr::ParseExpression(text);
  if (!syntax.ok()) {
    return text;
  }
  std::vector<Replacement> found;
  FindOldSpellings(**syntax, &found);
  std::sort(found.begin(), found.end(),
            [](const Replacement& a, const Replacement& b) { return a.begin < b.begin; });
  std::string result;
  int64_t copied = 0;
  for (const Replacement& replacement : found) {
    result.append(text, static_cast<size_t>(copied),
                  static_cast<size_t>(replacement.begin - copied));
    result += replacement.text;
    copied = replacement.end;
  }
  return result.append(text, static_cast<size_t>(copied));
}

expr::Scope RuleScope() {
  expr::Scope scope;
  scope.lookup = [](const expr::Variable& variable) -> std::optional<data::FieldType> {
    if (variable.alias == kEventAlias && variable.name == "run_final_status") {
      return std::nullopt;
    }
    return IsEventAlias(variable.alias) ? EventFieldType(variable.name) : std::nullopt;
  };
  scope.constants = [](const expr::Variable& variable) {
    return variable.alias == kStatusAlias ? StatusConstant(variable.name) : std::nullopt;
  };
  for (const data::Field& field : EventFields()) {
    scope.candidates.push_back(std::string(kEventAlias) + "." + field.name);
  }
  for (const std::string& name : StatusConstantNames()) {
    scope.candidates.push_back(std::string(kStatusAlias) + "." + name);
  }
  return scope;
}

ExpressionPtr CompileRule(const Spot& spot, LoadState* state) {
  if (!spot.given() || IsBlank(spot.node->text)) {
    if (spot.parent != nullptr) {
      state->diagnostics->Error(spot.given() ? *spot.node : *spot.parent, spot.path, "bad_rule",
                                "the expression of the rule is missing");
    }
    return nullptr;
  }
  if (spot.node->kind == TreeNode::Kind::kUnresolved) {
    return nullptr;
  }
  const expr::Scope scope = RuleScope();
  const std::string& text = spot.node->text;
  // The author's text is checked for messages with the right place; the new spelling is what is
  // kept.
  Result<ExpressionPtr> compiled =
      expr::Compile(text, expr::ContextKind::kCond, scope, data::FieldType::kBool);
  if (compiled.ok()) {
    compiled =
        expr::Compile(InNewSpelling(text), expr::ContextKind::kCond, scope, data::FieldType::kBool);
  }
  if (compiled.ok()) {
    return *std::move(compiled);
  }
  std::vector<Status> errors =
      expr::CheckAll(text, expr::ContextKind::kCond, scope, data::FieldType::kBool);
  if (errors.empty()) {
    errors.push_back(compiled.status());
  }
  for (const Status& error : errors) {
    AddExpressionError(error, spot, "bad_rule", *state);
  }
  return nullptr;
}

RuleCommand ReadCommand(MapReader* map, LoadState* state) {
  const TreeNode* value = map->String("cmd");
  const bool skip =
      value != nullptr ? value->kind == TreeNode::Kind::kUnresolved : map->Find("cmd") != nullptr;
  if (skip) {
    return RuleCommand::kWait;
  }
  const std::string text = value == nullptr ? std::string() : value->text;
  if (text == "go") {
    return RuleCommand::kGo;
  }
  if (text == "nogo") {
    return RuleCommand::kNoGo;
  }
  if (text != "wait") {
    state->diagnostics->Error(
        map->NodeOr(value), map->PathOf("cmd"), "bad_rule",
        text.empty() ? "the command of the rule is missing: go, wait or nogo "
                       "is expected"
                     : "go, wait or nogo is expected: " + text +
                           DidYouMean(NearestName(text, map->Declared("cmd").choices)));
  }
  return RuleCommand::kWait;
}

void ReadRules(MapReader* map, DependencyPolicy* policy, LoadState* state) {
  const TreeNode* list = map->List("rules");
  for (size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    const std::string path = map->PathOf("rules") + "[" + std::to_string(i) + "]";
    const TreeNode& item = *list->items[i];
    if (item.kind != TreeNode::Kind::kMap) {
      state->diagnostics->Error(item, path, "bad_json",
                                "a rule must be a map, not " + std::string(KindName(item.kind)));
      continue;
    }
    MapReader rule(&item, path, MapKind::kRule, state->diagnostics, state->tree);
    DependencyRule result;
    result.command = ReadCommand(&rule, state);
    result.expression = CompileRule(StringSpot(&rule, "expression"), state);
    rule.WarnUnknown();
    policy->rules.push_back(std::move(result));
  }
}

void ReadOrder(MapReader* map, DependencyPolicy* policy, LoadState* state) {
  const Spot order = StringSpot(map, "event_priority_order");
  if (!order.given() || order.node->kind == TreeNode::Kind::kUnresolved ||
      IsBlank(order.node->text)) {
    return;
  }
  ComponentFields fields;
  fields.lookup = [](const std::string& name) { return EventFieldType(name); };
  for (const data::Field& field : EventFields()) {
    fields.candidates.push_back(field.name);
  }
  Result<std::vector<data::KeyComponent>> parsed = ParseOrder(order.node->text, fields);
  if (!parsed.ok()) {
    AddExpressionError(parsed.status(), order, "bad_order", *state);
    return;
  }
  policy->order = *std::move(parsed);
  for (data::KeyComponent& component : policy->order) {
    component.field = CurrentEventField(component.field);
  }
}

}  // namespace

void LoadPolicies(const Spot& policies, const TreeNode& root, LoadState* state) {
  int64_t num_default = 0;
  bool judged = true;
  if (policies.given()) {
    for (const TreeEntry& entry : NamedEntries(*policies.node)) {
      const Spot spot{entry.value, policies.path + "." + entry.key};
      if (entry.value->kind == TreeNode::Kind::kNull) {
        state->Error(spot, "bad_json", "a policy must be a map, not null");
        judged = false;
        continue;
      }
      MapReader map = state->Reader(spot, MapKind::kPolicy);
      if (!map.exists()) {
        judged = false;
        continue;
      }
      auto policy = std::make_unique<DependencyPolicy>();
      policy->name = entry.key;
      const TreeNode* is_default = map.Find("is_default");
      policy->is_default = map.Boolean("is_default").value_or(false);
      judged = judged && (is_default == nullptr || is_default->kind == TreeNode::Kind::kBool);
      num_default += policy->is_default ? 1 : 0;
      ReadOrder(&map, policy.get(), state);
      ReadRules(&map, policy.get(), state);
      map.WarnUnknown();
      state->script->policies.push_back(std::move(policy));
    }
  }
  if (judged && num_default != 1) {
    state->diagnostics->Error(policies.given() ? *policies.node : root, policies.path,
                              "default_policy_count",
                              "exactly one dependency policy must say is_default: true, but the "
                              "number of those is " +
                                  std::to_string(num_default));
  }
}

}  // namespace capi::script
