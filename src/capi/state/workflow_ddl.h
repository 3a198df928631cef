#pragma once

// The five workflow tables of a keyspace in Cassandra (spec/storage.md 2, newest version), as data
// and as CQL text. Pure: nothing is connected to.

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace capi::state {

struct WorkflowColumn {
  std::string_view name;
  std::string_view type;  ///< of CQL, lower case
};

struct WorkflowTable {
  std::string_view name;
  std::vector<WorkflowColumn> columns;
  /// The partition key, then clustering columns, ascending.
  std::vector<std::string_view> primary_key;
};

/// In the order of their creation.
const std::array<WorkflowTable, 5>& WorkflowTables();

/// CREATE TABLE IF NOT EXISTS ...;
std::string CreateStatement(const WorkflowTable& table, std::string_view keyspace);
/// The conditional insert of the only row of wf_run_counter. `keyspace` is a checked name: letters,
/// digits and '_'.
std::string InsertCounterStatement(std::string_view keyspace);

}  // namespace capi::state
