#pragma once

// The tables of a keyspace as data. Needs no session: the command get_table_cql prints from here.

#include <string>
#include <string_view>
#include <vector>

namespace capi::state {

struct CassandraColumn {
  std::string_view name;
  std::string_view type;
};

struct CassandraTable {
  std::string_view name;
  std::vector<CassandraColumn> columns;
  std::string_view primary_key;  ///< inside of PRIMARY KEY(...)
};

/// The five workflow tables of spec/storage.md 2 in the newest layout, in the order in which
/// spec/toolbelt.md 3.8 prints them.
const std::vector<CassandraTable>& WorkflowTables();
/// What this program keeps beside them; names begin with wf_capi_.
const std::vector<CassandraTable>& OwnWorkflowTables();

/// CREATE TABLE IF NOT EXISTS without a final semicolon.
std::string CreateTableCql(const CassandraTable& table, std::string_view keyspace);
/// The insert that makes the row of wf_run_counter; `keyspace` is a valid name.
std::string CreateCounterCql(std::string_view keyspace);
std::string CreateKeyspaceCql(std::string_view keyspace, std::string_view replication);

/// Letters, digits and underscores, at most 48, beginning with a letter, not one of the server's
/// own. Names are not quoted (spec/storage.md 1), so the server folds capitals.
bool IsKeyspaceName(std::string_view name);
/// The name as the server's system tables write it.
std::string FoldedKeyspace(std::string_view name);

}  // namespace capi::state
