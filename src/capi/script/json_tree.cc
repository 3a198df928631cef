#include <string>
#include <utility>
#include <vector>

#include "capi/script/position_tree.h"

// RapidJSON 1.1 adds offsets to the null pointer of its empty stack, which sanitizers report.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include "rapidjson/error/en.h"
#include "rapidjson/reader.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif

namespace capi::script {

namespace {

Status JsonError(const SourceText& source, int64_t offset, std::string message) {
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = "bad_json";
  info.place = source.PlaceOf(offset);
  return MakeError(std::move(info), std::move(message));
}

/// A bounded input of RapidJSON that tells its position at any time (the library's own string
/// stream is copied while a string is read and tells too late).
class TellingStream {
 public:
  using Ch = char;
  explicit TellingStream(std::string_view text) : text_(text) {}
  Ch Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  Ch Take() { return at_ < text_.size() ? text_[at_++] : '\0'; }
  size_t Tell() const { return at_; }
  // Needed by the library's concept, used only for parsing in place.
  Ch* PutBegin() { return nullptr; }
  void Put(Ch) {}
  void Flush() {}
  size_t PutEnd(Ch*) { return 0; }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

class TreeBuilder {
 public:
  TreeBuilder(const SourceText& source, const TellingStream& stream, Tree* tree)
      : source_(source), stream_(stream), tree_(tree) {}

  bool Null() { return Add(New(TreeNode::Kind::kNull)); }
  bool Bool(bool value) {
    TreeNode* node = New(TreeNode::Kind::kBool);
    node->boolean = value;
    return Add(node);
  }
  bool RawNumber(const char*, rapidjson::SizeType, bool) {
    TreeNode* node = New(TreeNode::Kind::kNumber);
    node->text = source_.text().substr(static_cast<size_t>(node->begin),
                                       stream_.Tell() - static_cast<size_t>(node->begin));
    return Add(node);
  }
  bool String(const char* text, rapidjson::SizeType length, bool) {
    TreeNode* node = New(TreeNode::Kind::kString);
    node->text.assign(text, length);
    node->style = TreeNode::Style::kDoubleQuoted;
    if (source_.MentionsUnresolved(node->text)) {
      node->kind = TreeNode::Kind::kUnresolved;
    }
    return Add(node);
  }
  bool StartObject() { return Open(TreeNode::Kind::kMap); }
  bool Key(const char* text, rapidjson::SizeType length, bool) {
    TreeEntry entry;
    entry.key.assign(text, length);
    entry.key_begin = TokenBegin();
    open_.back()->entries.push_back(std::move(entry));
    end_ = stream_.Tell();
    return true;
  }
  bool EndObject(rapidjson::SizeType) { return Close(); }
  bool StartArray() { return Open(TreeNode::Kind::kList); }
  bool EndArray(rapidjson::SizeType) { return Close(); }
  // Numbers arrive as text.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }

  const TreeNode* root() const { return root_; }
  bool too_deep() const { return open_.size() >= static_cast<size_t>(kMaxTreeDepth); }

 private:
  /// The library reports a token when it has read it; it begins after the blanks and punctuation
  /// that follow the token before.
  int64_t TokenBegin() const {
    size_t at = end_;
    while (at < source_.text().size()) {
      const char c = source_.text()[at];
      if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != ',' && c != ':') {
        break;
      }
      ++at;
    }
    return static_cast<int64_t>(at);
  }
  TreeNode* New(TreeNode::Kind kind) {
    TreeNode* node = tree_->New(kind, &source_, TokenBegin());
    end_ = stream_.Tell();
    return node;
  }
  bool Add(const TreeNode* node) {
    if (open_.empty()) {
      root_ = node;
    } else if (open_.back()->kind == TreeNode::Kind::kMap) {
      open_.back()->entries.back().value = node;
    } else {
      open_.back()->items.push_back(node);
    }
    return true;
  }
  bool Open(TreeNode::Kind kind) {
    if (too_deep()) {
      return false;
    }
    TreeNode* node = New(kind);
    Add(node);
    open_.push_back(node);
    return true;
  }
  bool Close() {
    open_.pop_back();
    end_ = stream_.Tell();
    return true;
  }

  const SourceText& source_;
  const TellingStream& stream_;
  Tree* tree_;
  size_t end_ = 0;  // behind the last token
  std::vector<TreeNode*> open_;
  const TreeNode* root_ = nullptr;
};

}  // namespace

Result<const TreeNode*> ParseJson(const SourceText& source, Tree* tree) {
  const std::string& text = source.text();
  if (text.starts_with("\xef\xbb\xbf")) {
    return JsonError(source, 0, "a JSON file must not begin with a byte order mark");
  }
  const size_t zero = text.find('\0');
  if (zero != std::string::npos) {
    return JsonError(source, static_cast<int64_t>(zero), "a JSON file must not contain zero bytes");
  }
  TellingStream stream(text);
  TreeBuilder builder(source, stream, tree);
  rapidjson::Reader reader;
  const rapidjson::ParseResult result =
      reader.Parse<rapidjson::kParseNumbersAsStringsFlag>(stream, builder);
  if (result.IsError()) {
    const int64_t offset = static_cast<int64_t>(result.Offset());
    if (result.Code() == rapidjson::kParseErrorTermination && builder.too_deep()) {
      return JsonError(source, offset,
                       "maps and lists are nested too deeply: at most " +
                           std::to_string(kMaxTreeDepth) + " levels are allowed");
    }
    if (result.Code() == rapidjson::kParseErrorDocumentEmpty) {
      return JsonError(source, offset, "the file is empty, a JSON map is expected");
    }
    return JsonError(source, offset,
                     std::string("not valid JSON: ") + rapidjson::GetParseError_En(result.Code()));
  }
  return builder.root();
}

}  // namespace capi::script
