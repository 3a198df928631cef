#include <string>
#include <utility>

#include "capi/base/near_name.h"
#include "capi/script/default_value.h"
#include "capi/script/load_state_internal.h"

namespace capi::script {

namespace {

/// Scripts have their own names for some classes of expressions (tests/cases/README.md).
std::string_view ScriptClassOf(std::string_view expression_class) {
  if (expression_class == "prohibited_variable") {
    return "prohibited_field";
  }
  if (expression_class == "unknown_variable") {
    return "unknown_field";
  }
  if (expression_class == "aggregate_not_allowed_here") {
    return "aggregate_not_allowed";
  }
  return expression_class;
}

}  // namespace

void FieldNames::Add(std::string name, std::optional<data::FieldType> type) {
  by_name_[name] = entries_.size();
  entries_.push_back(Entry{std::move(name), type});
}

const FieldNames::Entry* FieldNames::Find(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::vector<std::string> FieldNames::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) {
    names.push_back(entry.name);
  }
  return names;
}

void AddExpressionError(const Status& status, const Spot& spot, std::string_view error_class,
                        const LoadState& state) {
  ErrorInfo info = InfoOf(status);
  info.error_class =
      error_class.empty() ? std::string(ScriptClassOf(info.error_class)) : std::string(error_class);
  info.place = spot.node->PlaceInside(info.expression_offset);
  info.field_path = spot.path;
  state.diagnostics->Add(MakeError(std::move(info), status.message()), {}, "");
}

Spot StringSpot(MapReader* map, std::string_view key) {
  Spot spot;
  spot.path = map->PathOf(key);
  spot.node = map->String(key);
  const bool reported = spot.node == nullptr && map->Find(key) != nullptr;
  spot.parent = reported || !map->exists() ? nullptr : &map->node();
  return spot;
}

ExpressionPtr CompileExpression(const Spot& spot, const ExpressionPlace& place,
                                const LoadState& state) {
  if (!spot.given()) {
    if (spot.parent != nullptr) {
      state.diagnostics->Error(*spot.parent, spot.path, "empty_expression",
                               "the expression is missing");
    }
    return nullptr;
  }
  if (spot.node->kind == TreeNode::Kind::kUnresolved) {
    return nullptr;
  }
  bool judged = true;
  expr::Scope scope;
  scope.prohibited_aliases = place.prohibited;
  scope.lookup = [&](const expr::Variable& variable) -> std::optional<data::FieldType> {
    for (const ExpressionPlace::Alias& alias : place.allowed) {
      if (alias.name != variable.alias) {
        continue;
      }
      const FieldNames::Entry* entry =
          alias.fields == nullptr ? nullptr : alias.fields->Find(variable.name);
      if (alias.fields != nullptr && entry == nullptr) {
        return std::nullopt;
      }
      if (entry == nullptr || !entry->type.has_value()) {
        judged = false;
        return data::FieldType::kString;
      }
      return entry->type;
    }
    return std::nullopt;
  };
  for (const ExpressionPlace::Alias& alias : place.allowed) {
    if (alias.fields != nullptr) {
      for (const FieldNames::Entry& entry : alias.fields->entries()) {
        scope.candidates.push_back(alias.name + "." + entry.name);
      }
    }
  }
  Result<ExpressionPtr> compiled =
      expr::Compile(spot.node->text, place.context, scope, place.declared);
  if (compiled.ok()) {
    return judged ? *std::move(compiled) : nullptr;
  }
  std::vector<Status> errors =
      expr::CheckAll(spot.node->text, place.context, scope, place.declared);
  if (errors.empty()) {
    errors.push_back(compiled.status());
  }
  if (judged) {
    for (const Status& error : errors) {
      AddExpressionError(error, spot, "", state);
    }
  }
  return nullptr;
}

std::optional<data::FieldType> ReadFieldType(MapReader* map, std::string_view key,
                                             const LoadState& state) {
  const TreeNode* value = map->Find(key);
  if (value != nullptr && value->kind == TreeNode::Kind::kUnresolved) {
    return std::nullopt;
  }
  const size_t errors_before = state.diagnostics->num_errors();
  const std::string text = map->Text(key);
  if (state.diagnostics->num_errors() > errors_before || !map->exists()) {
    return std::nullopt;
  }
  const std::optional<data::FieldType> type = data::ParseFieldType(text);
  if (!type.has_value()) {
    const std::vector<std::string_view>& types = map->Declared(key).choices;
    std::string expected = "one of";
    for (const std::string_view name : types) {
      expected += " " + std::string(name);
    }
    expected += " is expected";
    state.diagnostics->Error(map->NodeOr(value), map->PathOf(key), "bad_field_type",
                             value == nullptr
                                 ? "the type is missing: " + expected
                                 : expected + ": " + text + DidYouMean(NearestName(text, types)));
  }
  return type;
}

}  // namespace capi::script
