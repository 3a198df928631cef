#include "capi/workflow/table_catalog.h"

namespace capi::workflow {

TableCatalog::TableCatalog(state::StateStore* state, store::TableStore* tables)
    : state_(state), tables_(tables) {
  tables_->SetResolver([this](const store::TableId& id) { return Open(id); });
}

TableCatalog::~TableCatalog() { tables_->SetResolver(nullptr); }

Result<std::shared_ptr<const store::Table>> TableCatalog::Open(const store::TableId& id) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_tables_.find(id);
    if (found != open_tables_.end()) return found->second;
  }
  // Not under the lock: opening a table opens the tables it refers to.
  CAPI_ASSIGN_OR_RETURN(const std::optional<state::NodeRecord> node,
                        state_->NodeOfTable(id.run_id, id.name));
  if (!node || node->manifest.empty()) {
    return UserError("table_not_found",
                     "no finished table " + id.name + " in run " + std::to_string(id.run_id));
  }
  CAPI_ASSIGN_OR_RETURN(
      std::shared_ptr<const store::Table> table,
      tables_->OpenTable(node->manifest,
                         [this](const store::TableId& referenced) { return Open(referenced); }));
  const std::lock_guard lock(mutex_);
  return open_tables_.emplace(id, std::move(table)).first->second;
}

Result<std::shared_ptr<const store::Index>> TableCatalog::OpenIndex(const store::TableId& id,
                                                                    const std::string& index_name) {
  const std::pair key(id, index_name);
  {
    const std::lock_guard lock(mutex_);
    const auto found = open_indexes_.find(key);
    if (found != open_indexes_.end()) return found->second;
  }
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<const store::Table> table, Open(id));
  CAPI_ASSIGN_OR_RETURN(std::shared_ptr<const store::Index> index,
                        tables_->OpenIndex(std::move(table), index_name));
  const std::lock_guard lock(mutex_);
  return open_indexes_.emplace(key, std::move(index)).first->second;
}

}  // namespace capi::workflow
