#pragma once

// HTTP(S) requests by libcurl, one try each: redirects, the access policy, time-outs, errors with
// their kind. Resuming and repeating is up to the callers.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/files/access_policy_internal.h"
#include "capi/files/files_options.h"

namespace capi::files {

struct HttpRequest {
  std::string method = "GET";  ///< GET, HEAD, PUT, POST, DELETE
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string_view body;             ///< PUT and POST; valid during the call
  /// "user:password" for basic authentication; not sent to another host after a redirect.
  std::string login;
  /// The address is the administrator's own (an S3 endpoint): the policy does not apply.
  bool trusted_address = false;
  bool follow_redirects = true;
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  /// The body unless it went to a consumer; the first 64 KiB of it when the status is no success.
  std::string body;
  std::string Header(const std::string& name) const;
};

/// Gets pieces of the body of a successful answer. An error ends the transfer and is returned.
using BytesConsumer = std::function<Status(std::string_view)>;
/// Asked a few times a second during transfers; true ends them with kCancelled.
using StopQuestion = std::function<bool()>;

/// Thread-safe.
class HttpClient {
 public:
  static Result<std::unique_ptr<HttpClient>> Make(const FilesOptions& options,
                                                  const AccessPolicy* policy);
  ~HttpClient();

  /// Any status of the server is a success of this call. Errors: kRetriable when the connection
  /// cannot be made or breaks; kUser "address_refused", "untrusted_server", "bad_redirect";
  /// kCancelled. `on_headers` (may be null) is called before the first byte of a successful body.
  Result<HttpResponse> Send(const HttpRequest& request, const BytesConsumer& consume = nullptr,
                            const std::function<Status(const HttpResponse&)>& on_headers = nullptr,
                            const StopQuestion& stop = nullptr);

 private:
  class Exchange;
  HttpClient(const FilesOptions& options, const AccessPolicy* policy)
      : options_(options), policy_(*policy) {}
  Result<HttpResponse> SendOnce(const HttpRequest& request, const BytesConsumer& consume,
                                const std::function<Status(const HttpResponse&)>& on_headers,
                                const StopQuestion& stop);
  void* TakeHandle();
  void ReturnHandle(void* handle);

  const FilesOptions options_;
  const AccessPolicy& policy_;
  std::string roots_;  ///< PEM; "" = those of the system
  std::mutex mutex_;
  std::vector<void*> idle_;  ///< CURL*, with their open connections
};

/// Error of a status that is no success: 404 and 410 kUser "file_not_found", 401 and 403 kUser
/// "access_denied", 408, 425, 429 and 5xx kRetriable, others kUser "http_error".
Status StatusError(const HttpResponse& response, const std::string& url);
/// Seconds the server asks to wait, in milliseconds; 0 = it does not say.
int64_t RetryAfterMillis(const HttpResponse& response);

}  // namespace capi::files
