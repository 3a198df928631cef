#pragma once

#include <string>

#include "capi/service/engine.h"

namespace capi::cli {

/// Table of nodes with their row accounting, table of files, errors: what `capi run` ends with.
std::string SummaryText(const service::RunSummary& summary);
/// The same as one JSON object (--output json).
std::string SummaryJson(const service::RunSummary& summary);

}  // namespace capi::cli
