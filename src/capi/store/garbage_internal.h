#pragma once

#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/store/segment/local_files_internal.h"
#include "capi/store/table_store.h"

namespace capi::store {

/// See TableStore::CollectGarbage.
Result<TableStore::Garbage> CollectGarbageFiles(LocalFiles* files,
                                                const std::vector<std::string>& manifests);

}  // namespace capi::store
