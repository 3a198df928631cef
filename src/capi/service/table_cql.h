#pragma once

// The CQL a run of a script would begin with in a cluster (spec/toolbelt.md 3.8). Connects to
// nothing.

#include <cstdint>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/script/model.h"

namespace capi::service {

struct TableCqlOptions {
  std::string keyspace;
  int64_t run_id = 0;
  std::vector<std::string> start_nodes;  ///< empty = all nodes without a table reader
};

/// The workflow tables and the run counter, then of each affected node that makes a table a comment
/// with its name, its data table and its index tables; nodes in topological order, columns and
/// indexes by name. kUser errors of CheckKeyspaceName, PlanRun and store::MakeTableDdl.
Result<std::string> TableCql(const script::Script& script, const TableCqlOptions& options);

}  // namespace capi::service
