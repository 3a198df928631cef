#pragma once

// The typed script (spec/script.md). Immutable after loading; thread-safe.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/data/key.h"
#include "capi/data/types.h"
#include "capi/expr/expression.h"

namespace capi::script {

using ExpressionPtr = std::shared_ptr<const expr::Expression>;

enum class NodeType : uint8_t {
  kFileTable,
  kTableTable,
  kTableLookupTable,
  kTableFile,
  kDistinctTable,
  kCustomTable
};
std::string_view NodeTypeName(NodeType type);

enum class FileFormat : uint8_t { kCsv, kParquet };
enum class JoinType : uint8_t { kInner, kLeft };
enum class ProcessorType : uint8_t { kTagAndDenormalize, kPyCalc };

struct FileReaderColumn {
  data::Field field;                         ///< usable as r.<name>
  std::string default_text;                  ///< col_default_value as written
  std::optional<data::Value> default_value;  ///< parsed; nullopt if blank or unusable
  std::string header;                        ///< csv.col_hdr, "" = by index
  int64_t index = 0;                         ///< csv.col_idx
  std::string format;                        ///< csv.col_format, "" = none
  std::vector<std::string> null_values;      ///< csv.null_values: cells treated as blank (ours)
  std::string parquet_name;
};

/// Bad rows are collected instead of failing the batch (ours).
struct RowErrors {
  int64_t max_rows = -1;    ///< of a file; more fail its batch; -1 = no limit
  std::string reject_file;  ///< template like url_template
};

struct FileReader {
  std::vector<std::string> urls;  ///< one per batch
  FileFormat format = FileFormat::kCsv;
  bool by_header = false;
  int64_t header_line = 0;      ///< csv.hdr_line_idx
  int64_t first_data_line = 0;  ///< csv.first_data_line_idx
  char separator = ',';
  std::vector<FileReaderColumn> columns;  ///< script order
  std::optional<RowErrors> errors;        ///< CSV only
};

struct TableReader {
  std::string table;
  int64_t num_batches = 1;
  int64_t rowset_size = 1000;
  /// Name of the node that creates the table.
  std::string creator;
  /// Fields of the table this node uses (r.* in its expressions, join_on, processor), table order.
  std::vector<std::string> used_fields;
};

struct Lookup {
  std::string index_name;
  std::string table;    ///< table of the index
  std::string creator;  ///< node that creates it
  /// join_fields[i] of the read table is compared with component i of the index.
  std::vector<std::string> join_fields;
  bool group = false;
  JoinType join_type = JoinType::kInner;
  ExpressionPtr filter;                  ///< over l.*, null = none
  std::vector<std::string> used_fields;  ///< l.* fields used (filter and expressions), table order
};

struct TargetField {
  data::Field field;
  ExpressionPtr expression;
  /// default_value, or the zero value of the type. Used by left joins.
  data::Value default_value;
};

struct IndexDefinition {
  std::string name;
  bool unique = false;
  std::vector<data::KeyComponent> components;
  std::string text;
};

struct TableWriter {
  std::string name;
  std::string table_options;
  ExpressionPtr having;             ///< over w.*, null = none
  std::vector<TargetField> fields;  ///< script order
  std::vector<IndexDefinition> indexes;
};

struct FileColumn {
  data::Field field;         ///< usable as w.<name> in having and in top.order
  ExpressionPtr expression;  ///< over r.*
  std::string header;        ///< csv.header
  std::string format;        ///< csv.format
  std::string parquet_name;
};

struct FileWriter {
  std::string url_template;
  FileFormat format = FileFormat::kCsv;
  std::string separator = ",";
  bool line_end_crlf = false;  ///< csv.line_end: "CRLF" (ours)
  std::string parquet_codec;
  ExpressionPtr having;
  /// Empty: row-id order. Component.field names a column.
  std::vector<data::KeyComponent> top_order;
  bool has_top = false;
  int64_t top_limit = 0;  ///< 0 = no limit set by the script
  std::vector<FileColumn> columns;
  bool manifest = false;  ///< a file with control sums is written beside each file (ours)
};

struct Tag {
  std::string name;
  ExpressionPtr criterion;
};

struct PyField {
  data::Field field;
  std::string expression;
};

struct Processor {
  ProcessorType type = ProcessorType::kTagAndDenormalize;
  // tag_and_denormalize
  std::string tag_field;
  std::string tag_criteria_url;  ///< "" when the tags stand in the script
  std::vector<Tag> tags;         ///< script order
  // py_calc
  std::vector<std::string> python_urls;
  std::vector<std::string> python_texts;  ///< [i]: content of python_urls[i]
  std::string python_source;              ///< all of them, a newline after each
  std::vector<PyField> calculated;        ///< in dependency order
  /// Fields p.* produced, in script order.
  std::vector<data::Field> produced;
};

enum class RuleCommand : uint8_t { kGo, kWait, kNoGo };

struct DependencyRule {
  RuleCommand command = RuleCommand::kWait;
  /// Over nrs.* of EventFields() (event_fields.h); the old spelling was rewritten.
  ExpressionPtr expression;
};

struct DependencyPolicy {
  std::string name;
  bool is_default = false;
  /// Order over event fields run_id, run_is_current, run_status, node_status (old: also those of
  /// `e`).
  std::vector<data::KeyComponent> order;
  std::vector<DependencyRule> rules;
};

struct Node {
  std::string name;
  NodeType type = NodeType::kFileTable;
  std::string description;
  bool manual = false;       ///< start_policy
  bool rerun_fails = false;  ///< rerun_policy: fail
  int64_t max_batch_processing_ms = 60000;
  const DependencyPolicy* policy = nullptr;  ///< owned by the Script; null for file_table
  std::optional<FileReader> file_reader;
  std::optional<TableReader> table_reader;
  std::optional<Lookup> lookup;
  std::optional<Processor> processor;
  std::optional<TableWriter> table_writer;
  std::optional<FileWriter> file_writer;
  SourcePlace place;

  bool writes_table() const { return table_writer.has_value(); }
  int64_t num_batches() const {
    return file_reader ? static_cast<int64_t>(file_reader->urls.size()) : table_reader->num_batches;
  }
  /// Creator of the read table, then of the looked-up table: 0 to 2 names, without duplicates.
  std::vector<std::string> dependencies() const;
};

struct Script {
  std::string url;
  std::string parameters_url;
  /// Hashes (16 hex digits of XXH3) of the script text after parameter replacement, and of
  /// everything else that decides the result: parameters, Python sources, criteria files.
  std::string script_hash;
  std::string parameters_hash;
  /// As in LoadOptions.
  std::vector<std::pair<std::string, std::string>> overrides;
  bool strict = false;
  /// Script order.
  std::vector<std::unique_ptr<Node>> nodes;
  std::vector<std::unique_ptr<DependencyPolicy>> policies;

  const Node* FindNode(const std::string& name) const;
  const Node* CreatorOf(const std::string& table) const;
  /// Nodes in an order in which every node comes after what it reads; ties in script order.
  std::vector<const Node*> TopologicalOrder() const;
  /// Nodes that read or look up the table of `node`, script order.
  std::vector<const Node*> ReadersOf(const Node& node) const;
  /// Nodes executed by a run started with `start_nodes` (spec/script.md 14), script order.
  /// Errors: kUser class "unknown_node", with a near name.
  Result<std::vector<std::string>> AffectedNodes(const std::vector<std::string>& start_nodes) const;
};

/// A copy whose nodes read other files: addresses by name of the node.
std::shared_ptr<const Script> WithUrls(const Script& script,
                                       const std::map<std::string, std::vector<std::string>>& urls);

/// Schema of the table a node writes.
std::vector<data::Field> FieldsOf(const TableWriter& writer);

}  // namespace capi::script
