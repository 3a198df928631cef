#pragma once

// Addresses and fingerprints of inputs, and local inputs. files.h is the door for all schemes.

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

/// The address without what must not be shown: passwords, and queries of http (tokens, signatures).
std::string Redacted(const std::string& url);
/// The same for all addresses in a text.
std::string RedactedText(std::string_view text);

/// What identified an input when a node was pinned; a later attempt must see the same.
struct Fingerprint {
  int64_t size = 0;  ///< -1: the server does not tell
  int64_t mtime_ns = 0;
  uint64_t inode = 0;     ///< local files only
  std::string etag = {};  ///< of http(s) and S3 as the server gives it
  bool operator==(const Fingerprint&) const = default;
};
/// "size:mtime:inode" or "size:mtime:inode:etag", without line ends.
std::string ToText(const Fingerprint& fingerprint);
Result<Fingerprint> ParseFingerprint(const std::string& text);

/// Only local files here; other schemes: kUser error of class "unsupported_scheme". A directory,
/// device or pipe: kUser "not_a_file"; a missing file: kUser "file_not_found".
Result<Fingerprint> FingerprintOf(Env* env, const std::string& url);
/// Maps the whole input. When `expected` is given and differs: kUser class "input_changed".
Result<std::shared_ptr<MappedFile>> OpenInput(Env* env, const std::string& url,
                                              const Fingerprint* expected);
/// kUser class "input_changed".
Status InputChanged(const std::string& url, const Fingerprint& expected, const Fingerprint& actual);

/// Fetcher over Env (local files) used by the script loader.
std::unique_ptr<Fetcher> NewFetcher(Env* env);

}  // namespace capi::files
