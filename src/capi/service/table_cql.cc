#include "capi/service/table_cql.h"

#include <algorithm>

#include "capi/node/node.h"
#include "capi/service/keyspace.h"
#include "capi/state/workflow_ddl.h"
#include "capi/store/rows/table_ddl.h"
#include "capi/workflow/run_plan.h"

namespace capi::service {

Result<std::string> TableCql(const script::Script& script, const TableCqlOptions& options) {
  CAPI_RETURN_NOT_OK(CheckKeyspaceName(options.keyspace));
  workflow::RunRequest request;
  request.start_nodes = options.start_nodes;
  CAPI_ASSIGN_OR_RETURN(const workflow::RunPlan plan, workflow::PlanRun(script, request));
  const std::vector<std::string>& affected = plan.run.affected_nodes;

  std::string cql = "-- Workflow\n";
  for (const state::WorkflowTable& table : state::WorkflowTables()) {
    cql += state::CreateStatement(table, options.keyspace) + "\n";
  }
  cql += state::InsertCounterStatement(options.keyspace) + "\n";
  for (const script::Node* node : script.TopologicalOrder()) {
    if (!node->writes_table() ||
        std::find(affected.begin(), affected.end(), node->name) == affected.end()) {
      continue;
    }
    CAPI_ASSIGN_OR_RETURN(
        const store::TableDdl ddl,
        store::MakeTableDdl(node::SchemaOf(*node),
                            {options.keyspace, options.run_id, node->table_writer->table_options}));
    cql += "-- " + node->name + "\n" + ddl.table + "\n";
    for (const std::string& index : ddl.indexes) cql += index + "\n";
  }
  return cql;
}

}  // namespace capi::service
