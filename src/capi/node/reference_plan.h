#pragma once

// Which target fields are stored as references to rows of a source table instead of as values
// (architecture 5 "segments").

#include <string>
#include <vector>

#include "capi/node/field_programs.h"
#include "capi/store/table_store.h"

namespace capi::node {

/// Target fields that are bare `alias.x` of a frozen table.
struct ReferencePlan {
  /// fields[i] of the target schema takes field source_fields[i] of the source.
  std::vector<int> fields;
  std::vector<int> source_fields;
  bool empty() const { return fields.empty(); }
};

/// Collects the bare fields of `alias`. Empty when storing a row id would not be smaller than the
/// values: a single fixed-width field.
Result<ReferencePlan> PlanReferences(const std::vector<Target>& targets, const std::string& alias,
                                     const store::Table& source);

/// Names of `alias` used by the expressions (null ones are skipped), in order of appearance.
std::vector<std::string> UsedNames(const std::vector<const expr::Expression*>& expressions,
                                   const std::string& alias);

}  // namespace capi::node
