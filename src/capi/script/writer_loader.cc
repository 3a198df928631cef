#include <string>
#include <unordered_map>
#include <utility>

#include "capi/script/default_value.h"
#include "capi/script/index_definition.h"
#include "capi/script/load_state_internal.h"
#include "capi/script/names.h"

namespace capi::script {

namespace {

char LowerLetter(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string LowerCase(std::string text) {
  for (char& c : text) {
    c = LowerLetter(c);
  }
  return text;
}

void ReadTableName(MapReader* map, NodeDraft* draft, LoadState* state) {
  const TreeNode* name = map->String("name");
  draft->table_name = Spot{name, map->PathOf("name")};
  const bool reported = name == nullptr && map->Find("name") != nullptr;
  const bool unresolved = name != nullptr && name->kind == TreeNode::Kind::kUnresolved;
  draft->node->table_writer->name = name == nullptr ? std::string() : name->text;
  if (reported || unresolved) {
    return;
  }
  if (const auto problem = CheckTableName(draft->node->table_writer->name)) {
    state->diagnostics->Error(map->NodeOr(name), map->PathOf("name"), problem->error_class,
                              problem->message);
  }
}

void ReadField(const TreeEntry& entry, const std::string& path, NodeDraft* draft,
               LoadState* state) {
  MapReader map(entry.value, path, MapKind::kTableField, state->diagnostics, state->tree);
  TargetField field;
  field.field.name = entry.key;
  const std::optional<data::FieldType> type = ReadFieldType(&map, "type", *state);
  field.field.type = type.value_or(data::FieldType::kString);
  const Spot expression = StringSpot(&map, "expression");
  const TreeNode* default_value = map.String("default_value");
  map.WarnUnknown();
  field.default_value = data::ZeroValue(field.field.type);
  const bool parse_default = type.has_value() && default_value != nullptr &&
                             default_value->kind != TreeNode::Kind::kUnresolved;
  if (parse_default) {
    Result<data::Value> value = ParseFieldDefault(*type, default_value->text);
    if (value.ok()) {
      field.default_value = *std::move(value);
    } else {
      state->diagnostics->Add(value.status(), default_value->place(), map.PathOf("default_value"));
    }
  }
  draft->written.Add(entry.key, type);
  draft->field_expressions.push_back(expression);
  draft->node->table_writer->fields.push_back(std::move(field));
}

void ReadFields(MapReader* map, NodeDraft* draft, LoadState* state) {
  const TreeNode* fields = map->Map("fields");
  if (fields == nullptr) {
    return;
  }
  // Databases do not tell names apart by the case of their letters.
  std::unordered_map<std::string, std::string> seen;
  for (const TreeEntry& entry : NamedEntries(*fields)) {
    const std::string path = map->PathOf("fields") + "." + entry.key;
    const SourcePlace key_place = fields->source->PlaceOf(entry.key_begin);
    if (const auto problem = CheckFieldName(entry.key)) {
      state->diagnostics->ErrorAt(key_place, path, problem->error_class, problem->message);
    }
    const auto [other, inserted] = seen.emplace(LowerCase(entry.key), entry.key);
    if (!inserted) {
      state->diagnostics->ErrorAt(key_place, path, "duplicate_field",
                                  "two fields of a table differ only in the case of letters: " +
                                      other->second + ", " + entry.key);
    }
    if (entry.value->kind == TreeNode::Kind::kNull) {
      state->diagnostics->Error(*entry.value, path, "bad_json", "a field must be a map, not null");
      draft->written.Add(entry.key, std::nullopt);
      continue;
    }
    ReadField(entry, path, draft, state);
  }
}

void ParseIndex(const NodeDraft& draft, IndexDraft* index, LoadState* state) {
  if (!index->spot.given() || index->spot.node->kind == TreeNode::Kind::kUnresolved) {
    return;
  }
  bool judged = true;
  ComponentFields fields;
  fields.candidates = draft.written.names();
  fields.lookup = [&](const std::string& name) -> std::optional<data::FieldType> {
    const FieldNames::Entry* entry = draft.written.Find(name);
    if (entry != nullptr && !entry->type.has_value()) {
      judged = false;
      return data::FieldType::kString;
    }
    return entry == nullptr ? std::nullopt : entry->type;
  };
  index->definition.text = index->spot.node->text;
  Result<KeyDefinition> parsed = ParseIndexDefinition(index->definition.text, fields);
  if (!judged) {
    return;
  }
  if (!parsed.ok()) {
    AddExpressionError(parsed.status(), index->spot, "", *state);
    return;
  }
  index->definition.unique = parsed->unique;
  index->definition.components = std::move(parsed->components);
  index->usable = true;
}

void ReadIndexes(MapReader* map, NodeDraft* draft, LoadState* state) {
  const TreeNode* indexes = map->Map("indexes");
  if (indexes == nullptr) {
    return;
  }
  for (const TreeEntry& entry : NamedEntries(*indexes)) {
    IndexDraft index;
    index.definition.name = entry.key;
    index.key_place = indexes->source->PlaceOf(entry.key_begin);
    index.spot.path = map->PathOf("indexes") + "." + entry.key;
    if (const auto problem = CheckIndexName(entry.key)) {
      state->diagnostics->ErrorAt(index.key_place, index.spot.path, problem->error_class,
                                  problem->message);
    }
    if (entry.value->is_text()) {
      index.spot.node = entry.value;
      ParseIndex(*draft, &index, state);
    } else {
      state->diagnostics->Error(
          *entry.value, index.spot.path, "bad_json",
          "a string is expected here, not " + std::string(KindName(entry.value->kind)));
    }
    draft->indexes.push_back(std::move(index));
  }
}

void CheckDistinct(MapReader* map, NodeDraft* draft, LoadState* state) {
  size_t num_unique = 0;
  bool judged = true;
  for (const IndexDraft& index : draft->indexes) {
    judged = judged && index.usable;
    num_unique += index.definition.unique ? 1 : 0;
  }
  if (judged && num_unique != 1) {
    state->diagnostics->Error(map->NodeOr(map->Find("indexes")), map->PathOf("indexes"),
                              "distinct_needs_one_unique_index",
                              "a distinct_table node needs exactly one unique index, but has " +
                                  std::to_string(num_unique));
  }
  if (draft->having.given() && !IsBlank(draft->having.node->text)) {
    state->Error(
        draft->having, "distinct_having",
        "a distinct_table node cannot have a having condition; filter in a node before it");
  }
}

}  // namespace

void LoadTableWriter(MapReader* map, NodeDraft* draft, LoadState* state) {
  TableWriter& writer = draft->node->table_writer.emplace();
  if (!map->exists()) {
    return;
  }
  ReadTableName(map, draft, state);
  writer.table_options = std::string(Trimmed(map->Text("table_options")));
  draft->having = StringSpot(map, "having");
  ReadFields(map, draft, state);
  ReadIndexes(map, draft, state);
  map->WarnUnknown();
  if (draft->node->type == NodeType::kDistinctTable) {
    CheckDistinct(map, draft, state);
  }
}

}  // namespace capi::script
