#pragma once

// A BlobStore in a directory that all processes see (a local disk, or a network file system with
// atomic renames): <root>/<run>/<owner>/<file>/<piece>, each piece a file.

#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/store/blob_store.h"

namespace capi::store {

/// Creates the directory if missing. A piece is written under another name, synced and renamed, so
/// that it is there whole or not at all. `env` outlives the store.
Result<std::unique_ptr<BlobStore>> OpenDirectoryBlobStore(Env* env, const std::string& root);

}  // namespace capi::store
