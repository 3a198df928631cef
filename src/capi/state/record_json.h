#pragma once

// Parts of records as JSON texts, for columns that hold more than a number or a word.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "capi/state/records.h"

namespace capi::state {

/// JSON array of texts. Names may hold any bytes; what is not UTF-8 is replaced.
std::string ListToJson(const std::vector<std::string>& list);
/// Empty when the text is not such an array.
std::vector<std::string> ListFromJson(const std::string& json);

/// JSON array of [name, value].
std::string PairsToJson(const std::vector<std::pair<std::string, std::string>>& pairs);
/// Empty when the text is not such an array.
std::vector<std::pair<std::string, std::string>> PairsFromJson(const std::string& json);

/// JSON object of texts by run id. Empty for no problems.
std::string ProblemsToJson(const std::map<int64_t, std::string>& problems);
/// Empty when the text is not such an object.
std::map<int64_t, std::string> ProblemsFromJson(const std::string& json);

/// What a node is created with (name, type, table, depth, batches_total, urls, rerun_fails), in the
/// order of the list.
std::string NewNodesToJson(const std::vector<NodeRecord>& nodes);
/// Ids are those of run `run_id`. Empty when the text is not such a list.
std::vector<NodeRecord> NewNodesFromJson(const std::string& json, int64_t run_id);

}  // namespace capi::state
