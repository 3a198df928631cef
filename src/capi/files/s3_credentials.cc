// The credentials chain is that of Amazon's SDK, which comes with Arrow's S3 library. It is started
// only when the environment variables have no key.

#include <arrow/filesystem/s3fs.h>

#include <cstdlib>

#include "capi/files/s3_protocol_internal.h"

namespace capi::files {

namespace {

/// Keys of roles change long before they expire; asking the provider again costs little.
constexpr int64_t kKeepNanos = int64_t{60} * 1000000000;

/// The SDK must be shut down before the process ends.
class SdkLifetime {
 public:
  SdkLifetime() {
    arrow::fs::S3GlobalOptions options = arrow::fs::S3GlobalOptions::Defaults();
    options.log_level = arrow::fs::S3LogLevel::Off;  // it would print keys at higher levels
    status_ = arrow::fs::InitializeS3(options);
  }
  ~SdkLifetime() {
    if (status_.ok()) status_ = arrow::fs::EnsureS3Finalized();
  }
  const Status& status() const { return status_; }

 private:
  Status status_;
};

Result<std::optional<AwsCredentials>> AskSdk() {
  static const SdkLifetime sdk;
  if (!sdk.status().ok()) {
    return EnvironmentError("cannot initialise the S3 library: " + sdk.status().message());
  }
  const arrow::fs::S3Options options = arrow::fs::S3Options::Defaults();
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    AwsCredentials credentials{options.GetAccessKey(), options.GetSecretKey(),
                               options.GetSessionToken()};
    if (credentials.access_key.empty()) return std::nullopt;
    // Three questions, three answers: they may be of different keys when they were just renewed.
    if (options.GetAccessKey() == credentials.access_key) return credentials;
  }
  return RetriableError("the credentials for S3 change while they are read");
}

}  // namespace

Result<std::optional<AwsCredentials>> S3CredentialSource::Get() {
  const AwsCredentials variables{EnvironmentVariable("AWS_ACCESS_KEY_ID"),
                                 EnvironmentVariable("AWS_SECRET_ACCESS_KEY"),
                                 EnvironmentVariable("AWS_SESSION_TOKEN")};
  if (!variables.access_key.empty() && !variables.secret_key.empty()) return variables;
  const std::lock_guard lock(mutex_);
  if (looked_ && env_->MonotonicNanos() - looked_nanos_ < kKeepNanos) return found_;
  CAPI_ASSIGN_OR_RETURN(found_, AskSdk());
  looked_ = true;
  looked_nanos_ = env_->MonotonicNanos();
  return found_;
}

}  // namespace capi::files
