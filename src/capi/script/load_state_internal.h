#pragma once

// What the parts of the loader share. A script is loaded in passes over all nodes: settings are
// read and checked alone (drafts), then tables and indexes are linked, then expressions are
// compiled against the fields known by then. Each pass reports what it can and marks what later
// passes must not judge.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "capi/base/fetcher.h"
#include "capi/script/diagnostics_internal.h"
#include "capi/script/map_reader_internal.h"
#include "capi/script/model.h"
#include "capi/script/position_tree.h"

namespace capi::script {

/// A value of the script and its path; node null: not given.
struct Spot {
  const TreeNode* node = nullptr;
  std::string path;
  /// The map the value belongs to, for the place of an error about a missing value; null if such an
  /// error must not be reported (again).
  const TreeNode* parent = nullptr;
  bool given() const { return node != nullptr; }
};

/// The string at a key.
Spot StringSpot(MapReader* map, std::string_view key);

/// The fields an alias stands for. A field without a type was reported as wrong; expressions that
/// use it are not judged.
class FieldNames {
 public:
  struct Entry {
    std::string name;
    std::optional<data::FieldType> type;
  };
  void Add(std::string name, std::optional<data::FieldType> type);
  /// Null if there is no such field.
  const Entry* Find(std::string_view name) const;
  const std::vector<Entry>& entries() const { return entries_; }
  std::vector<std::string> names() const;

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> by_name_;
};

struct IndexDraft {
  IndexDefinition definition;
  Spot spot;
  SourcePlace key_place;
  bool usable = false;  ///< definition parsed
  bool used = false;
};

struct LookupDraft {
  Spot whole;
  Spot index_name;
  Spot join_on;
  Spot join_type;
  Spot filter;
  bool group = false;
};

struct NodeDraft {
  Node* node = nullptr;
  Spot spot;                ///< the map of the node
  bool type_known = false;  ///< false: nothing but the type was looked at

  FieldNames columns;           ///< r.* of a file reader
  FieldNames written;           ///< w.*
  FieldNames produced;          ///< p.*
  bool produced_known = false;  ///< false: p.* cannot be judged (reported)

  Spot reader_table;
  NodeDraft* reader_creator = nullptr;  ///< null: not linked (reported)
  LookupDraft lookup;
  NodeDraft* lookup_creator = nullptr;

  /// Parallel to the writer's fields or columns.
  std::vector<Spot> field_expressions;
  Spot having;
  Spot table_name;
  std::vector<IndexDraft> indexes;

  Spot processor;
  std::vector<std::pair<std::string, Spot>> criteria;
  /// Parallel to processor->calculated as the script has them.
  std::vector<Spot> calculations;
  bool python_complete = false;              ///< all Python sources were read
  std::vector<std::string> processor_reads;  ///< r.* names used by the processor
  Spot policy;

  /// What r.* means; null if that is unknown (reported).
  const FieldNames* reader_fields() const {
    return node->file_reader           ? &columns
           : reader_creator != nullptr ? &reader_creator->written
                                       : nullptr;
  }
};

struct LoadState {
  Diagnostics* diagnostics = nullptr;
  Tree* tree = nullptr;
  Fetcher* fetcher = nullptr;
  Script* script = nullptr;
  std::deque<NodeDraft> drafts;
  /// Texts the trees point into.
  std::deque<std::unique_ptr<SourceText>> sources;
  /// Texts besides the script that decide the result: name and content, for the hash.
  std::vector<std::pair<std::string, std::string>> other_texts;

  MapReader Reader(const Spot& spot, MapKind kind) const {
    return MapReader(spot.node, spot.path, kind, diagnostics, tree);
  }
  void Error(const Spot& spot, std::string_view error_class, std::string message) const {
    diagnostics->Error(*spot.node, spot.path, error_class, std::move(message));
  }
};

/// The place an expression stands in decides what it may refer to (spec/script.md 15, step 11).
struct ExpressionPlace {
  struct Alias {
    std::string name;
    const FieldNames* fields =
        nullptr;  ///< null: unknown, everything is accepted and nothing compiled
  };
  expr::ContextKind context = expr::ContextKind::kField;
  std::optional<data::FieldType> declared;
  std::vector<Alias> allowed;
  std::vector<std::string> prohibited;
};

/// Null if the expression was reported or cannot be judged.
ExpressionPtr CompileExpression(const Spot& spot, const ExpressionPlace& place,
                                const LoadState& state);

/// Reports an error inside the text of `spot` under another class if `error_class` is not empty.
void AddExpressionError(const Status& status, const Spot& spot, std::string_view error_class,
                        const LoadState& state);

/// The type a `type` or `col_type` key names; class "bad_field_type". `parent` is the map of the
/// key.
std::optional<data::FieldType> ReadFieldType(MapReader* map, std::string_view key,
                                             const LoadState& state);

// Pass 1: settings of a node (one file each).
void LoadNodes(const TreeNode* nodes, LoadState* state);
void LoadFileReader(MapReader* map, NodeDraft* draft, LoadState* state);
void LoadTableReader(MapReader* map, NodeDraft* draft, LoadState* state);
void LoadTableWriter(MapReader* map, NodeDraft* draft, LoadState* state);
void LoadFileWriter(MapReader* map, NodeDraft* draft, LoadState* state);
void LoadLookup(MapReader* map, NodeDraft* draft, LoadState* state);
void LoadProcessor(MapReader* map, NodeDraft* draft, LoadState* state);
void LoadPolicies(const Spot& policies, const TreeNode& root, LoadState* state);

// Pass 2: tables, indexes, policies by name; cycles.
void LinkNodes(LoadState* state);

// Pass 3: expressions and what they read.
void CompileNodes(LoadState* state);
void CompileProcessor(NodeDraft* draft, LoadState* state);

}  // namespace capi::script
