#pragma once

// Node processors: what one batch of each node type does (spec/script.md 9-12, spec/engine.md 8).
// They know neither state nor queue: they read frozen tables or files and return what they wrote.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/exec/context.h"
#include "capi/expr/evaluator.h"
#include "capi/files/files.h"
#include "capi/python/formula_pool.h"
#include "capi/script/model.h"
#include "capi/store/table_store.h"

namespace capi::node {

/// Row accounting of one batch (or the sum over batches).
struct RowCounts {
  int64_t in = 0;              ///< rows read (left rows of a lookup)
  int64_t filtered = 0;        ///< dropped by having
  int64_t rejected = 0;        ///< bad rows that were collected (errors of a file reader)
  int64_t unmatched_left = 0;  ///< left rows without a match (dropped by inner, defaulted by left)
  int64_t duplicates = 0;      ///< dropped by distinct
  int64_t untagged = 0;        ///< rows without any tag (tag_and_denormalize)
  int64_t beyond_limit = 0;    ///< dropped by top.limit
  int64_t out = 0;             ///< rows written
  int64_t csv_warnings = 0;    ///< unclosed quotes and left-over text
  RowCounts& operator+=(const RowCounts& other);
};

struct FileOutput {
  files::SinkPlan plan;
  int64_t size = 0;
  int64_t rows = 0;
};

/// What an attempt produced; nothing of it is visible before the caller commits it.
struct BatchResult {
  RowCounts counts;
  std::optional<store::AttemptManifest> table;
  std::vector<FileOutput> files;
  /// Of a file reader: what it read.
  std::optional<files::InputRecord> input;
};

/// What is common to all batches of a node in a run.
struct NodeSetup {
  std::shared_ptr<const script::Script> script;
  const script::Node* node = nullptr;
  int64_t run_id = 0;
  expr::Environment environment;
  /// Pinned inputs: the frozen tables chosen by the dependency policy.
  std::shared_ptr<const store::Table> reader;
  std::shared_ptr<const store::Table> lookup;
  std::shared_ptr<const store::Index> lookup_index;
  /// Pinned fingerprints of file_reader->urls.
  std::vector<files::Fingerprint> inputs;
  store::TableStore* tables = nullptr;
  /// For py_calc nodes.
  python::FormulaPool* formulas = nullptr;
  Env* env = nullptr;
  files::Files* files = nullptr;
  bool strict = false;
};

struct BatchTask {
  int64_t batch_index = 0;
  int64_t attempt = 0;
  /// Called before an output file is created, so that the caller can record the temp path; for S3
  /// again when the upload has its id. May be null.
  files::RecordPlan before_create;
};

/// Runs batches of one node. Made once per node and run: programs are compiled here, not per batch.
/// RunBatch is thread-safe; each call uses the threads of context.pool (morsels inside the batch).
class NodeRunner {
 public:
  static Result<std::unique_ptr<NodeRunner>> Make(NodeSetup setup);
  virtual ~NodeRunner() = default;
  /// Errors: kUser for bad data (message names file:line or row id, field, expression, values).
  virtual Result<BatchResult> RunBatch(const exec::Context& context, const BatchTask& task) = 0;
};

/// Schema of the table the node writes; distinct_index set for distinct_table.
store::TableSchema SchemaOf(const script::Node& node);

/// url_template with {run_id|string}, {batch_idx|string} replaced (spec/formats.md 10).
std::string OutputUrl(const std::string& url_template, int64_t run_id, int64_t batch_index);

}  // namespace capi::node
