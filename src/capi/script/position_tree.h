#pragma once

// What a JSON or YAML text says, with the place of every value. The rules that are common to
// scripts, parameter files and criteria files (spec/script.md 1) are applied on this tree, so that
// they are the same for both formats.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/script/source_text.h"

namespace capi::script {

struct TreeNode;

struct TreeEntry {
  std::string key;
  int64_t key_begin = 0;  ///< offset of the key in the parsed text
  const TreeNode* value = nullptr;
};

struct TreeNode {
  enum class Kind : uint8_t {
    kNull,
    kBool,
    kNumber,
    kString,
    kUnresolved,  ///< a string with a placeholder that was reported already: nothing more to say
    kList,
    kMap
  };
  /// How a string is written, to find a character of it in the file.
  enum class Style : uint8_t {
    kPlain,         ///< the text itself
    kDoubleQuoted,  ///< with backslash escapes
    kSingleQuoted,  ///< with doubled quotes
    kOther          ///< blocks and folded lines: only the beginning is known
  };

  Kind kind = Kind::kNull;
  Style style = Style::kOther;
  bool boolean = false;
  /// The string, or the number in JSON notation.
  std::string text;
  int64_t begin = 0;  ///< offset in the parsed text
  const SourceText* source = nullptr;
  std::vector<const TreeNode*> items;
  std::vector<TreeEntry> entries;

  SourcePlace place() const { return source->PlaceOf(begin); }
  /// Place of byte `offset` of a string's text.
  SourcePlace PlaceInside(int64_t offset) const;
  bool is_text() const { return kind == Kind::kString || kind == Kind::kUnresolved; }
};

/// "a map", "a string", ... for messages.
std::string_view KindName(TreeNode::Kind kind);

/// Owns nodes; they live as long as the tree does. Aliases of YAML make nodes shared.
class Tree {
 public:
  TreeNode* New(TreeNode::Kind kind, const SourceText* source, int64_t begin);

 private:
  std::deque<TreeNode> nodes_;
};

/// Deepest nesting of maps and lists in a text.
constexpr int kMaxTreeDepth = 200;

/// Parses a whole text; the result belongs to `tree`, `source` must outlive it. Errors are kUser of
/// class "bad_json" with a place.
Result<const TreeNode*> ParseJson(const SourceText& source, Tree* tree);
/// The first document of the text. An empty text is a null node.
Result<const TreeNode*> ParseYaml(const SourceText& source, Tree* tree);

enum class TextFormat : uint8_t { kJson, kYaml };
/// By the ending of the address alone (spec/script.md 1): class "unknown_script_format".
Result<TextFormat> FormatOfUrl(std::string_view url);
Result<const TreeNode*> ParseText(const SourceText& source, TextFormat format, Tree* tree);

/// Keys with a fixed spelling match whatever the case of their letters.
bool EqualsIgnoringCase(std::string_view left, std::string_view right);

/// Entries of a map whose keys are invented by the author: of equal keys the last one is kept.
std::vector<TreeEntry> NamedEntries(const TreeNode& map);

}  // namespace capi::script
