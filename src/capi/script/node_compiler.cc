#include <set>
#include <string>
#include <utility>
#include <vector>

#include "capi/script/default_value.h"
#include "capi/script/load_state_internal.h"

namespace capi::script {

namespace {

ExpressionPlace FieldPlace(const NodeDraft& draft) {
  const NodeType type = draft.node->type;
  ExpressionPlace place;
  place.context = type == NodeType::kTableLookupTable && draft.node->lookup->group
                      ? expr::ContextKind::kGroup
                      : expr::ContextKind::kField;
  place.allowed = {{"r", draft.reader_fields()}};
  if (type == NodeType::kTableLookupTable) {
    const FieldNames* looked_up =
        draft.lookup_creator == nullptr ? nullptr : &draft.lookup_creator->written;
    place.allowed.push_back({"l", looked_up});
  }
  if (type == NodeType::kCustomTable) {
    place.allowed.push_back({"p", draft.produced_known ? &draft.produced : nullptr});
  }
  place.prohibited = {"w"};
  return place;
}

ExpressionPlace HavingPlace(const NodeDraft& draft) {
  ExpressionPlace place;
  place.context = expr::ContextKind::kCond;
  place.declared = data::FieldType::kBool;
  place.allowed = {{"w", &draft.written}};
  place.prohibited = {"r", "l", "p"};
  return place;
}

ExpressionPtr CompileCondition(const Spot& spot, const ExpressionPlace& place, LoadState* state) {
  const bool given = spot.given() && !IsBlank(spot.node->text);
  return given ? CompileExpression(spot, place, *state) : nullptr;
}

/// Names that the expressions of a node use under one alias.
class UsedNames {
 public:
  explicit UsedNames(std::string alias) : alias_(std::move(alias)) {}
  void Add(const ExpressionPtr& expression) {
    if (expression == nullptr) {
      return;
    }
    for (const expr::Variable& variable : expression->variables()) {
      if (variable.alias == alias_) {
        names_.insert(variable.name);
      }
    }
  }
  void Add(const std::vector<std::string>& names) { names_.insert(names.begin(), names.end()); }
  /// In the order of the table.
  std::vector<std::string> In(const FieldNames& table) const {
    std::vector<std::string> used;
    for (const FieldNames::Entry& entry : table.entries()) {
      if (names_.count(entry.name) > 0) {
        used.push_back(entry.name);
      }
    }
    return used;
  }

 private:
  const std::string alias_;
  std::set<std::string> names_;
};

void CompileFields(NodeDraft* draft, UsedNames* read, UsedNames* looked_up, LoadState* state) {
  Node& node = *draft->node;
  ExpressionPlace place = FieldPlace(*draft);
  for (size_t i = 0; i < draft->field_expressions.size(); ++i) {
    const Spot& spot = draft->field_expressions[i];
    data::Field& field =
        node.table_writer ? node.table_writer->fields[i].field : node.file_writer->columns[i].field;
    const FieldNames::Entry* entry = draft->written.Find(field.name);
    place.declared = entry == nullptr ? std::nullopt : entry->type;
    ExpressionPtr compiled = CompileExpression(spot, place, *state);
    read->Add(compiled);
    looked_up->Add(compiled);
    (node.table_writer ? node.table_writer->fields[i].expression
                       : node.file_writer->columns[i].expression) = std::move(compiled);
  }
}

void CompileNode(NodeDraft* draft, LoadState* state) {
  Node& node = *draft->node;
  UsedNames read("r");
  UsedNames looked_up("l");
  if (node.table_writer || node.file_writer) {
    CompileFields(draft, &read, &looked_up, state);
    const bool distinct = node.type == NodeType::kDistinctTable;
    ExpressionPtr having =
        distinct ? nullptr : CompileCondition(draft->having, HavingPlace(*draft), state);
    (node.table_writer ? node.table_writer->having : node.file_writer->having) = std::move(having);
  }
  CompileProcessor(draft, state);
  read.Add(draft->processor_reads);
  if (node.lookup) {
    ExpressionPlace place;
    place.context = expr::ContextKind::kCond;
    place.declared = data::FieldType::kBool;
    place.allowed = {
        {"l", draft->lookup_creator == nullptr ? nullptr : &draft->lookup_creator->written}};
    place.prohibited = {"r", "w"};
    node.lookup->filter = CompileCondition(draft->lookup.filter, place, state);
    looked_up.Add(node.lookup->filter);
    read.Add(node.lookup->join_fields);
    if (draft->lookup_creator != nullptr) {
      node.lookup->used_fields = looked_up.In(draft->lookup_creator->written);
    }
  }
  if (node.table_reader && draft->reader_creator != nullptr) {
    node.table_reader->used_fields = read.In(draft->reader_creator->written);
  }
}

}  // namespace

void CompileNodes(LoadState* state) {
  for (NodeDraft& draft : state->drafts) {
    if (draft.type_known) {
      CompileNode(&draft, state);
    }
  }
}

}  // namespace capi::script
