#pragma once

// Rules about addresses shared by sources and sinks.

#include <string>
#include <string_view>

#include "capi/base/status.h"

namespace capi::files {

/// Path of a local address, or a kUser error: class "unsupported_scheme", or "bad_address" when
/// empty.
Result<std::string> RequireLocal(const std::string& url, std::string_view activity);

}  // namespace capi::files
