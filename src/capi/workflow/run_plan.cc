#include "capi/workflow/run_plan.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <set>

#include "capi/base/near_name.h"

namespace capi::workflow {

namespace {

/// The store packs the batch index into 20 bits of the row id.
constexpr int64_t kMaxBatches = int64_t{1} << 20;

/// FNV-1a: start lists are short, and the hash only has to notice a difference.
std::string HashOf(const std::vector<std::string>& parts) {
  uint64_t hash = 14695981039346656037ULL;
  const auto add = [&hash](unsigned char byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  for (const std::string& part : parts) {
    for (const char byte : part) add(static_cast<unsigned char>(byte));
    add(0);
  }
  std::array<char, 17> digits;
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(hash));
  return digits.data();
}

/// Begins like the original's text, because people look for it.
Status UnknownNodes(const script::Script& script, const std::vector<std::string>& unknown) {
  std::vector<std::string> names;
  for (const auto& node : script.nodes) names.push_back(node->name);
  std::string list;
  std::string hints;
  for (const std::string& name : unknown) {
    list += (list.empty() ? "" : ",") + name;
    const std::string near = NearestName(name, names);
    if (!near.empty()) hints += (hints.empty() ? "" : ", ") + near;
  }
  return UserError("unknown_node", "node(s) " + list + " missing from " + script.url +
                                       ", check node name spelling" +
                                       (hints.empty() ? "" : " (did you mean " + hints + "?)"));
}

/// `node` and everything it needs, directly or not.
void AddAncestors(const script::Script& script, const script::Node& node,
                  std::set<std::string>* names) {
  if (!names->insert(node.name).second) return;
  for (const std::string& dependency : node.dependencies()) {
    AddAncestors(script, *script.FindNode(dependency), names);
  }
}

}  // namespace

Result<RunPlan> PlanRun(const script::Script& script, const RunRequest& request) {
  RunPlan plan;
  state::RunRecord& run = plan.run;
  std::vector<std::string> unknown;
  for (const std::string& name : request.start_nodes) {
    if (name.empty()) continue;
    if (script.FindNode(name) == nullptr) {
      unknown.push_back(name);
    } else if (std::find(run.start_nodes.begin(), run.start_nodes.end(), name) ==
               run.start_nodes.end()) {
      run.start_nodes.push_back(name);
    }
  }
  if (!unknown.empty()) return UnknownNodes(script, unknown);
  if (run.start_nodes.empty()) {
    if (!request.start_nodes.empty()) {
      return UserError("no_start_nodes", "the list of start nodes names no node");
    }
    for (const auto& node : script.nodes) {
      if (!node->table_reader) run.start_nodes.push_back(node->name);
    }
  }
  if (run.start_nodes.empty()) {
    return UserError("no_start_nodes",
                     "the script has no node that reads files, so start nodes must be named");
  }
  CAPI_ASSIGN_OR_RETURN(std::vector<std::string> affected, script.AffectedNodes(run.start_nodes));

  if (!request.until_node.empty()) {
    const script::Node* until = script.FindNode(request.until_node);
    if (until == nullptr) return UnknownNodes(script, {request.until_node});
    if (std::find(affected.begin(), affected.end(), until->name) == affected.end()) {
      return UserError("until_not_affected",
                       "the run would not reach the node to run until: " + until->name);
    }
    std::set<std::string> needed;
    AddAncestors(script, *until, &needed);
    std::erase_if(affected, [&](const std::string& name) { return !needed.contains(name); });
    run.until_node = until->name;
  }

  run.affected_nodes = affected;
  run.script_url = script.url;
  run.parameters_url = script.parameters_url;
  run.overrides = script.overrides;
  run.strict = script.strict;
  run.script_hash = script.script_hash;
  run.parameters_hash = script.parameters_hash;
  run.description = request.description;
  std::vector<std::string> hashed = run.start_nodes;
  std::sort(hashed.begin(), hashed.end());
  hashed.push_back(run.until_node);
  run.start_hash = HashOf(hashed);

  std::map<std::string, int64_t> depths;
  for (const script::Node* node : script.TopologicalOrder()) {
    int64_t depth = 0;
    for (const std::string& dependency : node->dependencies()) {
      depth = std::max(depth, depths[dependency] + 1);
    }
    depths[node->name] = depth;
  }
  for (size_t i = 0; i < affected.size(); ++i) {
    const script::Node& node = *script.FindNode(affected[i]);
    state::NodeRecord record;
    record.id.node_index = static_cast<int64_t>(i);
    record.name = node.name;
    record.type = std::string(script::NodeTypeName(node.type));
    record.table = node.table_writer ? node.table_writer->name : "";
    record.depth = depths[node.name];
    record.batches_total = node.num_batches();
    // An uncommitted attempt of a distinct node leaves nothing behind, so repeating it is always
    // right.
    record.rerun_fails = node.rerun_fails && node.type != script::NodeType::kDistinctTable;
    CAPI_RETURN_NOT_OK(CheckNumBatches(record));
    plan.nodes.push_back(std::move(record));
  }
  return plan;
}

script::LoadOptions LoadOptionsOf(const state::RunRecord& run) {
  return {run.script_url, run.parameters_url, run.overrides, run.strict};
}

Status CheckNumBatches(const state::NodeRecord& node) {
  if (node.batches_total <= kMaxBatches) return Status::OK();
  return UserError("too_many_batches", "a node has more batches than the store can number: " +
                                           node.name + ", " + std::to_string(node.batches_total));
}

bool MayResume(const state::RunRecord& run, const RunPlan& plan) {
  return run.status == state::RunStatus::kStart && run.script_hash == plan.run.script_hash &&
         run.parameters_hash == plan.run.parameters_hash && run.start_hash == plan.run.start_hash &&
         run.strict == plan.run.strict && run.affected_nodes == plan.run.affected_nodes;
}

}  // namespace capi::workflow
