#pragma once

// Errors of the driver as the room's errors, and what may be repeated after them.

#include <cstdint>
#include <string_view>

#include "capi/base/status.h"

namespace capi::cql {

/// What a statement may do when it is sent again.
enum class Repeat : uint8_t {
  kIdempotent,  ///< the same
  kOnce,        ///< something else: repeated only when it certainly had no effect
};

/// `code`: of CapiCqlCode, not kCqlOk. `subject`: the statement, or what else was tried.
Status MakeCqlError(int32_t code, std::string_view message, std::string_view subject,
                    Repeat repeat);

/// True if the same request may succeed later and may be sent again.
bool MayRepeat(int32_t code, Repeat repeat);

}  // namespace capi::cql
