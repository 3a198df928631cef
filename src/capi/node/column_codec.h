#pragma once

// Columns as bytes in spill files. The format lives as long as the process: no versions, native
// byte order.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/node/field_programs.h"

namespace capi::node {

/// Appends n rows of columns (any layout of data/types.h; dictionaries become plain). Aligned to 8
/// bytes if *bytes is.
Status AppendColumns(const Columns& columns, int64_t n, std::string* bytes);

/// Reads what AppendColumns wrote from the front of *bytes and drops it. The columns point into the
/// bytes and do not own them.
Result<Columns> ReadColumns(size_t num_columns, std::string_view* bytes);

}  // namespace capi::node
