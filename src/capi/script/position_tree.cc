#include "capi/script/position_tree.h"

#include <algorithm>
#include <unordered_map>

namespace capi::script {

namespace {

/// Bytes of UTF-8 needed for a code point.
int64_t Utf8Length(uint32_t code_point) {
  return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
}

/// Reads the escape at text[*at] (a backslash), moves *at behind it and returns the bytes it stands
/// for.
int64_t SkipEscape(std::string_view text, size_t* at) {
  const size_t begin = *at;
  const char kind = begin + 1 < text.size() ? text[begin + 1] : '\0';
  const size_t num_digits = kind == 'u' ? 4 : kind == 'x' ? 2 : kind == 'U' ? 8 : 0;
  *at = std::min(text.size(), begin + 2 + num_digits);
  if (num_digits == 0) {
    // YAML: next line, no-break space, line and paragraph separator.
    return kind == 'N' || kind == '_' ? 2 : kind == 'L' || kind == 'P' ? 3 : 1;
  }
  uint32_t code_point = 0;
  for (size_t i = begin + 2; i < *at; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'                     ? c - '0'
                      : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                               : 0;
    code_point = code_point * 16 + static_cast<uint32_t>(digit);
  }
  const bool high_surrogate = code_point >= 0xd800 && code_point < 0xdc00;
  if (high_surrogate && text.substr(*at, 2) == "\\u") {
    *at = std::min(text.size(), *at + 6);
    return 4;
  }
  return Utf8Length(code_point);
}

}  // namespace

SourcePlace TreeNode::PlaceInside(int64_t offset) const {
  if (offset < 0 || !is_text() || style == Style::kOther) {
    return place();
  }
  const std::string_view whole = source->text();
  size_t at = static_cast<size_t>(begin) + (style == Style::kPlain ? 0 : 1);
  int64_t seen = 0;
  while (seen < offset) {
    // Folded lines do not keep their bytes; the beginning has to do.
    if (at >= whole.size() || whole[at] == '\n') {
      return place();
    }
    if (style == Style::kDoubleQuoted && whole[at] == '\\') {
      seen += SkipEscape(whole, &at);
    } else {
      at += style == Style::kSingleQuoted && whole.substr(at, 2) == "''" ? 2 : 1;
      ++seen;
    }
  }
  return source->PlaceOf(static_cast<int64_t>(at));
}

std::string_view KindName(TreeNode::Kind kind) {
  switch (kind) {
    case TreeNode::Kind::kNull:
      return "null";
    case TreeNode::Kind::kBool:
      return "true or false";
    case TreeNode::Kind::kNumber:
      return "a number";
    case TreeNode::Kind::kString:
    case TreeNode::Kind::kUnresolved:
      return "a string";
    case TreeNode::Kind::kList:
      return "a list";
    case TreeNode::Kind::kMap:
      return "a map";
  }
  return "unknown";
}

TreeNode* Tree::New(TreeNode::Kind kind, const SourceText* source, int64_t begin) {
  TreeNode& node = nodes_.emplace_back();
  node.kind = kind;
  node.source = source;
  node.begin = begin;
  return &node;
}

Result<TextFormat> FormatOfUrl(std::string_view url) {
  if (url.ends_with(".json")) {
    return TextFormat::kJson;
  }
  if (url.ends_with(".yaml")) {
    return TextFormat::kYaml;
  }
  ErrorInfo info;
  info.kind = ErrorKind::kUser;
  info.error_class = "unknown_script_format";
  info.place.file = std::string(url);
  return MakeError(std::move(info), "the address must end with .json or .yaml (in lower case)");
}

Result<const TreeNode*> ParseText(const SourceText& source, TextFormat format, Tree* tree) {
  return format == TextFormat::kJson ? ParseJson(source, tree) : ParseYaml(source, tree);
}

bool EqualsIgnoringCase(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [lower](char a, char b) { return lower(a) == lower(b); });
}

std::vector<TreeEntry> NamedEntries(const TreeNode& map) {
  std::unordered_map<std::string_view, size_t> last;
  for (size_t i = 0; i < map.entries.size(); ++i) {
    last[map.entries[i].key] = i;
  }
  std::vector<TreeEntry> entries;
  for (size_t i = 0; i < map.entries.size(); ++i) {
    if (last[map.entries[i].key] == i) {
      entries.push_back(map.entries[i]);
    }
  }
  return entries;
}

}  // namespace capi::script
