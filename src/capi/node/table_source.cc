#include "capi/node/table_source.h"

#include <tuple>

namespace capi::node {

TableSource::TableSource(const store::Table& table, int64_t index, int64_t num_batches) {
  std::tie(begin_, end_) = store::PartitionRange(table.num_rows(), index, num_batches);
  morsels_ = table.Morsels(begin_, end_);
}

std::optional<store::Table::Morsel> TableSource::Next() {
  if (next_ == morsels_.size()) return std::nullopt;
  return morsels_[next_++];
}

std::vector<expr::Variable> VariablesOf(const std::string& alias,
                                        const std::vector<std::string>& names) {
  std::vector<expr::Variable> variables;
  variables.reserve(names.size());
  for (const std::string& name : names) variables.push_back({alias, name});
  return variables;
}

Result<std::vector<int>> FieldsOf(const store::Table& table,
                                  const std::vector<std::string>& names) {
  std::vector<int> fields;
  fields.reserve(names.size());
  for (const std::string& name : names) {
    const int field = table.FieldIndex(name);
    if (field < 0) return BugError("table " + table.id().name + " has no field " + name);
    fields.push_back(field);
  }
  return fields;
}

void SetWork(const exec::Context& context, int64_t total) {
  if (context.progress != nullptr) context.progress->work_total = total;
}

void CountMorsel(const exec::Context& context, int64_t rows) {
  if (context.progress == nullptr) return;
  context.progress->rows_in += rows;
  context.progress->work_done += rows;
}

}  // namespace capi::node
