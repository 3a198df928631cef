#pragma once

// Runs the case files of expressions (format: spec/expressions.md 11, tests/cases/README.md).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::expr {

struct CaseFailure {
  std::string id;
  std::string message;  ///< expression, expected and found answer
};

struct CaseReport {
  int64_t passed = 0;
  int64_t deviations = 0;  ///< answers that differ from the case as a listed deviation says
  std::vector<CaseFailure> failures;

  bool ok() const { return failures.empty(); }
  /// One line per failure, then one with the totals.
  std::string ToText() const;
};

/// `cases`: one case per line; our own cases may state the "offset" of an error too. `deviations`:
/// one per line, {"id", "reason", "ours": {"result": {"type", "value"}} or {"error": class}}; our
/// answer is asserted too. Lines with a "suite" other than "expr" are about other case files. A
/// deviation that says what the case says, or whose case does not exist, is a failure. Error
/// "bad_json" for text that cannot be read.
Result<CaseReport> RunExpressionCases(std::string_view cases, std::string_view deviations);

}  // namespace capi::expr
