#pragma once

// Reads a map whose keys have a fixed spelling (spec/script.md 1): letter case does not matter,
// null is the same as an absent key, repeated keys merge, types are checked strictly, unknown keys
// are warned about.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/script/declarations.h"
#include "capi/script/diagnostics_internal.h"
#include "capi/script/position_tree.h"

namespace capi::script {

class MapReader {
 public:
  /// `node` null: nothing is found. A node that is no map is reported ("bad_json"). `kind` declares
  /// the keys; asking for others is a mistake of the caller. `tree` keeps merged maps.
  MapReader(const TreeNode* node, std::string path, MapKind kind, Diagnostics* diagnostics,
            Tree* tree);

  const KeyDeclaration& Declared(std::string_view key) const;

  bool exists() const { return node_ != nullptr; }
  const std::string& path() const { return path_; }
  std::string PathOf(std::string_view key) const;
  /// For errors about absent keys. Requires exists().
  const TreeNode& node() const { return *node_; }
  /// The value's place, or the map's if the key is absent.
  const TreeNode& NodeOr(const TreeNode* value) const { return value != nullptr ? *value : *node_; }

  /// Null if absent or null.
  const TreeNode* Find(std::string_view key);
  /// Typed values; null or nullopt if absent or reported as wrong. A string may be kUnresolved; the
  /// others treat an unresolved placeholder as absent.
  const TreeNode* String(std::string_view key);
  /// "" if absent.
  std::string Text(std::string_view key);
  std::optional<int64_t> Integer(std::string_view key);
  std::optional<bool> Boolean(std::string_view key);
  /// Null if absent or reported as no map.
  const TreeNode* Map(std::string_view key);
  /// Null if absent or reported as no list.
  const TreeNode* List(std::string_view key);
  /// Items of a list of strings; nullopt if absent.
  std::optional<std::vector<const TreeNode*>> Strings(std::string_view key);

  /// A reader for the map below `key`, of the declared kind.
  MapReader Below(std::string_view key);
  /// For parts of a node, whose kind depends on the node.
  MapReader Below(std::string_view key, MapKind kind);

  /// Warns about a key that has no meaning here.
  void IgnoreKey(std::string_view key, std::string_view reason);
  /// Warns about keys that are not declared or stand twice.
  void WarnUnknown();

 private:
  const TreeNode* WithKind(std::string_view key, TreeNode::Kind kind);
  /// Declared and read as the same kind?
  bool IsDeclaredAs(std::string_view key, TreeNode::Kind kind) const;
  void WrongKind(const TreeNode& value, std::string_view key, std::string_view expected);

  const TreeNode* node_;
  std::string path_;
  Diagnostics* diagnostics_;
  Tree* tree_;
  const MapDeclaration* declaration_;
};

/// Integral JSON notation that fits 64 bits.
std::optional<int64_t> IntegerOf(const TreeNode& number);

}  // namespace capi::script
