#include <algorithm>
#include <cassert>
#include <charconv>
#include <utility>

#include "capi/base/near_name.h"
#include "capi/script/map_reader_internal.h"

namespace capi::script {

std::optional<int64_t> IntegerOf(const TreeNode& number) {
  int64_t value = 0;
  const char* end = number.text.data() + number.text.size();
  const auto [read, error] = std::from_chars(number.text.data(), end, value);
  return error == std::errc() && read == end ? std::optional(value) : std::nullopt;
}

MapReader::MapReader(const TreeNode* node, std::string path, MapKind kind, Diagnostics* diagnostics,
                     Tree* tree)
    : node_(node),
      path_(std::move(path)),
      diagnostics_(diagnostics),
      tree_(tree),
      declaration_(&DeclarationOf(kind)) {
  if (node_ != nullptr && node_->kind != TreeNode::Kind::kMap) {
    if (node_->kind != TreeNode::Kind::kUnresolved) {
      diagnostics_->Error(*node_, path_, "bad_json",
                          "a map is expected here, not " + std::string(KindName(node_->kind)));
    }
    node_ = nullptr;
  }
}

const KeyDeclaration& MapReader::Declared(std::string_view key) const {
  const KeyDeclaration* declared = declaration_->Find(key);
  assert(declared != nullptr);
  return *declared;
}

bool MapReader::IsDeclaredAs(std::string_view key, TreeNode::Kind kind) const {
  switch (Declared(key).kind) {
    case ValueKind::kString:
      return kind == TreeNode::Kind::kString;
    case ValueKind::kInteger:
      return kind == TreeNode::Kind::kNumber;
    case ValueKind::kBoolean:
      return kind == TreeNode::Kind::kBool;
    case ValueKind::kStrings:
    case ValueKind::kMaps:
      return kind == TreeNode::Kind::kList;
    case ValueKind::kMap:
    case ValueKind::kNamedMaps:
    case ValueKind::kNamedStrings:
    case ValueKind::kNodePart:
      return kind == TreeNode::Kind::kMap;
  }
  return false;
}

std::string MapReader::PathOf(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

const TreeNode* MapReader::Find(std::string_view key) {
  assert(declaration_->Find(key) != nullptr);
  if (node_ == nullptr) {
    return nullptr;
  }
  const TreeNode* found = nullptr;
  TreeNode* merged = nullptr;
  for (const TreeEntry& entry : node_->entries) {
    if (entry.value->kind == TreeNode::Kind::kNull || !EqualsIgnoringCase(entry.key, key)) {
      continue;
    }
    const bool both_maps = found != nullptr && found->kind == TreeNode::Kind::kMap &&
                           entry.value->kind == TreeNode::Kind::kMap;
    if (both_maps) {
      if (merged == nullptr) {
        merged = tree_->New(TreeNode::Kind::kMap, found->source, found->begin);
        merged->entries = found->entries;
      }
      merged->entries.insert(merged->entries.end(), entry.value->entries.begin(),
                             entry.value->entries.end());
      found = merged;
    } else {
      found = entry.value;
      merged = nullptr;
    }
  }
  return found;
}

void MapReader::WrongKind(const TreeNode& value, std::string_view key, std::string_view expected) {
  std::string message =
      std::string(expected) + " is expected here, not " + std::string(KindName(value.kind));
  if (value.kind == TreeNode::Kind::kNumber) {
    message += ": " + value.text;
  }
  diagnostics_->Error(value, PathOf(key), "bad_json", std::move(message));
}

const TreeNode* MapReader::WithKind(std::string_view key, TreeNode::Kind kind) {
  assert(IsDeclaredAs(key, kind));
  const TreeNode* value = Find(key);
  if (value == nullptr || value->kind == kind) {
    return value;
  }
  const bool unresolved = value->kind == TreeNode::Kind::kUnresolved;
  if (unresolved && kind == TreeNode::Kind::kString) {
    return value;
  }
  if (!unresolved) {
    WrongKind(*value, key, KindName(kind));
  }
  return nullptr;
}

const TreeNode* MapReader::String(std::string_view key) {
  return WithKind(key, TreeNode::Kind::kString);
}

std::string MapReader::Text(std::string_view key) {
  const TreeNode* value = String(key);
  return value == nullptr ? std::string() : value->text;
}

std::optional<int64_t> MapReader::Integer(std::string_view key) {
  const TreeNode* value = WithKind(key, TreeNode::Kind::kNumber);
  if (value == nullptr) {
    return std::nullopt;
  }
  const std::optional<int64_t> integer = IntegerOf(*value);
  if (!integer.has_value()) {
    WrongKind(*value, key, "an integer of at most 64 bits");
  }
  return integer;
}

std::optional<bool> MapReader::Boolean(std::string_view key) {
  const TreeNode* value = WithKind(key, TreeNode::Kind::kBool);
  return value == nullptr ? std::nullopt : std::optional(value->boolean);
}

const TreeNode* MapReader::Map(std::string_view key) { return WithKind(key, TreeNode::Kind::kMap); }

const TreeNode* MapReader::List(std::string_view key) {
  return WithKind(key, TreeNode::Kind::kList);
}

std::optional<std::vector<const TreeNode*>> MapReader::Strings(std::string_view key) {
  const TreeNode* list = List(key);
  if (list == nullptr) {
    return std::nullopt;
  }
  std::vector<const TreeNode*> strings;
  for (size_t i = 0; i < list->items.size(); ++i) {
    const TreeNode* item = list->items[i];
    if (item->is_text()) {
      strings.push_back(item);
    } else {
      WrongKind(*item, std::string(key) + "[" + std::to_string(i) + "]", "a string");
    }
  }
  return strings;
}

MapReader MapReader::Below(std::string_view key) {
  assert(Declared(key).kind == ValueKind::kMap);
  return Below(key, Declared(key).below);
}

MapReader MapReader::Below(std::string_view key, MapKind kind) {
  return MapReader(Find(key), PathOf(key), kind, diagnostics_, tree_);
}

void MapReader::IgnoreKey(std::string_view key, std::string_view reason) {
  if (node_ == nullptr) {
    return;
  }
  for (const TreeEntry& entry : node_->entries) {
    if (EqualsIgnoringCase(entry.key, key) && entry.value->kind != TreeNode::Kind::kNull) {
      diagnostics_->WarnAt(node_->source->PlaceOf(entry.key_begin), PathOf(entry.key), "unused_key",
                           std::string(reason) + ": " + entry.key);
    }
  }
}

void MapReader::WarnUnknown() {
  if (node_ == nullptr) {
    return;
  }
  std::vector<std::string_view> known;
  for (const KeyDeclaration& key : declaration_->keys) {
    known.push_back(key.name);
  }
  std::vector<std::string> seen;
  for (const TreeEntry& entry : node_->entries) {
    const auto equals = [&entry](std::string_view key) {
      return EqualsIgnoringCase(entry.key, key);
    };
    const SourcePlace place = node_->source->PlaceOf(entry.key_begin);
    if (std::none_of(known.begin(), known.end(), equals)) {
      diagnostics_->WarnAt(
          place, PathOf(entry.key), "unknown_key",
          "unknown key, it is ignored: " + entry.key + DidYouMean(NearestName(entry.key, known)));
    } else if (std::any_of(seen.begin(), seen.end(), equals)) {
      diagnostics_->WarnAt(place, PathOf(entry.key), "duplicate_key",
                           "the key stands twice in the same map: " + entry.key);
    }
    seen.push_back(entry.key);
  }
}

}  // namespace capi::script
