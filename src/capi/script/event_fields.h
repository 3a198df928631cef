#pragma once

// What dependency rules may refer to (spec/script.md 13, 16).

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/data/go_format.h"
#include "capi/data/types.h"

namespace capi::script {

/// Fields of an event as the new spelling has them: rules and orders of a loaded policy use these
/// names only, rules with the alias kEventAlias. The first four are the newest version's, the
/// others exist for old scripts.
const std::vector<data::Field>& EventFields();
constexpr std::string_view kEventAlias = "nrs";

/// The type of an event field; names of the old spelling (run_final_status) too.
std::optional<data::FieldType> EventFieldType(std::string_view name);
/// run_final_status -> run_status; other names are the same in both spellings.
std::string CurrentEventField(const std::string& name);

/// wfmodel.<name>: values of run and node statuses.
std::optional<data::Value> StatusConstant(std::string_view name);
/// All names of StatusConstant.
std::vector<std::string> StatusConstantNames();

}  // namespace capi::script
