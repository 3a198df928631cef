#include "capi/state/cassandra/schema.h"

#include <algorithm>

#include "capi/base/ascii.h"

namespace capi::state {

namespace {

constexpr size_t kMaxKeyspaceLength = 48;  // the server's limit

}  // namespace

const std::vector<WorkflowTable>& OwnWorkflowTables() {
  // `nonce` is a random number of the last conditional write: after a time-out it tells whether
  // the row carries that write. `part` is always 0: one partition for all rows.
  static const std::vector<WorkflowTable> kTables = {
      // gone_ms: set when the owner was expired. The row stays for a while, so that a registration
      // that arrives late does not bring the owner back.
      {"wf_capi_owner",
       {{"part", "int"},
        {"owner", "bigint"},
        {"instance", "text"},
        {"renewals", "bigint"},
        {"problems", "text"},
        {"gone_ms", "bigint"}},
       {"part", "owner"}},
      {"wf_capi_node",
       {{"run_id", "bigint"},
        {"node_index", "bigint"},
        {"name", "text"},
        {"type", "text"},
        {"table_name", "text"},
        {"depth", "bigint"},
        {"batches_total", "bigint"},
        {"rerun_fails", "boolean"},
        {"status", "tinyint"},
        {"pinned", "boolean"},
        {"reader_run", "bigint"},
        {"lookup_run", "bigint"},
        {"inputs", "text"},
        {"manifest", "text"},
        {"counts", "text"},
        {"error_kind", "text"},
        {"error_class", "text"},
        {"error_text", "text"},
        {"started_ms", "bigint"},
        {"ended_ms", "bigint"},
        {"urls", "text"},
        {"nonce", "bigint"}},
       {"run_id", "node_index"}},
      {"wf_capi_batch",
       {{"run_id", "bigint"},
        {"node_index", "bigint"},
        {"bucket", "bigint"},
        {"batch_index", "bigint"},
        {"status", "tinyint"},
        {"attempt", "bigint"},
        {"owner", "bigint"},
        {"manifest", "text"},
        {"counts", "text"},
        {"error_kind", "text"},
        {"error_class", "text"},
        {"error_text", "text"},
        {"started_ms", "bigint"},
        {"ended_ms", "bigint"},
        {"input", "text"},
        {"nonce", "bigint"}},
       {"(run_id, node_index, bucket)", "batch_index"}},
      {"wf_capi_attempt",
       {{"run_id", "bigint"},
        {"node_index", "bigint"},
        {"batch_index", "bigint"},
        {"attempt", "bigint"},
        {"owner", "bigint"},
        {"outcome", "text"},
        {"message", "text"},
        {"ended_ms", "bigint"}},
       {"(run_id, node_index)", "batch_index", "attempt"}},
      // Each cell but temp_path is written with one value only: whatever the clocks of the
      // coordinators say, no write hides another. temp_path is that of a plan, any of them finds
      // what a dead process left; sealed_path is the file that may be published.
      {"wf_capi_file",
       {{"run_id", "bigint"},
        {"node_index", "bigint"},
        {"batch_index", "bigint"},
        {"attempt", "bigint"},
        {"target", "text"},
        {"temp_path", "text"},
        {"size", "bigint"},
        {"row_count", "bigint"},
        {"sealed_path", "text"},
        {"published", "boolean"},
        {"lost", "boolean"}},
       {"run_id", "node_index", "batch_index", "attempt", "target"}},
      // The last one: a keyspace that has it has all others.
      {"wf_capi_run",
       {{"part", "int"},
        {"run_id", "bigint"},
        {"status", "tinyint"},
        {"script_url", "text"},
        {"parameters_url", "text"},
        {"script_hash", "text"},
        {"parameters_hash", "text"},
        {"start_hash", "text"},
        {"start_nodes", "text"},
        {"affected_nodes", "text"},
        {"until_node", "text"},
        {"description", "text"},
        {"now_ms", "bigint"},
        {"started_ms", "bigint"},
        {"ended_ms", "bigint"},
        {"comment", "text"},
        {"overrides", "text"},
        {"strict", "boolean"},
        {"nodes", "text"},
        {"started", "boolean"},
        {"told", "tinyint"},
        {"nonce", "bigint"}},
       {"part", "run_id"}},
  };
  return kTables;
}

std::string CreateKeyspaceCql(std::string_view keyspace, std::string_view replication) {
  return std::string("CREATE KEYSPACE IF NOT EXISTS ")
      .append(keyspace)
      .append(" WITH REPLICATION = ")
      .append(replication);
}

bool IsKeyspaceName(std::string_view name) {
  if (name.empty() || name.size() > kMaxKeyspaceLength || !IsLetter(name.front())) return false;
  if (FoldedKeyspace(name).starts_with("system")) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLetter(c) || IsDigit(c) || c == '_'; });
}

std::string FoldedKeyspace(std::string_view name) {
  std::string folded(name);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return folded;
}

}  // namespace capi::state
