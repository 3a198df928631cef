#pragma once

// Evaluates at compile time what does not depend on a row.

#include <memory>
#include <vector>

#include "capi/base/status.h"
#include "capi/expr/tree.h"

namespace capi::expr {

/// Replaces every subtree without variables, aggregates and time.Now by its value, and drops what
/// is never evaluated: the right side of `false && x`, the branch of an iif not taken. Reports
/// errors that every evaluation of the subtree would meet: of constants, of a division by constant
/// zero, of a bad constant regular expression. Nothing is reported from dropped parts. Returns null
/// after an error.
std::unique_ptr<Node> FoldConstants(std::unique_ptr<Node> node, std::vector<Status>* errors);

}  // namespace capi::expr
