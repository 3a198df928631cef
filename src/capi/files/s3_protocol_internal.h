#pragma once

// Pieces of the S3 protocol: signatures, answers in XML, credentials.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/files/http_client_internal.h"

namespace capi::files {

/// "" when it is not set.
std::string EnvironmentVariable(const char* name);

struct AwsCredentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;
};

/// Names and values, not encoded.
using S3Query = std::vector<std::pair<std::string, std::string>>;
/// Sorted and encoded as signatures want it.
std::string CanonicalQuery(const S3Query& query);

/// Adds the headers of AWS Signature Version 4 for the service s3. The url's path must be encoded
/// and its query canonical. `now_seconds` since 1970.
Status SignS3Request(const AwsCredentials& credentials, const std::string& region,
                     int64_t now_seconds, HttpRequest* request);

/// Content of the first element of this name, entities replaced; nullopt if there is none.
std::optional<std::string> XmlText(std::string_view xml, std::string_view tag);
/// The insides of all elements of this name (not nested in each other).
std::vector<std::string_view> XmlElements(std::string_view xml, std::string_view tag);

/// Where Amazon's tools look: environment variables, the shared files and their profiles, web
/// identity, containers, the instance. Thread-safe.
class S3CredentialSource {
 public:
  explicit S3CredentialSource(Env* env) : env_(env) {}
  /// nullopt: there are none, requests are sent unsigned (public buckets).
  Result<std::optional<AwsCredentials>> Get();

 private:
  Env* const env_;
  std::mutex mutex_;
  std::optional<AwsCredentials> found_;
  bool looked_ = false;
  int64_t looked_nanos_ = 0;
};

/// AWS_REGION, AWS_DEFAULT_REGION, then the profile in the shared configuration file; "" = unknown.
std::string ConfiguredS3Region();

}  // namespace capi::files
