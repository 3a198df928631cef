#include "capi/script/model.h"

#include <algorithm>
#include <map>
#include <set>

#include "capi/base/near_name.h"

namespace capi::script {

std::string_view NodeTypeName(NodeType type) {
  switch (type) {
    case NodeType::kFileTable:
      return "file_table";
    case NodeType::kTableTable:
      return "table_table";
    case NodeType::kTableLookupTable:
      return "table_lookup_table";
    case NodeType::kTableFile:
      return "table_file";
    case NodeType::kDistinctTable:
      return "distinct_table";
    case NodeType::kCustomTable:
      return "table_custom_tfm_table";
  }
  return "unknown";
}

std::vector<std::string> Node::dependencies() const {
  std::vector<std::string> names;
  if (table_reader) {
    names.push_back(table_reader->creator);
  }
  if (lookup && (names.empty() || names[0] != lookup->creator)) {
    names.push_back(lookup->creator);
  }
  return names;
}

const Node* Script::FindNode(const std::string& name) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [&name](const auto& node) { return node->name == name; });
  return found == nodes.end() ? nullptr : found->get();
}

const Node* Script::CreatorOf(const std::string& table) const {
  const auto found = std::find_if(nodes.begin(), nodes.end(), [&table](const auto& node) {
    return node->table_writer && node->table_writer->name == table;
  });
  return found == nodes.end() ? nullptr : found->get();
}

std::vector<const Node*> Script::ReadersOf(const Node& node) const {
  std::vector<const Node*> readers;
  if (!node.table_writer) {
    return readers;
  }
  const std::string& table = node.table_writer->name;
  for (const auto& other : nodes) {
    const bool reads = other->table_reader && other->table_reader->table == table;
    const bool looks_up = other->lookup && other->lookup->table == table;
    if (reads || looks_up) {
      readers.push_back(other.get());
    }
  }
  return readers;
}

std::vector<const Node*> Script::TopologicalOrder() const {
  std::map<std::string, size_t> positions;
  for (size_t i = 0; i < nodes.size(); ++i) {
    positions[nodes[i]->name] = i;
  }
  std::vector<size_t> num_waiting(nodes.size(), 0);
  std::vector<std::vector<size_t>> readers(nodes.size());
  std::set<size_t> ready;  // by position: the smallest goes first
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& name : nodes[i]->dependencies()) {
      readers[positions[name]].push_back(i);
      ++num_waiting[i];
    }
    if (num_waiting[i] == 0) {
      ready.insert(i);
    }
  }
  std::vector<const Node*> order;
  while (!ready.empty()) {
    const size_t i = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(nodes[i].get());
    for (const size_t reader : readers[i]) {
      if (--num_waiting[reader] == 0) {
        ready.insert(reader);
      }
    }
  }
  return order;
}

Result<std::vector<std::string>> Script::AffectedNodes(
    const std::vector<std::string>& start_nodes) const {
  std::vector<std::string> names;
  for (const auto& node : nodes) {
    names.push_back(node->name);
  }
  std::set<const Node*> starts;
  for (const std::string& name : start_nodes) {
    const Node* node = FindNode(name);
    if (node == nullptr) {
      return UserError("unknown_node", "the script has no such node: " + name +
                                           DidYouMean(NearestName(name, names)));
    }
    starts.insert(node);
  }
  // What waits for an operator: manual nodes behind a start node, and what comes behind those
  // unless it is started itself. Parents come first, so each node is looked at once.
  std::set<const Node*> reached;
  std::set<const Node*> waiting;
  const std::vector<const Node*> order = TopologicalOrder();
  for (const Node* node : order) {
    const bool holds_back = waiting.count(node) > 0 && starts.count(node) == 0;
    if (reached.count(node) == 0 && starts.count(node) == 0) {
      continue;
    }
    for (const Node* reader : ReadersOf(*node)) {
      reached.insert(reader);
      if (reader->manual || holds_back) {
        waiting.insert(reader);
      }
    }
  }
  std::set<const Node*> affected = starts;
  for (const Node* node : order) {
    if (affected.count(node) == 0) {
      continue;
    }
    for (const Node* reader : ReadersOf(*node)) {
      if (waiting.count(reader) == 0) {
        affected.insert(reader);
      }
    }
  }
  std::vector<std::string> result;
  for (const auto& node : nodes) {
    if (affected.count(node.get()) > 0) {
      result.push_back(node->name);
    }
  }
  return result;
}

std::shared_ptr<const Script> WithUrls(
    const Script& script, const std::map<std::string, std::vector<std::string>>& urls) {
  auto copy = std::make_shared<Script>();
  copy->url = script.url;
  copy->parameters_url = script.parameters_url;
  copy->script_hash = script.script_hash;
  copy->parameters_hash = script.parameters_hash;
  copy->overrides = script.overrides;
  copy->strict = script.strict;
  std::map<const DependencyPolicy*, const DependencyPolicy*> policies;
  for (const auto& policy : script.policies) {
    copy->policies.push_back(std::make_unique<DependencyPolicy>(*policy));
    policies[policy.get()] = copy->policies.back().get();
  }
  for (const auto& node : script.nodes) {
    copy->nodes.push_back(std::make_unique<Node>(*node));
    Node& copied = *copy->nodes.back();
    if (copied.policy != nullptr) copied.policy = policies.at(copied.policy);
    const auto found = urls.find(copied.name);
    if (found != urls.end()) copied.file_reader->urls = found->second;
  }
  return copy;
}

std::vector<data::Field> FieldsOf(const TableWriter& writer) {
  std::vector<data::Field> fields;
  for (const TargetField& field : writer.fields) {
    fields.push_back(field.field);
  }
  return fields;
}

}  // namespace capi::script
