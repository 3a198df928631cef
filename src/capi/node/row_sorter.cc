#include "capi/node/row_sorter.h"

#include <algorithm>
#include <utility>

#include "arrow/array/array_base.h"
#include "capi/data/column.h"
#include "capi/node/row_sorter_internal.h"
#include "capi/node/table_output.h"

namespace capi::node {

namespace {

class Plan : public SortPlan {
 public:
  static Result<std::unique_ptr<SortPlan>> Make(const NodeSetup& setup) {
    auto plan = std::make_unique<Plan>();
    plan->setup_ = setup;
    const script::FileWriter& writer = *setup.node->file_writer;
    // Columns of the order and of having, in script order: so come their errors.
    const std::vector<expr::Variable> no_variables;
    const auto& having_variables =
        writer.having == nullptr ? no_variables : writer.having->variables();
    std::vector<Target> targets;
    for (const Target& target : TargetsOf(*setup.node)) {
      const bool ordered =
          std::any_of(writer.top_order.begin(), writer.top_order.end(),
                      [&](const data::KeyComponent& key) { return key.field == target.name; });
      const bool in_having = std::find(having_variables.begin(), having_variables.end(),
                                       expr::Variable{"w", target.name}) != having_variables.end();
      if (ordered || in_having) targets.push_back(target);
    }
    for (const data::KeyComponent& key : writer.top_order) {
      SortComponent component;
      component.key = key;
      component.target = static_cast<size_t>(
          std::find_if(targets.begin(), targets.end(),
                       [&](const Target& target) { return target.name == key.field; }) -
          targets.begin());
      const auto& bare = targets[component.target].expression->bare_variable();
      if (bare && key.type == data::FieldType::kString) {
        component.reference = setup.reader->ReferenceOf(setup.reader->FieldIndex(bare->name));
      }
      plan->components_.push_back(std::move(component));
    }
    std::vector<const expr::Expression*> expressions;
    for (const Target& target : targets) expressions.push_back(target.expression.get());
    std::vector<std::string> names = setup.node->table_reader->used_fields;
    std::erase_if(names, [&](const std::string& name) {
      return std::none_of(expressions.begin(), expressions.end(), [&](const auto* expression) {
        const auto& used = expression->variables();
        return std::find(used.begin(), used.end(), expr::Variable{"r", name}) != used.end();
      });
    });
    CAPI_ASSIGN_OR_RETURN(plan->fields_, FieldsOf(*setup.reader, names));
    CAPI_ASSIGN_OR_RETURN(plan->programs_,
                          FieldPrograms::Make(std::move(targets), writer.having,
                                              "nodes." + setup.node->name + ".w.having",
                                              VariablesOf("r", names), setup.environment));
    return std::unique_ptr<SortPlan>(std::move(plan));
  }

  Result<std::unique_ptr<SortedRows>> Sort(const exec::Context& context,
                                           int64_t batch_index) const override {
    TableSource source(*setup_.reader, batch_index, setup_.node->num_batches());
    SortInputs inputs;
    inputs.setup = &setup_;
    inputs.components = &components_;
    inputs.programs = programs_.get();
    inputs.fields = &fields_;
    inputs.limit = setup_.node->file_writer->top_limit;
    exec::Reservation reservation(context.memory);
    int64_t bytes = source.num_rows() * BytesPerSortedRow(components_);
    for (const SortComponent& component : components_) {
      // Ranking a source table holds one string view and one rank per row.
      if (component.reference) bytes += component.reference->source->num_rows() * 40;
    }
    // Row numbers in memory have 32 bits.
    if (source.num_rows() <= UINT32_MAX && reservation.TryGrow(bytes)) {
      return SortInMemory(context, inputs, std::move(source), std::move(reservation));
    }
    return SortWithSpilling(context, inputs, std::move(source));
  }

 private:
  NodeSetup setup_;
  std::vector<SortComponent> components_;
  std::vector<int> fields_;
  std::unique_ptr<FieldPrograms> programs_;
};

}  // namespace

Result<std::unique_ptr<SortPlan>> SortPlan::Make(const NodeSetup& setup) {
  return Plan::Make(setup);
}

RowIdList::RowIdList(std::vector<data::RowId> ids) : size_(static_cast<int64_t>(ids.size())) {
  if (ids.empty()) return;
  first_ = ids.front();
  if (ids.back() - ids.front() != size_ - 1) ids_ = std::move(ids);
}

int64_t BytesPerSortedRow(const std::vector<SortComponent>& components) {
  // Key values of all components; then the word being made or sorted, row numbers and scratch of a
  // radix pass.
  return static_cast<int64_t>(components.size()) * 8 + 20;
}

Result<SortMorsel> SortInputs::Read(const exec::Context& context,
                                    const store::Table::Morsel& morsel,
                                    bool with_references) const {
  const store::Table& table = *setup->reader;
  SortMorsel result;
  result.source_rows.resize(components->size());
  result.keys.resize(components->size());
  // Columns that only stand behind references are not read.
  std::vector<bool> needed(fields->size(), true);
  if (with_references && !programs->has_having()) {
    for (size_t i = 0; i < fields->size(); ++i) {
      needed[i] = false;
      for (size_t c = 0; c < components->size(); ++c) {
        if ((*components)[c].reference) continue;
        const auto& used = programs->targets()[(*components)[c].target].expression->variables();
        needed[i] =
            needed[i] || std::find(used.begin(), used.end(), programs->inputs()[i]) != used.end();
      }
    }
  }
  std::vector<int> read_fields;
  for (size_t i = 0; i < fields->size(); ++i) {
    if (needed[i]) read_fields.push_back((*fields)[i]);
  }
  CAPI_ASSIGN_OR_RETURN(auto scan, table.Read(morsel, read_fields));
  Columns columns(fields->size());
  for (size_t i = 0, next = 0; i < fields->size(); ++i) {
    if (needed[i]) columns[i] = scan.columns[next++];
  }
  const auto describe = [&](int64_t row) {
    return DescribeTableRow(table, scan.row_ids[static_cast<size_t>(row)]);
  };
  CAPI_ASSIGN_OR_RETURN(ComputedRows rows, programs->Compute(columns, scan.num_rows, describe));
  result.counts.in = scan.num_rows;
  result.counts.filtered = rows.filtered;
  for (size_t c = 0; c < components->size(); ++c) {
    const SortComponent& component = (*components)[c];
    if (with_references && component.reference) {
      CAPI_ASSIGN_OR_RETURN(std::vector<data::RowId> sources,
                            table.ReadReferences(morsel, component.reference->group));
      if (!rows.all_selected) {
        for (size_t i = 0; i < rows.selected.size(); ++i) {
          sources[i] = sources[static_cast<size_t>(rows.selected[i])];
        }
        sources.resize(rows.selected.size());
      }
      result.source_rows[c] = std::move(sources);
    } else {
      result.keys[c] = rows.columns[component.target];
    }
  }
  if (rows.all_selected) {
    result.row_ids = RowIdList(std::move(scan.row_ids));
  } else {
    std::vector<data::RowId> selected;
    selected.reserve(rows.selected.size());
    for (const int32_t row : rows.selected) {
      selected.push_back(scan.row_ids[static_cast<size_t>(row)]);
    }
    result.row_ids = RowIdList(std::move(selected));
  }
  CountMorsel(context, scan.num_rows);
  return result;
}

}  // namespace capi::node
