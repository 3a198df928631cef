#pragma once

// Loading and checking scripts.

#include "capi/base/env.h"
#include "capi/files/files_options.h"
#include "capi/script/loader.h"

namespace capi::service {

/// All errors and warnings of a script; nothing is executed.
script::LoadResult LoadScript(const script::LoadOptions& options, Env* env,
                              const files::FilesOptions& files);

}  // namespace capi::service
