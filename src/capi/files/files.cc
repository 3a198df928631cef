#include "capi/files/files.h"

#include <algorithm>
#include <utility>

#include "capi/files/access_policy_internal.h"
#include "capi/files/address_internal.h"
#include "capi/files/backend_internal.h"
#include "capi/files/glob_internal.h"
#include "capi/files/input_internal.h"

namespace capi::files {

namespace {

class FilesImpl final : public Files {
 public:
  FilesImpl(Env* env, const FilesOptions& options, AccessPolicy policy)
      : env_(env), options_(options), policy_(std::move(policy)) {}

  Status Start() {
    CAPI_ASSIGN_OR_RETURN(client_, HttpClient::Make(options_, &policy_));
    local_fetcher_ = NewFetcher(env_);
    local_ = NewLocalBackend(env_, &policy_);
    http_ = NewHttpBackend(env_, options_, client_.get());
    sftp_ = NewSftpBackend(env_, options_, &policy_);
    s3_ = NewS3Backend(env_, options_, client_.get());
    return Status::OK();
  }

  Result<std::string> Fetch(const std::string& url) override {
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(url));
    if (backend == local_.get()) {
      // Pipes are fine here.
      CAPI_RETURN_NOT_OK(policy_.CheckPath(LocalPath(url)));
      return local_fetcher_->Fetch(url);
    }
    CAPI_ASSIGN_OR_RETURN(const Fingerprint fingerprint, backend->Stat(url));
    std::string text;
    CAPI_RETURN_NOT_OK(backend->Read(
        url, fingerprint, 0, -1,
        [&](std::string_view bytes) {
          text += bytes;
          return static_cast<int64_t>(text.size()) <= options_.max_small_file_bytes
                     ? Status::OK()
                     : UserError("file_too_large",
                                 "file is too large to be a script, parameters, criteria or "
                                 "Python code; limit: " +
                                     std::to_string(options_.max_small_file_bytes) + ": " +
                                     Redacted(url));
        },
        nullptr));
    return text;
  }

  Result<std::vector<std::string>> Expand(const std::string& url) override {
    const Scheme scheme = SchemeOf(url);  // an https address of S3 is no pattern
    if (!HasWildcard(url) || scheme == Scheme::kHttp || scheme == Scheme::kHttps) {
      return std::vector<std::string>{url};
    }
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(url));
    CAPI_ASSIGN_OR_RETURN(std::vector<std::string> urls, backend->Match(url));
    if (urls.empty()) {
      return UserError("no_match", "no file matches the pattern: " + Redacted(url));
    }
    std::sort(urls.begin(), urls.end());
    urls.erase(std::unique(urls.begin(), urls.end()), urls.end());
    return urls;
  }

  Result<Fingerprint> FingerprintOf(const std::string& url) override {
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(url));
    return backend->Stat(url);
  }

  Result<std::unique_ptr<InputText>> OpenText(const std::string& url,
                                              const Fingerprint& expected) override {
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(url));
    if (backend == local_.get() && CompressionOf(url) == Compression::kNone) {
      CAPI_RETURN_NOT_OK(policy_.CheckPath(LocalPath(url)));
      return OpenMappedText(env_, url, expected);
    }
    return OpenStreamedText(options_, backend, url, expected);
  }

  Result<std::unique_ptr<RandomAccessInput>> OpenRandomAccess(
      const std::string& url, const Fingerprint& expected) override {
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(url));
    if (backend == local_.get()) {
      CAPI_RETURN_NOT_OK(policy_.CheckPath(LocalPath(url)));
      return OpenMappedRandomAccess(env_, url, expected);
    }
    return OpenRemoteRandomAccess(env_, options_, backend, url, expected);
  }

  Result<std::unique_ptr<Sink>> CreateSink(const std::string& url, const RecordPlan& record,
                                           SinkPlan* plan) override {
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(url));
    CAPI_ASSIGN_OR_RETURN(*plan, backend->Plan(url));
    return backend->Open(record, plan);
  }

  Status Publish(const SinkPlan& plan, int64_t size) override {
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(plan.target));
    return backend->Publish(plan, size);
  }

  Status Discard(const SinkPlan& plan) override {
    CAPI_ASSIGN_OR_RETURN(Backend * backend, BackendOf(plan.target));
    return backend->Discard(plan);
  }

 private:
  Result<Backend*> BackendOf(const std::string& url) {
    switch (HandlerOf(url)) {
      case Scheme::kLocal:
        return local_.get();
      case Scheme::kHttp:
      case Scheme::kHttps:
        return http_.get();
      case Scheme::kSftp:
        return sftp_.get();
      case Scheme::kS3:
        return s3_.get();
      case Scheme::kOther:
        break;
    }
    return UserError("unsupported_scheme", "address has an unknown scheme: " + Redacted(url));
  }

  Env* const env_;  // outlives this
  const FilesOptions options_;
  const AccessPolicy policy_;
  std::unique_ptr<HttpClient> client_;
  std::unique_ptr<Fetcher> local_fetcher_;
  std::unique_ptr<Backend> local_;
  std::unique_ptr<Backend> http_;
  std::unique_ptr<Backend> sftp_;
  std::unique_ptr<Backend> s3_;
};

}  // namespace

Result<std::unique_ptr<Files>> Files::Make(Env* env, const FilesOptions& options) {
  CAPI_ASSIGN_OR_RETURN(AccessPolicy policy, AccessPolicy::Make(options.policy));
  auto files = std::make_unique<FilesImpl>(env, options, std::move(policy));
  CAPI_RETURN_NOT_OK(files->Start());
  return std::unique_ptr<Files>(std::move(files));
}

}  // namespace capi::files
