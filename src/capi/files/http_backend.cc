// http and https: reading only.

#include <utility>

#include "capi/files/address_internal.h"
#include "capi/files/backend_internal.h"

namespace capi::files {

namespace {

class HttpBackend final : public Backend {
 public:
  HttpBackend(Env* env, const FilesOptions& options, HttpClient* client)
      : options_(options), reader_(env, &options_, client) {}

  Result<Fingerprint> Stat(const std::string& url) override {
    return reader_.Stat(RequestOf(url), nullptr, url);
  }
  Status Read(const std::string& url, const Fingerprint& expected, int64_t offset, int64_t length,
              const BytesConsumer& consume, const StopQuestion& stop) override {
    return reader_.Read(RequestOf(url), nullptr, url, expected, offset, length, consume, stop);
  }
  Result<bool> CanSeek(const std::string& url) override {
    return reader_.CanSeek(RequestOf(url), nullptr, url);
  }
  Result<std::vector<std::string>> Match(const std::string& pattern) override {
    return std::vector<std::string>{pattern};  // "?" begins a query
  }
  Result<SinkPlan> Plan(const std::string& url) override { return NoWriting(url); }
  Result<std::unique_ptr<Sink>> Open(const RecordPlan&, SinkPlan* plan) override {
    return NoWriting(plan->target);
  }
  Status Publish(const SinkPlan& plan, int64_t) override { return NoWriting(plan.target); }
  Status Discard(const SinkPlan& plan) override { return NoWriting(plan.target); }

 private:
  static HttpRequest RequestOf(const std::string& url) {
    HttpRequest request;
    request.url = url;
    return request;
  }
  static Status NoWriting(const std::string& url) {
    return UserError(
        "unsupported_scheme",
        "files can be read from http addresses but not written to them: " + Redacted(url));
  }

  const FilesOptions options_;
  HttpReader reader_;
};

}  // namespace

std::unique_ptr<Backend> NewHttpBackend(Env* env, const FilesOptions& options, HttpClient* client) {
  return std::make_unique<HttpBackend>(env, options, client);
}

}  // namespace capi::files
