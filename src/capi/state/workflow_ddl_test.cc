#include "capi/state/workflow_ddl.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace capi::state {
namespace {

TEST(WorkflowDdlTest, Statements) {
  std::vector<std::string> statements;
  for (const WorkflowTable& table : WorkflowTables()) {
    statements.push_back(CreateStatement(table, "ks"));
  }
  EXPECT_EQ(
      statements,
      (std::vector<std::string>{
          "CREATE TABLE IF NOT EXISTS ks.wf_batch_history (ts timestamp, run_id int, script_node "
          "text, batch_idx int, batches_total int, status tinyint, first_token bigint, last_token "
          "bigint, instance text, thread bigint, comment text, PRIMARY KEY(run_id, script_node, "
          "batch_idx, status));",
          "CREATE TABLE IF NOT EXISTS ks.wf_node_history (ts timestamp, run_id int, script_node "
          "text, written_by_batch_idx int, status tinyint, comment text, PRIMARY KEY(run_id, "
          "script_node, written_by_batch_idx, status));",
          "CREATE TABLE IF NOT EXISTS ks.wf_run_history (ts timestamp, run_id int, status tinyint, "
          "comment text, PRIMARY KEY(run_id, status));",
          "CREATE TABLE IF NOT EXISTS ks.wf_run_properties (run_id int, start_nodes text, "
          "affected_nodes text, script_url text, script_params_url text, run_description text, "
          "PRIMARY KEY(run_id));",
          "CREATE TABLE IF NOT EXISTS ks.wf_run_counter (ks text, last_run int, PRIMARY "
          "KEY(ks));"}));
  EXPECT_EQ(InsertCounterStatement("orders"),
            "INSERT INTO orders.wf_run_counter ( ks, last_run ) VALUES ( 'orders', 0 ) IF NOT "
            "EXISTS;");
}

TEST(WorkflowDdlTest, KeysAreColumns) {
  for (const WorkflowTable& table : WorkflowTables()) {
    for (const std::string_view key : table.primary_key) {
      EXPECT_TRUE(std::any_of(table.columns.begin(), table.columns.end(),
                              [key](const WorkflowColumn& column) { return column.name == key; }))
          << table.name << " " << key;
    }
  }
}

}  // namespace
}  // namespace capi::state
