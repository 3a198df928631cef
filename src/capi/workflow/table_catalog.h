#pragma once

// Frozen tables of a keyspace by their id: looks up manifests in the state store and keeps what it
// opened.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "capi/base/status.h"
#include "capi/state/state_store.h"
#include "capi/store/table_store.h"

namespace capi::workflow {

/// Thread-safe. Registers itself as the table store's resolver; both stores outlive it.
class TableCatalog {
 public:
  TableCatalog(state::StateStore* state, store::TableStore* tables);
  ~TableCatalog();

  /// kUser error "table_not_found" if the run has no such table or its node has not succeeded.
  Result<std::shared_ptr<const store::Table>> Open(const store::TableId& id);
  Result<std::shared_ptr<const store::Index>> OpenIndex(const store::TableId& id,
                                                        const std::string& index_name);

 private:
  state::StateStore* state_;
  store::TableStore* tables_;
  std::mutex mutex_;
  std::map<store::TableId, std::shared_ptr<const store::Table>> open_tables_;
  std::map<std::pair<store::TableId, std::string>, std::shared_ptr<const store::Index>>
      open_indexes_;
};

}  // namespace capi::workflow
