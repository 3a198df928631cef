#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/near_name.h"
#include "capi/script/load_state_internal.h"
#include "capi/script/lookup_linker_internal.h"

namespace capi::script {

namespace {

/// Indexes whose name holds this text need no user: they are there to check that a key is unique.
constexpr std::string_view kUniquenessCheck = "to_check_uniq";

using CreatorsByTable = std::map<std::string, NodeDraft*>;

CreatorsByTable CollectTables(LoadState* state) {
  CreatorsByTable creators;
  for (NodeDraft& draft : state->drafts) {
    const bool named = draft.node->table_writer && !draft.node->table_writer->name.empty();
    if (!named) {
      continue;
    }
    const auto [other, inserted] = creators.emplace(draft.node->table_writer->name, &draft);
    if (!inserted) {
      state->Error(draft.table_name, "duplicate_table",
                   "two nodes create the same table: " + other->first + ", created by node " +
                       other->second->node->name + " already");
    }
  }
  return creators;
}

IndexesByName CollectIndexes(const CreatorsByTable& tables, LoadState* state) {
  IndexesByName indexes;
  for (NodeDraft& draft : state->drafts) {
    for (size_t i = 0; i < draft.indexes.size(); ++i) {
      const IndexDraft& index = draft.indexes[i];
      const std::string& name = index.definition.name;
      const auto [other, inserted] = indexes.emplace(name, IndexOwner{&draft, i});
      if (!inserted) {
        state->diagnostics->ErrorAt(index.key_place, index.spot.path, "duplicate_index",
                                    "two indexes have the same name: " + name +
                                        ", defined by node " + other->second.owner->node->name +
                                        " already");
      } else if (tables.count(name) > 0) {
        state->diagnostics->ErrorAt(index.key_place, index.spot.path, "duplicate_index",
                                    "an index must not have the name of a table: " + name);
      }
    }
  }
  return indexes;
}

void LinkReader(NodeDraft* draft, const CreatorsByTable& tables, LoadState* state) {
  if (!draft->node->table_reader || !draft->reader_table.given()) {
    return;
  }
  TableReader& reader = *draft->node->table_reader;
  const auto found = tables.find(reader.table);
  if (found != tables.end()) {
    draft->reader_creator = found->second;
    reader.creator = found->second->node->name;
    return;
  }
  if (draft->reader_table.node->kind == TreeNode::Kind::kUnresolved) {
    return;
  }
  std::vector<std::string> names;
  for (const auto& [name, creator] : tables) {
    names.push_back(name);
  }
  state->Error(
      draft->reader_table, "unknown_table",
      "no node creates this table: " + reader.table + DidYouMean(NearestName(reader.table, names)));
}

void ReportUnusedIndexes(LoadState* state) {
  for (const NodeDraft& draft : state->drafts) {
    for (const IndexDraft& index : draft.indexes) {
      const std::string& name = index.definition.name;
      const bool distinct = draft.node->type == NodeType::kDistinctTable &&
                            (index.definition.unique || !index.usable);
      if (index.used || distinct || name.find(kUniquenessCheck) != std::string::npos) {
        continue;
      }
      state->diagnostics->ErrorAt(
          index.key_place, index.spot.path, "unused_index",
          "no lookup uses this index (one that is there to check that a key is unique must have " +
              std::string(kUniquenessCheck) + " in its name): " + name);
    }
  }
}

void LinkPolicy(NodeDraft* draft, LoadState* state) {
  if (!draft->node->table_reader) {
    return;
  }
  const bool named = draft->policy.given() && !draft->policy.node->text.empty();
  std::vector<std::string> names;
  for (const auto& policy : state->script->policies) {
    names.push_back(policy->name);
    if (named ? policy->name == draft->policy.node->text : policy->is_default) {
      draft->node->policy = policy.get();
    }
  }
  const bool unresolved = named && draft->policy.node->kind == TreeNode::Kind::kUnresolved;
  if (named && !unresolved && draft->node->policy == nullptr) {
    state->Error(draft->policy, "unknown_policy",
                 "no such dependency policy: " + draft->policy.node->text +
                     DidYouMean(NearestName(draft->policy.node->text, names)));
  }
}

/// Depth-first search for a way back; each cycle is reported once, at the node that closes it.
class CycleFinder {
 public:
  explicit CycleFinder(LoadState* state) : state_(state) {}

  void Run() {
    for (NodeDraft& draft : state_->drafts) {
      Visit(&draft);
    }
  }

 private:
  enum class Mark : uint8_t { kNew, kOpen, kDone };
  struct Step {
    NodeDraft* draft = nullptr;
    size_t next = 0;  // which dependency comes next
  };

  static std::vector<std::pair<NodeDraft*, const Spot*>> DependenciesOf(NodeDraft* draft) {
    std::vector<std::pair<NodeDraft*, const Spot*>> dependencies;
    if (draft->reader_creator != nullptr) {
      dependencies.emplace_back(draft->reader_creator, &draft->reader_table);
    }
    if (draft->lookup_creator != nullptr) {
      dependencies.emplace_back(draft->lookup_creator, &draft->lookup.index_name);
    }
    return dependencies;
  }

  void Visit(NodeDraft* start) {
    if (marks_[start] != Mark::kNew) {
      return;
    }
    std::vector<Step> path = {Step{start, 0}};
    marks_[start] = Mark::kOpen;
    while (!path.empty()) {
      Step& step = path.back();
      const auto dependencies = DependenciesOf(step.draft);
      if (step.next == dependencies.size()) {
        marks_[step.draft] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const auto [dependency, spot] = dependencies[step.next++];
      if (marks_[dependency] == Mark::kOpen) {
        Report(path, dependency, *spot);
      } else if (marks_[dependency] == Mark::kNew) {
        marks_[dependency] = Mark::kOpen;
        path.push_back(Step{dependency, 0});
      }
    }
  }

  /// The path goes from readers to creators; the message names the way of the data.
  void Report(const std::vector<Step>& path, const NodeDraft* closing, const Spot& spot) {
    std::string names = closing->node->name;
    for (auto step = path.rbegin(); step != path.rend(); ++step) {
      names += " -> " + step->draft->node->name;
      if (step->draft == closing) {
        break;
      }
    }
    state_->Error(spot, "cycle", "nodes must not depend on themselves: " + names);
  }

  LoadState* state_;
  std::map<const NodeDraft*, Mark> marks_;
};

}  // namespace

void LinkNodes(LoadState* state) {
  const CreatorsByTable tables = CollectTables(state);
  const IndexesByName indexes = CollectIndexes(tables, state);
  bool all_found = true;
  for (NodeDraft& draft : state->drafts) {
    all_found = all_found && draft.type_known;
    LinkReader(&draft, tables, state);
    if (draft.node->type == NodeType::kTableLookupTable && draft.type_known) {
      LinkLookup(&draft, indexes, &all_found, state);
    }
    LinkPolicy(&draft, state);
  }
  if (all_found) {
    ReportUnusedIndexes(state);
  }
  for (NodeDraft& draft : state->drafts) {
    for (IndexDraft& index : draft.indexes) {
      draft.node->table_writer->indexes.push_back(index.definition);
    }
  }
  CycleFinder(state).Run();
}

}  // namespace capi::script
