#include "capi/state/workflow_ddl.h"

namespace capi::state {

const std::array<WorkflowTable, 5>& WorkflowTables() {
  static const std::array<WorkflowTable, 5> tables = {{
      {"wf_batch_history",
       {{"ts", "timestamp"},
        {"run_id", "int"},
        {"script_node", "text"},
        {"batch_idx", "int"},
        {"batches_total", "int"},
        {"status", "tinyint"},
        {"first_token", "bigint"},
        {"last_token", "bigint"},
        {"instance", "text"},
        {"thread", "bigint"},
        {"comment", "text"}},
       {"run_id", "script_node", "batch_idx", "status"}},
      {"wf_node_history",
       {{"ts", "timestamp"},
        {"run_id", "int"},
        {"script_node", "text"},
        {"written_by_batch_idx", "int"},
        {"status", "tinyint"},
        {"comment", "text"}},
       {"run_id", "script_node", "written_by_batch_idx", "status"}},
      {"wf_run_history",
       {{"ts", "timestamp"}, {"run_id", "int"}, {"status", "tinyint"}, {"comment", "text"}},
       {"run_id", "status"}},
      {"wf_run_properties",
       {{"run_id", "int"},
        {"start_nodes", "text"},
        {"affected_nodes", "text"},
        {"script_url", "text"},
        {"script_params_url", "text"},
        {"run_description", "text"}},
       {"run_id"}},
      {"wf_run_counter", {{"ks", "text"}, {"last_run", "int"}}, {"ks"}},
  }};
  return tables;
}

std::string CreateStatement(const WorkflowTable& table, std::string_view keyspace) {
  std::string cql =
      "CREATE TABLE IF NOT EXISTS " + std::string(keyspace) + "." + std::string(table.name) + " (";
  for (const WorkflowColumn& column : table.columns) {
    cql += std::string(column.name) + " " + std::string(column.type) + ", ";
  }
  cql += "PRIMARY KEY(";
  for (size_t i = 0; i < table.primary_key.size(); ++i) {
    cql += (i > 0 ? ", " : "") + std::string(table.primary_key[i]);
  }
  return cql + "));";
}

std::string InsertCounterStatement(std::string_view keyspace) {
  const std::string name(keyspace);
  return "INSERT INTO " + name + ".wf_run_counter ( ks, last_run ) VALUES ( '" + name +
         "', 0 ) IF NOT EXISTS;";
}

}  // namespace capi::state
