#pragma once

// Names of keyspaces, and the tables of our own as data.

#include <string>
#include <string_view>
#include <vector>

#include "capi/state/workflow_ddl.h"

namespace capi::state {

/// What this program keeps beside the workflow tables of the original (workflow_ddl.h); names begin
/// with wf_capi_.
const std::vector<WorkflowTable>& OwnWorkflowTables();

std::string CreateKeyspaceCql(std::string_view keyspace, std::string_view replication);

/// Letters, digits and underscores, at most 48, beginning with a letter, not one of the server's
/// own. Names are not quoted (spec/storage.md 1), so the server folds capitals.
bool IsKeyspaceName(std::string_view name);
/// The name as the server's system tables write it.
std::string FoldedKeyspace(std::string_view name);

}  // namespace capi::state
