#include <algorithm>
#include <exception>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "capi/script/position_tree.h"
#include "capi/script/yaml_scalar_internal.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace capi::script {

namespace {

constexpr std::string_view kCoreTag = "tag:yaml.org,2002:";

Status YamlError(const SourceText& source, int64_t offset, std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = "bad_json";
  info.place = source.PlaceOf(offset);
  return MakeError(std::move(info), std::move(message));
}

/// Stops the parser from inside a handler. Thrown and caught in this file only, because the library
/// has no other way to stop.
struct StopParsing {
  Status status;
};

class TreeHandler : public YAML::EventHandler {
 public:
  /// `skipped`: bytes of a byte order mark the parser did not get.
  TreeHandler(const SourceText& source, int64_t skipped, Tree* tree)
      : source_(source), skipped_(skipped), tree_(tree) {}

  const TreeNode* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const TreeNode* node = tree_->New(TreeNode::Kind::kNull, &source_, NullOffset(mark));
    Anchor(anchor, node);
    Add(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      Stop(OffsetOf(mark), "an alias must not stand inside the value it refers to");
    }
    Add(found->second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const int64_t begin = OffsetOf(mark);
    TreeNode* node = tree_->New(TreeNode::Kind::kString, &source_, begin);
    node->style = StyleAt(begin);
    node->text = value;
    if (tag == "?") {
      Resolve(node, ResolvePlainScalar(value));
    } else if (tag.starts_with(kCoreTag)) {
      ApplyTag(node, std::string_view(tag).substr(kCoreTag.size()));
    }
    if (node->kind == TreeNode::Kind::kString && source_.MentionsUnresolved(node->text)) {
      node->kind = TreeNode::Kind::kUnresolved;
    }
    Anchor(anchor, node);
    Add(node);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(TreeNode::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(TreeNode::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override {
    Merge(&open_.back());
    Close();
  }

 private:
  struct OpenNode {
    TreeNode* node = nullptr;
    YAML::anchor_t anchor = 0;
    std::optional<TreeEntry> pending;  // a key that waits for its value
    bool pending_merge = false;
    std::vector<const TreeNode*> merges;
  };

  [[noreturn]] void Stop(int64_t offset, std::string message) {
    throw StopParsing{YamlError(source_, offset, std::move(message))};
  }

  int64_t OffsetOf(const YAML::Mark& mark) const {
    const int64_t size = static_cast<int64_t>(source_.text().size());
    return std::clamp(mark.pos + skipped_, int64_t{0}, size);
  }

  /// A value left out has the place of its key: the mark is that of whatever comes next.
  int64_t NullOffset(const YAML::Mark& mark) const {
    const int64_t offset = OffsetOf(mark);
    const std::string_view text =
        std::string_view(source_.text()).substr(static_cast<size_t>(offset));
    const bool written = text.starts_with("~") || text.starts_with("null") ||
                         text.starts_with("Null") || text.starts_with("NULL");
    const bool has_key = !open_.empty() && open_.back().pending.has_value();
    return written || !has_key ? offset : open_.back().pending->key_begin;
  }

  TreeNode::Style StyleAt(int64_t begin) const {
    const std::string& text = source_.text();
    const char c =
        begin < static_cast<int64_t>(text.size()) ? text[static_cast<size_t>(begin)] : '|';
    switch (c) {
      case '"':
        return TreeNode::Style::kDoubleQuoted;
      case '\'':
        return TreeNode::Style::kSingleQuoted;
      case '|':
      case '>':
      case '!':
      case '&':
        return TreeNode::Style::kOther;
      default:
        return TreeNode::Style::kPlain;
    }
  }

  void Resolve(TreeNode* node, YamlScalar scalar) {
    if (scalar.not_in_json) {
      Stop(node->begin, "not a number a script can hold: " + scalar.text);
    }
    node->kind = scalar.kind;
    node->boolean = scalar.boolean;
    node->text = std::move(scalar.text);
  }

  void ApplyTag(TreeNode* node, std::string_view tag) {
    if (tag == "str") {
      return;
    }
    Resolve(node, ResolvePlainScalar(node->text));
    const bool fits = (tag == "int" && node->kind == TreeNode::Kind::kNumber) ||
                      (tag == "float" && node->kind == TreeNode::Kind::kNumber) ||
                      (tag == "bool" && node->kind == TreeNode::Kind::kBool) ||
                      (tag == "null" && node->kind == TreeNode::Kind::kNull) ||
                      (tag == "timestamp" && node->kind == TreeNode::Kind::kString);
    if (!fits) {
      Stop(node->begin, "the value does not fit its tag: !!" + std::string(tag));
    }
  }

  void Anchor(YAML::anchor_t anchor, const TreeNode* node) {
    if (anchor != 0) {
      anchors_[anchor] = node;
    }
  }

  void Open(TreeNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= static_cast<size_t>(kMaxTreeDepth)) {
      Stop(OffsetOf(mark), "maps and lists are nested too deeply: at most " +
                               std::to_string(kMaxTreeDepth) + " levels are allowed");
    }
    OpenNode open;
    open.node = tree_->New(kind, &source_, OffsetOf(mark));
    open.anchor = anchor;
    open_.push_back(std::move(open));
  }

  void Close() {
    const TreeNode* node = open_.back().node;
    Anchor(open_.back().anchor, node);
    open_.pop_back();
    Add(node);
  }

  void Add(const TreeNode* node) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    OpenNode& open = open_.back();
    if (open.node->kind == TreeNode::Kind::kList) {
      open.node->items.push_back(node);
    } else if (open.pending_merge) {
      open.pending_merge = false;
      open.merges.push_back(node);
    } else if (!open.pending.has_value()) {
      AddKey(&open, *node);
    } else {
      open.pending->value = node;
      open.node->entries.push_back(*std::move(open.pending));
      open.pending.reset();
    }
  }

  void AddKey(OpenNode* open, const TreeNode& key) {
    if (!key.is_text()) {
      Stop(key.begin,
           "keys must be strings (quote them), but this is " + std::string(KindName(key.kind)));
    }
    if (key.text == "<<" && key.style == TreeNode::Style::kPlain) {
      open->pending_merge = true;
      return;
    }
    for (const TreeEntry& entry : open->node->entries) {
      if (entry.key == key.text) {
        Stop(key.begin, "the key stands twice in the same map: " + key.text);
      }
    }
    TreeEntry entry;
    entry.key = key.text;
    entry.key_begin = key.begin;
    open->pending = std::move(entry);
  }

  /// Adds the entries of `<<`: own keys win, then earlier maps of a list.
  void Merge(OpenNode* open) {
    std::vector<const TreeNode*> maps;
    for (const TreeNode* merged : open->merges) {
      if (merged->kind == TreeNode::Kind::kList) {
        maps.insert(maps.end(), merged->items.begin(), merged->items.end());
      } else {
        maps.push_back(merged);
      }
    }
    std::vector<TreeEntry>& entries = open->node->entries;
    for (const TreeNode* map : maps) {
      if (map->kind != TreeNode::Kind::kMap) {
        Stop(map->begin,
             "<< needs a map or a list of maps, but this is " + std::string(KindName(map->kind)));
      }
      for (const TreeEntry& entry : map->entries) {
        const bool known = std::any_of(entries.begin(), entries.end(),
                                       [&](const TreeEntry& own) { return own.key == entry.key; });
        if (!known) {
          entries.push_back(entry);
        }
      }
    }
  }

  const SourceText& source_;
  const int64_t skipped_;
  Tree* tree_;
  std::vector<OpenNode> open_;
  std::map<YAML::anchor_t, const TreeNode*> anchors_;
  const TreeNode* root_ = nullptr;
};

}  // namespace

Result<const TreeNode*> ParseYaml(const SourceText& source, Tree* tree) {
  const std::string& text = source.text();
  // The library takes these as the end of the text or as another encoding.
  const size_t bad = text.find_first_of(std::string_view("\0\4", 2));
  if (bad != std::string::npos) {
    return YamlError(source, static_cast<int64_t>(bad),
                     "a YAML file must not contain control characters");
  }
  if (text.starts_with("\xfe\xff") || text.starts_with("\xff\xfe")) {
    return YamlError(source, 0, "a YAML file must be UTF-8");
  }
  const size_t skipped = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  TreeHandler handler(source, static_cast<int64_t>(skipped), tree);
  try {
    std::istringstream stream(text.substr(skipped));
    YAML::Parser parser(stream);
    parser.HandleNextDocument(handler);
  } catch (const StopParsing& stop) {
    return stop.status;
  } catch (const YAML::Exception& error) {
    const int64_t offset =
        error.mark.is_null() ? 0 : error.mark.pos + static_cast<int64_t>(skipped);
    return YamlError(source, std::clamp(offset, int64_t{0}, static_cast<int64_t>(text.size())),
                     "not valid YAML: " + error.msg);
  } catch (const std::exception& error) {
    return YamlError(source, 0, std::string("not valid YAML: ") + error.what());
  }
  if (handler.root() == nullptr) {
    return tree->New(TreeNode::Kind::kNull, &source, 0);
  }
  return handler.root();
}

}  // namespace capi::script
