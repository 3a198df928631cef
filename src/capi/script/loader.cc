#include "capi/script/loader.h"

#include <cstdio>
#include <optional>
#include <utility>

#include "capi/script/load_state_internal.h"
#include "capi/script/parameters.h"
#include "xxhash.h"

namespace capi::script {

namespace {

std::string HexOf(uint64_t hash) {
  char buffer[17];
  std::snprintf(buffer, sizeof(buffer), "%016llx", static_cast<unsigned long long>(hash));
  return buffer;
}

std::string HashOf(std::string_view text) { return HexOf(XXH3_64bits(text.data(), text.size())); }

/// Joins texts so that no two lists of texts give the same bytes.
void AppendCounted(std::string_view text, std::string* out) {
  *out += std::to_string(text.size()) + ":";
  *out += text;
}

/// One call of LoadScript.
class ScriptLoad {
 public:
  ScriptLoad(const LoadOptions& options, Fetcher* fetcher)
      : options_(options), fetcher_(fetcher), diagnostics_(options.strict) {}

  LoadResult Run() {
    auto script = std::make_shared<Script>();
    Load(script.get());
    LoadResult result;
    const bool failed = diagnostics_.has_errors();
    diagnostics_.MoveTo(&result);
    if (!failed) {
      result.script = std::move(script);
    }
    return result;
  }

 private:
  void Load(Script* script) {
    script->url = options_.script_url;
    script->parameters_url = options_.parameters_url;
    script->overrides = options_.overrides;
    script->strict = options_.strict;
    if (!options_.parameters_url.empty()) {
      diagnostics_.NoteFile(options_.parameters_url);
    }
    diagnostics_.NoteFile(options_.script_url);
    std::string parameters_text;
    const bool parameters_read = ReadParameters(&parameters_text);
    const Result<TextFormat> format = FormatOfUrl(options_.script_url);
    if (!format.ok()) {
      diagnostics_.Add(format.status(), {}, "");
    }
    if (!parameters_read || !format.ok()) {
      return;
    }
    const Result<std::string> text = fetcher_->Fetch(options_.script_url);
    if (!text.ok()) {
      diagnostics_.Add(text.status(), SourcePlace{options_.script_url, 0, 0}, "");
      return;
    }
    const std::unique_ptr<SourceText> source =
        parameters_.Apply(options_.script_url, *text, &diagnostics_);
    const Result<const TreeNode*> root = ParseText(*source, *format, &tree_);
    if (!root.ok()) {
      diagnostics_.Add(root.status(), {}, "");
      return;
    }
    LoadState state;
    state.diagnostics = &diagnostics_;
    state.tree = &tree_;
    state.fetcher = fetcher_;
    state.script = script;
    LoadTree(**root, &state);
    script->script_hash = HashOf(source->text());
    SetParametersHash(parameters_text, state, script);
  }

  /// False: the file cannot be read or parsed, so that nothing can be said about the script.
  bool ReadParameters(std::string* text) {
    for (const auto& [name, value] : options_.overrides) {
      parameters_.Override(name, value);
    }
    if (options_.parameters_url.empty()) {
      return true;
    }
    const Result<TextFormat> format = FormatOfUrl(options_.parameters_url);
    if (!format.ok()) {
      diagnostics_.Add(format.status(), {}, "");
      return false;
    }
    Result<std::string> fetched = fetcher_->Fetch(options_.parameters_url);
    if (!fetched.ok()) {
      diagnostics_.Add(fetched.status(), SourcePlace{options_.parameters_url, 0, 0}, "");
      return false;
    }
    *text = *fetched;
    parameters_source_.emplace(options_.parameters_url, *std::move(fetched));
    const Result<const TreeNode*> root = ParseText(*parameters_source_, *format, &tree_);
    if (!root.ok()) {
      diagnostics_.Add(root.status(), {}, "");
      return false;
    }
    parameters_.ReadFile(**root, &diagnostics_);
    return true;
  }

  void LoadTree(const TreeNode& root, LoadState* state) {
    if (root.kind != TreeNode::Kind::kMap) {
      diagnostics_.Error(root, "", "bad_json",
                         root.kind == TreeNode::Kind::kNull
                             ? std::string("the script is empty")
                             : "a script must be a map, not " + std::string(KindName(root.kind)));
      return;
    }
    MapReader map(&root, "", MapKind::kScript, &diagnostics_, &tree_);
    const TreeNode* nodes = map.Map("nodes");
    const TreeNode* policies = map.Map("dependency_policies");
    const bool reported = policies == nullptr && map.Find("dependency_policies") != nullptr;
    map.WarnUnknown();
    LoadNodes(nodes, state);
    if (!reported) {
      LoadPolicies(Spot{policies, "dependency_policies"}, root, state);
    }
    LinkNodes(state);
    CompileNodes(state);
  }

  void SetParametersHash(const std::string& parameters_text, const LoadState& state,
                         Script* script) const {
    std::string joined;
    AppendCounted(parameters_text, &joined);
    for (const auto& [name, value] : options_.overrides) {
      AppendCounted(name, &joined);
      AppendCounted(value, &joined);
    }
    for (const auto& [url, content] : state.other_texts) {
      AppendCounted(url, &joined);
      AppendCounted(content, &joined);
    }
    script->parameters_hash = HashOf(joined);
  }

  const LoadOptions& options_;
  Fetcher* fetcher_;
  Diagnostics diagnostics_;
  Tree tree_;
  std::optional<SourceText> parameters_source_;
  Parameters parameters_;
};

}  // namespace

LoadResult LoadScript(const LoadOptions& options, Fetcher* fetcher) {
  return ScriptLoad(options, fetcher).Run();
}

}  // namespace capi::script
