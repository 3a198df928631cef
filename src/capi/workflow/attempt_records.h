#pragma once

// What the state store keeps as text: row counts, errors, fingerprints.

#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/files/source.h"
#include "capi/node/node.h"
#include "capi/state/records.h"

namespace capi::workflow {

/// JSON object without the counts that are zero.
std::string CountsToJson(const node::RowCounts& counts);
/// Unknown and missing members are ignored; "" gives zeros.
node::RowCounts CountsFromJson(const std::string& json);

state::ErrorRecord ToErrorRecord(const Status& status);

/// One line per input.
std::string FingerprintsToText(const std::vector<files::Fingerprint>& fingerprints);
Result<std::vector<files::Fingerprint>> FingerprintsFromText(const std::string& text);

}  // namespace capi::workflow
