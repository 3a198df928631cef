#pragma once

// The kinds of inputs.

#include <memory>
#include <string>

#include "capi/files/backend_internal.h"
#include "capi/files/compression.h"
#include "capi/files/input.h"

namespace capi::files {

/// A local file as it is, mapped.
Result<std::unique_ptr<InputText>> OpenMappedText(Env* env, const std::string& url,
                                                  const Fingerprint& expected);
/// A thread reads, unpacks and hashes ahead of the caller.
Result<std::unique_ptr<InputText>> OpenStreamedText(const FilesOptions& options, Backend* backend,
                                                    const std::string& url,
                                                    const Fingerprint& expected);

Result<std::unique_ptr<RandomAccessInput>> OpenMappedRandomAccess(Env* env, const std::string& url,
                                                                  const Fingerprint& expected);
/// By ranges, or from a copy in options.spill_directory if the server has no ranges.
Result<std::unique_ptr<RandomAccessInput>> OpenRemoteRandomAccess(Env* env,
                                                                  const FilesOptions& options,
                                                                  Backend* backend,
                                                                  const std::string& url,
                                                                  const Fingerprint& expected);

}  // namespace capi::files
