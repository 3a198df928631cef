#pragma once

// The keys of scripts as data: what the loader accepts and what the JSON Schema says come from
// these tables (spec/script.md 3-13).

#include <cstdint>
#include <string_view>
#include <vector>

#include "capi/script/model.h"

namespace capi::script {

/// Maps whose keys have a fixed spelling.
enum class MapKind : uint8_t {
  kScript,
  kNode,
  kFileReader,
  kFileReaderCsv,
  kRowErrors,
  kReaderColumn,
  kReaderColumnCsv,
  kReaderColumnParquet,
  kTableReader,
  kLookup,
  kTagProcessor,
  kPyProcessor,
  kCalculatedField,
  kTableWriter,
  kTableField,
  kFileWriter,
  kFileWriterCsv,
  kFileWriterParquet,
  kFileWriterTop,
  kFileColumn,
  kFileColumnCsv,
  kFileColumnParquet,
  kPolicy,
  kRule,
};
constexpr size_t kNumMapKinds = static_cast<size_t>(MapKind::kRule) + 1;

enum class ValueKind : uint8_t {
  kString,
  kInteger,
  kBoolean,
  kStrings,       ///< a list of strings
  kMap,           ///< a map of the kind `below`
  kNamedMaps,     ///< names of the author to maps of the kind `below`
  kNamedStrings,  ///< names of the author to strings
  kMaps,          ///< a list of maps of the kind `below`
  kNodePart,      ///< a map whose kind depends on the node (PartsOf)
};

struct KeyDeclaration {
  std::string_view name;
  ValueKind kind = ValueKind::kString;
  std::string_view meaning;
  MapKind below = MapKind::kScript;
  bool required = false;
  /// Strings: the allowed ones; empty = any.
  std::vector<std::string_view> choices = {};
  /// Integers: the allowed range.
  int64_t least = INT64_MIN;
  int64_t most = INT64_MAX;
};

/// What the map is called in the schema, and its keys.
struct MapDeclaration {
  std::string_view name;
  std::vector<KeyDeclaration> keys;

  /// Null if there is no such key. The name must have the declared spelling.
  const KeyDeclaration* Find(std::string_view key) const;
};

const MapDeclaration& DeclarationOf(MapKind kind);

/// What the keys r, w and l, p of a node hold.
struct NodeParts {
  NodeType type = NodeType::kFileTable;
  MapKind reader = MapKind::kTableReader;
  MapKind writer = MapKind::kTableWriter;
  bool has_lookup = false;
  bool has_processor = false;
};
/// Of all node types, in the order of NodeType.
const std::vector<NodeParts>& AllNodeParts();
const NodeParts& PartsOf(NodeType type);

}  // namespace capi::script
