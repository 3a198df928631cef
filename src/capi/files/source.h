#pragma once

// Bytes behind an address, and files that appear only when published (architecture P6).

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capi/base/env.h"
#include "capi/base/fetcher.h"
#include "capi/base/status.h"

namespace capi::files {

enum class Scheme : uint8_t { kLocal, kHttp, kHttps, kSftp, kS3, kOther };
/// "" and "file" are kLocal.
Scheme SchemeOf(const std::string& url);
/// Path of a local address ("file://" stripped).
std::string LocalPath(const std::string& url);

/// What identified an input when a node was pinned; a later attempt must see the same.
struct Fingerprint {
  int64_t size = 0;
  int64_t mtime_ns = 0;
  uint64_t inode = 0;
  bool operator==(const Fingerprint&) const = default;
};
std::string ToText(const Fingerprint& fingerprint);
Result<Fingerprint> ParseFingerprint(const std::string& text);

/// Only local files here; other schemes: kUser error of class "unsupported_scheme". A directory,
/// device or pipe: kUser "not_a_file"; a missing file: kUser "file_not_found".
Result<Fingerprint> FingerprintOf(Env* env, const std::string& url);
/// Maps the whole input. When `expected` is given and differs: kUser class "input_changed".
Result<std::shared_ptr<MappedFile>> OpenInput(Env* env, const std::string& url,
                                              const Fingerprint* expected);

/// Fetcher over Env (local files) used by the script loader.
std::unique_ptr<Fetcher> NewFetcher(Env* env);

}  // namespace capi::files
