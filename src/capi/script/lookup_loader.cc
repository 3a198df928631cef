#include <string>
#include <utility>
#include <vector>

#include "capi/base/near_name.h"
#include "capi/expr/syntax.h"
#include "capi/script/default_value.h"
#include "capi/script/load_state_internal.h"
#include "capi/script/lookup_linker_internal.h"

namespace capi::script {

namespace {

/// A part of join_on and where it stands in the text.
struct JoinPart {
  std::string_view text;
  int64_t offset = 0;
};

std::vector<JoinPart> SplitJoin(std::string_view text) {
  std::vector<JoinPart> parts;
  size_t begin = 0;
  while (true) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view raw = text.substr(begin, comma - begin);
    const std::string_view part = Trimmed(raw);
    const size_t blanks = part.empty() ? 0 : static_cast<size_t>(part.data() - raw.data());
    parts.push_back(JoinPart{part, static_cast<int64_t>(begin + blanks)});
    if (comma == text.size()) {
      return parts;
    }
    begin = comma + 1;
  }
}

void JoinError(const Spot& spot, int64_t offset, std::string_view error_class, std::string message,
               const LoadState& state) {
  state.diagnostics->ErrorAt(spot.node->PlaceInside(offset), spot.path, error_class,
                             std::move(message));
}

/// The field a part names, "" if reported or unknown.
std::string JoinField(const JoinPart& part, const NodeDraft& draft, const LoadState& state) {
  const Spot& join_on = draft.lookup.join_on;
  const Result<std::unique_ptr<expr::Syntax>> syntax = expr::ParseExpression(part.text);
  const bool is_field = syntax.ok() && (*syntax)->kind == expr::SyntaxKind::kSelector &&
                        (*syntax)->children[0]->kind == expr::SyntaxKind::kIdentifier &&
                        (*syntax)->children[0]->text == "r";
  if (!is_field) {
    JoinError(join_on, part.offset, "bad_join_on",
              "fields of the read table, r.<field>, separated by commas are expected: " +
                  std::string(part.text),
              state);
    return "";
  }
  const std::string& name = (*syntax)->text;
  const FieldNames* fields = draft.reader_fields();
  if (fields != nullptr && fields->Find(name) == nullptr) {
    const std::string near = NearestName(name, fields->names());
    JoinError(join_on, part.offset, "bad_join_on",
              "the read table has no such field: r." + name +
                  DidYouMean(near.empty() ? near : "r." + near),
              state);
    return "";
  }
  return name;
}

void LinkJoin(NodeDraft* draft, const IndexDraft& index, LoadState* state) {
  const LookupDraft& lookup = draft->lookup;
  Lookup& result = *draft->node->lookup;
  if (!lookup.join_on.given()) {
    if (lookup.join_on.parent != nullptr) {
      state->diagnostics->Error(*lookup.join_on.parent, lookup.join_on.path, "bad_join_on",
                                "the fields to join on are missing, for example r.order_id");
    }
    return;
  }
  if (lookup.join_on.node->kind == TreeNode::Kind::kUnresolved) {
    return;
  }
  const std::vector<JoinPart> parts = SplitJoin(lookup.join_on.node->text);
  for (const JoinPart& part : parts) {
    result.join_fields.push_back(JoinField(part, *draft, *state));
  }
  if (!index.usable) {
    return;
  }
  const std::vector<data::KeyComponent>& components = index.definition.components;
  if (components.size() != parts.size()) {
    JoinError(lookup.join_on, 0, "join_field_count",
              "the index " + result.index_name + " has " + std::to_string(components.size()) +
                  " fields, but the number of fields to join on is " + std::to_string(parts.size()),
              *state);
    return;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const FieldNames* fields = draft->reader_fields();
    const FieldNames::Entry* field =
        fields == nullptr ? nullptr : fields->Find(result.join_fields[i]);
    const bool differs = field != nullptr && field->type && *field->type != components[i].type;
    if (differs) {
      JoinError(lookup.join_on, parts[i].offset, "join_field_type",
                "fields to join must have the same type: r." + field->name + " is " +
                    std::string(data::FieldTypeName(*field->type)) + ", " + components[i].field +
                    " of the index is " + std::string(data::FieldTypeName(components[i].type)),
                *state);
    }
  }
}

void CheckJoinType(NodeDraft* draft, LoadState* state) {
  const std::vector<std::string_view>& types =
      DeclarationOf(MapKind::kLookup).Find("join_type")->choices;
  const LookupDraft& lookup = draft->lookup;
  const bool judged = lookup.join_type.given()
                          ? lookup.join_type.node->kind != TreeNode::Kind::kUnresolved
                          : lookup.join_type.parent != nullptr;
  if (!judged) {
    return;
  }
  const std::string text = lookup.join_type.given() ? lookup.join_type.node->text : "";
  draft->node->lookup->join_type = text == "left" ? JoinType::kLeft : JoinType::kInner;
  if (text != "inner" && text != "left") {
    const TreeNode& at = lookup.join_type.given() ? *lookup.join_type.node : *lookup.whole.node;
    state->diagnostics->Error(
        at, lookup.join_type.path, "bad_join_type",
        text.empty() ? "the join type is missing: inner or left is expected"
                     : "inner or left is expected: " + text + DidYouMean(NearestName(text, types)));
  }
}

}  // namespace

void LoadLookup(MapReader* map, NodeDraft* draft, LoadState* state) {
  LookupDraft& lookup = draft->lookup;
  const bool used = draft->node->type == NodeType::kTableLookupTable;
  if (!map->exists()) {
    return;
  }
  lookup.whole = Spot{&map->node(), map->path()};
  lookup.index_name = StringSpot(map, "index_name");
  lookup.join_on = StringSpot(map, "join_on");
  lookup.join_type = StringSpot(map, "join_type");
  lookup.filter = StringSpot(map, "filter");
  lookup.group = map->Boolean("group").value_or(false);
  for (const std::string_view key : {"idx_read_batch_size", "right_lookup_read_batch_size"}) {
    const std::optional<int64_t> size = map->Integer(key);
    if (used && size.has_value()) {
      const int64_t most = map->Declared(key).most;
      if (*size > most) {
        state->diagnostics->Error(
            *map->Find(key), map->PathOf(key), "out_of_range",
            "at most " + std::to_string(most) + " is allowed: " + std::to_string(*size));
      }
    }
  }
  map->WarnUnknown();
}

void LinkLookup(NodeDraft* draft, const IndexesByName& indexes, bool* all_found, LoadState* state) {
  const LookupDraft& lookup = draft->lookup;
  Lookup& result = draft->node->lookup.emplace();
  if (!lookup.whole.given()) {
    *all_found = false;
    return;  // Reported with the node.
  }
  result.group = lookup.group;
  CheckJoinType(draft, state);
  if (!lookup.index_name.given() || IsBlank(lookup.index_name.node->text)) {
    *all_found = false;
    if (lookup.index_name.parent != nullptr) {
      state->diagnostics->Error(
          lookup.index_name.given() ? *lookup.index_name.node : *lookup.index_name.parent,
          lookup.index_name.path, "unknown_index", "the name of the index to look up is missing");
    }
    return;
  }
  result.index_name = lookup.index_name.node->text;
  const auto found = indexes.find(result.index_name);
  if (found == indexes.end()) {
    *all_found = false;
    if (lookup.index_name.node->kind != TreeNode::Kind::kUnresolved) {
      std::vector<std::string> names;
      for (const auto& [name, index] : indexes) {
        names.push_back(name);
      }
      state->Error(lookup.index_name, "unknown_index",
                   "no node defines this index: " + result.index_name +
                       DidYouMean(NearestName(result.index_name, names)));
    }
    return;
  }
  NodeDraft* owner = found->second.owner;
  IndexDraft& index = owner->indexes[found->second.position];
  index.used = true;
  draft->lookup_creator = owner;
  result.table = owner->node->table_writer->name;
  result.creator = owner->node->name;
  LinkJoin(draft, index, state);
}

}  // namespace capi::script
