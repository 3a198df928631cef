#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/near_name.h"
#include "capi/script/load_state_internal.h"

namespace capi::script {

namespace {

constexpr int64_t kUsualBatchProcessingMs = 60000;

std::optional<NodeType> ReadNodeType(MapReader* map, LoadState* state) {
  const TreeNode* value = map->Find("type");
  const TreeNode* text = map->String("type");
  const bool reported = value != nullptr && text == nullptr;
  if (reported || (text != nullptr && text->kind == TreeNode::Kind::kUnresolved)) {
    return std::nullopt;
  }
  for (const NodeParts& parts : AllNodeParts()) {
    if (text != nullptr && text->text == NodeTypeName(parts.type)) {
      return parts.type;
    }
  }
  const std::vector<std::string_view>& names = map->Declared("type").choices;
  std::string expected = "one of";
  for (const std::string_view name : names) {
    expected += " " + std::string(name);
  }
  expected += " is expected";
  state->diagnostics->Error(
      map->NodeOr(text), map->PathOf("type"), "bad_node_type",
      text == nullptr ? "the type of the node is missing: " + expected
                      : expected + ": " + text->text + DidYouMean(NearestName(text->text, names)));
  return std::nullopt;
}

/// True if the key holds the second of its two choices, false for the first or an absent key;
/// anything else is reported.
bool ReadChoice(MapReader* map, std::string_view key, std::string_view error_class,
                LoadState* state) {
  const std::vector<std::string_view>& choices = map->Declared(key).choices;
  const std::string usual(choices[0]);
  const std::string other(choices[1]);
  const TreeNode* value = map->String(key);
  if (value == nullptr || value->kind == TreeNode::Kind::kUnresolved || value->text.empty() ||
      value->text == usual) {
    return false;
  }
  if (value->text != other) {
    state->diagnostics->Error(*value, map->PathOf(key), error_class,
                              usual + " or " + other + " is expected: " + value->text +
                                  DidYouMean(NearestName(value->text, choices)));
  }
  return value->text == other;
}

void ReadCommonSettings(MapReader* map, NodeDraft* draft, LoadState* state) {
  Node& node = *draft->node;
  node.description = map->Text("desc");
  node.manual = ReadChoice(map, "start_policy", "bad_start_policy", state);
  node.rerun_fails = ReadChoice(map, "rerun_policy", "bad_rerun_policy", state);
  const int64_t limit = map->Integer("max_batch_processing_time").value_or(0);
  node.max_batch_processing_ms = limit == 0 ? kUsualBatchProcessingMs : limit;
  map->String("handler_exe_type");
  draft->policy = Spot{map->String("dependency_policy"), map->PathOf("dependency_policy")};
}

/// Reports an absent part of a node.
MapReader Required(MapReader* map, std::string_view key, MapKind kind, std::string_view what,
                   LoadState* state) {
  if (map->Find(key) == nullptr) {
    state->diagnostics->Error(map->node(), map->PathOf(key), "bad_json",
                              "the node has no " + std::string(what));
  }
  return map->Below(key, kind);
}

void CheckDistinctPolicy(MapReader* map, LoadState* state) {
  const TreeNode* policy = map->Find("rerun_policy");
  const bool is_rerun = policy == nullptr || (policy->kind == TreeNode::Kind::kString &&
                                              (policy->text.empty() || policy->text == "rerun"));
  if (is_rerun) {
    state->diagnostics->Error(map->NodeOr(policy), map->PathOf("rerun_policy"),
                              "distinct_needs_fail_policy",
                              "a distinct_table node must say rerun_policy: fail");
  }
}

void LoadNode(MapReader* map, NodeDraft* draft, LoadState* state) {
  ReadCommonSettings(map, draft, state);
  const std::optional<NodeType> type = ReadNodeType(map, state);
  if (!type.has_value()) {
    return;
  }
  draft->type_known = true;
  draft->node->type = *type;
  if (*type == NodeType::kDistinctTable) {
    CheckDistinctPolicy(map, state);
  }
  const NodeParts& parts = PartsOf(*type);
  MapReader reader = Required(map, "r", parts.reader, "reader (r)", state);
  if (parts.reader == MapKind::kFileReader) {
    LoadFileReader(&reader, draft, state);
  } else {
    LoadTableReader(&reader, draft, state);
  }
  const std::string not_used =
      "nodes of type " + std::string(NodeTypeName(*type)) + " do not use this key";
  if (parts.has_lookup) {
    MapReader lookup = Required(map, "l", MapKind::kLookup, "lookup (l)", state);
    LoadLookup(&lookup, draft, state);
  } else {
    MapReader lookup = map->Below("l", MapKind::kLookup);
    LoadLookup(&lookup, draft, state);
    map->IgnoreKey("l", not_used);
  }
  if (parts.has_processor) {
    LoadProcessor(map, draft, state);
  } else {
    map->String("custom_proc_type");
    map->IgnoreKey("custom_proc_type", not_used);
    map->IgnoreKey("p", not_used);
  }
  MapReader writer = Required(map, "w", parts.writer, "writer (w)", state);
  if (parts.writer == MapKind::kFileWriter) {
    LoadFileWriter(&writer, draft, state);
  } else {
    LoadTableWriter(&writer, draft, state);
  }
  map->WarnUnknown();
}

}  // namespace

void LoadNodes(const TreeNode* nodes, LoadState* state) {
  if (nodes == nullptr) {
    return;
  }
  for (const TreeEntry& entry : NamedEntries(*nodes)) {
    auto node = std::make_unique<Node>();
    node->name = entry.key;
    node->place = nodes->source->PlaceOf(entry.key_begin);
    NodeDraft& draft = state->drafts.emplace_back();
    draft.node = node.get();
    draft.spot = Spot{entry.value, "nodes." + entry.key};
    state->script->nodes.push_back(std::move(node));
    if (entry.value->kind == TreeNode::Kind::kNull) {
      state->Error(draft.spot, "bad_json", "a node must be a map, not null");
      continue;
    }
    if (entry.key.empty() || entry.key.find(',') != std::string::npos) {
      state->diagnostics->WarnAt(
          draft.node->place, draft.spot.path, "unusable_name",
          "a node of this name cannot be named as a start node: " + entry.key);
    }
    MapReader map = state->Reader(draft.spot, MapKind::kNode);
    if (map.exists()) {
      LoadNode(&map, &draft, state);
    }
  }
}

}  // namespace capi::script
