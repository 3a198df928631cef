#include <map>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/near_name.h"
#include "capi/script/default_value.h"
#include "capi/script/load_state_internal.h"
#include "capi/script/names.h"
#include "capi/script/python_formulas_internal.h"
#include "capi/script/python_sources.h"

namespace capi::script {

namespace {

/// The content of another file; failures are reported at `url`.
std::optional<std::string> FetchText(const TreeNode& url, const std::string& path,
                                     LoadState* state) {
  if (url.kind == TreeNode::Kind::kUnresolved) {
    return std::nullopt;
  }
  Result<std::string> text = state->fetcher->Fetch(url.text);
  if (!text.ok()) {
    state->diagnostics->Add(text.status(), url.place(), path);
    return std::nullopt;
  }
  state->other_texts.emplace_back(url.text, *text);
  return *std::move(text);
}

void ReadCriteria(const TreeNode& map, const std::string& path, NodeDraft* draft,
                  LoadState* state) {
  for (const TreeEntry& entry : NamedEntries(map)) {
    const Spot spot{entry.value, path.empty() ? entry.key : path + "." + entry.key};
    if (!entry.value->is_text()) {
      state->Error(spot, "bad_json",
                   "a string is expected here, not " + std::string(KindName(entry.value->kind)));
      continue;
    }
    draft->criteria.emplace_back(entry.key, spot);
  }
}

/// The map of a criteria file, which is always JSON. Null if reported.
const TreeNode* FetchCriteria(const TreeNode& url, const std::string& path, LoadState* state) {
  std::optional<std::string> text = FetchText(url, path, state);
  if (!text.has_value()) {
    return nullptr;
  }
  state->sources.push_back(std::make_unique<SourceText>(url.text, *std::move(text)));
  state->diagnostics->NoteFile(url.text);
  if (IsBlank(state->sources.back()->text())) {
    state->diagnostics->Error(url, path, "bad_processor",
                              "the criteria file is empty: " + url.text);
    return nullptr;
  }
  const Result<const TreeNode*> root = ParseJson(*state->sources.back(), state->tree);
  if (!root.ok()) {
    state->diagnostics->Add(root.status(), url.place(), "");
    return nullptr;
  }
  if ((*root)->kind != TreeNode::Kind::kMap || (*root)->entries.empty()) {
    state->diagnostics->Error(**root, "", "bad_processor",
                              "a criteria file must be a map of tags and conditions, not empty");
    return nullptr;
  }
  return *root;
}

void ReadTagField(MapReader* map, NodeDraft* draft, LoadState* state) {
  const TreeNode* name = map->String("tag_field_name");
  const bool reported = name == nullptr && map->Find("tag_field_name") != nullptr;
  const bool unresolved = name != nullptr && name->kind == TreeNode::Kind::kUnresolved;
  Processor& processor = *draft->node->processor;
  processor.tag_field = name == nullptr ? std::string() : name->text;
  draft->produced_known = IsIdentifier(processor.tag_field) && !unresolved;
  if (!reported && !unresolved && !draft->produced_known) {
    state->diagnostics->Error(
        map->NodeOr(name), map->PathOf("tag_field_name"), "bad_processor",
        "the name of the field that gets the tag is expected, letters, digits "
        "and _: " +
            processor.tag_field);
  }
  processor.produced = {data::Field{processor.tag_field, data::FieldType::kString}};
  draft->produced.Add(processor.tag_field, data::FieldType::kString);
}

void LoadTagProcessor(MapReader* map, NodeDraft* draft, LoadState* state) {
  ReadTagField(map, draft, state);
  const TreeNode* inline_map = map->Map("tag_criteria");
  const size_t errors_before = state->diagnostics->num_errors();
  const TreeNode* new_url = map->String("tag_criteria_url");
  const TreeNode* old_url = map->String("tag_criteria_uri");
  map->WarnUnknown();
  const TreeNode* url = new_url != nullptr && !new_url->text.empty() ? new_url : old_url;
  const std::string_view url_key = url == new_url ? "tag_criteria_url" : "tag_criteria_uri";
  const bool has_inline = inline_map != nullptr && !inline_map->entries.empty();
  const bool has_url = url != nullptr && !url->text.empty();
  const bool wrong_kind = state->diagnostics->num_errors() > errors_before ||
                          (inline_map == nullptr && map->Find("tag_criteria") != nullptr);
  if (wrong_kind) {
    return;
  }
  if (has_inline == has_url) {
    state->diagnostics->Error(has_url ? *url : map->node(),
                              has_url ? map->PathOf(url_key) : map->path(), "bad_processor",
                              has_url ? "tag_criteria and tag_criteria_url exclude each other"
                                      : "tag_criteria or tag_criteria_url is missing or empty");
    return;
  }
  if (has_inline) {
    ReadCriteria(*inline_map, map->PathOf("tag_criteria"), draft, state);
    return;
  }
  draft->node->processor->tag_criteria_url = url->text;
  const TreeNode* criteria = FetchCriteria(*url, map->PathOf(url_key), state);
  if (criteria != nullptr) {
    ReadCriteria(*criteria, "", draft, state);
  }
}

void ReadCalculatedField(const TreeEntry& entry, const SourcePlace& key_place,
                         const std::string& path, NodeDraft* draft, LoadState* state) {
  MapReader map(entry.value, path, MapKind::kCalculatedField, state->diagnostics, state->tree);
  if (!IsIdentifier(entry.key)) {
    state->diagnostics->ErrorAt(
        key_place, path, "bad_processor",
        "a calculated field is a variable in Python, its name may hold only "
        "letters, digits and _: " +
            entry.key);
  }
  PyField field;
  field.field.name = entry.key;
  const std::optional<data::FieldType> type = ReadFieldType(&map, "type", *state);
  field.field.type = type.value_or(data::FieldType::kString);
  const Spot expression = StringSpot(&map, "expression");
  const bool judged = expression.parent != nullptr;
  if (judged && (!expression.given() || IsBlank(expression.node->text))) {
    state->diagnostics->Error(map.NodeOr(expression.node), expression.path, "bad_processor",
                              "the formula is missing, for example f(r.a)");
  }
  map.WarnUnknown();
  field.expression = expression.given() ? expression.node->text : std::string();
  draft->produced.Add(entry.key, type);
  draft->calculations.push_back(expression);
  draft->node->processor->produced.push_back(field.field);
  draft->node->processor->calculated.push_back(std::move(field));
}

void LoadPyProcessor(MapReader* map, NodeDraft* draft, LoadState* state) {
  Processor& processor = *draft->node->processor;
  const auto urls = map->Strings("python_code_urls");
  const std::string urls_path = map->PathOf("python_code_urls");
  draft->python_complete = true;
  for (const TreeNode* url : urls.value_or(std::vector<const TreeNode*>())) {
    processor.python_urls.push_back(url->text);
    const std::optional<std::string> text = FetchText(*url, urls_path, state);
    draft->python_complete = draft->python_complete && text.has_value();
    processor.python_texts.push_back(text.value_or(""));
    processor.python_source += processor.python_texts.back() + "\n";
  }
  const TreeNode* fields = map->Map("calculated_fields");
  map->WarnUnknown();
  draft->produced_known = fields != nullptr || map->Find("calculated_fields") == nullptr;
  if (fields == nullptr) {
    return;
  }
  for (const TreeEntry& entry : NamedEntries(*fields)) {
    const std::string path = map->PathOf("calculated_fields") + "." + entry.key;
    if (entry.value->kind == TreeNode::Kind::kNull) {
      state->diagnostics->Error(*entry.value, path, "bad_json",
                                "a calculated field must be a map, not null");
      continue;
    }
    ReadCalculatedField(entry, fields->source->PlaceOf(entry.key_begin), path, draft, state);
  }
}

void CompileCriteria(NodeDraft* draft, LoadState* state) {
  Processor& processor = *draft->node->processor;
  ExpressionPlace place;
  place.context = expr::ContextKind::kCond;
  place.declared = data::FieldType::kBool;
  place.allowed = {{"r", draft->reader_fields()}};
  place.prohibited = {"p", "w"};
  for (const auto& [name, spot] : draft->criteria) {
    Tag tag;
    tag.name = name;
    tag.criterion = CompileExpression(spot, place, *state);
    if (tag.criterion != nullptr) {
      for (const expr::Variable& variable : tag.criterion->variables()) {
        draft->processor_reads.push_back(variable.name);
      }
    }
    processor.tags.push_back(std::move(tag));
  }
}

}  // namespace

void LoadProcessor(MapReader* map, NodeDraft* draft, LoadState* state) {
  const std::vector<std::string_view>& types = map->Declared("custom_proc_type").choices;
  const TreeNode* type = map->String("custom_proc_type");
  const bool reported = type == nullptr && map->Find("custom_proc_type") != nullptr;
  if (reported || (type != nullptr && type->kind == TreeNode::Kind::kUnresolved)) {
    map->Find("p");
    return;
  }
  const std::string name = type == nullptr ? std::string() : type->text;
  if (name != types[0] && name != types[1]) {
    map->Find("p");
    state->diagnostics->Error(map->NodeOr(type), map->PathOf("custom_proc_type"),
                              "unknown_processor",
                              name.empty() ? "the processor type is missing: py_calc or "
                                             "tag_and_denormalize is expected"
                                           : "py_calc or tag_and_denormalize is expected: " + name +
                                                 DidYouMean(NearestName(name, types)));
    return;
  }
  Processor& processor = draft->node->processor.emplace();
  processor.type = name == types[0] ? ProcessorType::kPyCalc : ProcessorType::kTagAndDenormalize;
  if (map->Find("p") == nullptr) {
    state->diagnostics->Error(map->node(), map->PathOf("p"), "bad_processor",
                              "the node has no settings of its processor (p)");
    return;
  }
  const bool is_py = processor.type == ProcessorType::kPyCalc;
  MapReader settings = map->Below("p", is_py ? MapKind::kPyProcessor : MapKind::kTagProcessor);
  draft->processor = Spot{map->Find("p"), settings.path()};
  if (!settings.exists()) {
    return;
  }
  if (is_py) {
    LoadPyProcessor(&settings, draft, state);
  } else {
    LoadTagProcessor(&settings, draft, state);
  }
}

void CompileProcessor(NodeDraft* draft, LoadState* state) {
  if (!draft->node->processor) {
    return;
  }
  if (draft->node->processor->type == ProcessorType::kPyCalc) {
    CompileFormulas(draft, state);
  } else {
    CompileCriteria(draft, state);
  }
}

}  // namespace capi::script
