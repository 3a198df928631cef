#pragma once

// Addresses of files, taken apart (spec/formats.md 9).

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/files/source.h"

namespace capi::files {

/// Path of a local address, or a kUser error: class "unsupported_scheme", or "bad_address" when
/// empty.
Result<std::string> RequireLocal(const std::string& url, std::string_view activity);

/// An address with a host. Texts are as written, not percent-decoded.
struct RemoteAddress {
  Scheme scheme = Scheme::kOther;
  std::string user;      ///< without password
  std::string password;  ///< never printed
  std::string host;      ///< lower case, without the brackets of an IPv6 address
  int port = 0;          ///< 0 = the usual one of the scheme
  std::string path;      ///< from the first "/"; "" if there is none
  std::string query;     ///< behind "?"
  /// "host" or "host:port", brackets around an IPv6 address.
  std::string Authority() const;
};
/// kUser "bad_address". A fragment ("#...") is dropped for http; sftp paths may hold "?" and "#".
Result<RemoteAddress> ParseRemote(const std::string& url);

struct S3Address {
  std::string bucket;
  std::string key;  ///< decoded, without leading slashes; may hold wildcards
  std::string Url() const { return "s3://" + bucket + "/" + key; }
};
/// kS3, or kHttps naming an object of Amazon's by virtual host or path style, without a query
/// (signed URLs stay plain https).
bool IsS3(const std::string& url);
/// kUser "bad_address".
Result<S3Address> ParseS3(const std::string& url);

/// The scheme that decides who handles the address: SchemeOf, but kS3 for https addresses of S3
/// objects.
Scheme HandlerOf(const std::string& url);

std::string PercentDecoded(std::string_view text);
/// Everything but letters, digits, "-._~" and (if `keep_slash`) "/".
std::string PercentEncoded(std::string_view text, bool keep_slash);

}  // namespace capi::files
