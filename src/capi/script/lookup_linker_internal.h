#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "capi/script/load_state_internal.h"

namespace capi::script {

struct IndexOwner {
  NodeDraft* owner = nullptr;
  size_t position = 0;  ///< in owner->indexes
};
using IndexesByName = std::map<std::string, IndexOwner>;

/// Pass 2 for a lookup: its index, table and join fields. *all_found becomes false if an index
/// could not be told, so that indexes without a user cannot be judged.
void LinkLookup(NodeDraft* draft, const IndexesByName& indexes, bool* all_found, LoadState* state);

}  // namespace capi::script
