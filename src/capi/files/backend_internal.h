#pragma once

// What is behind a scheme: how inputs are read and outputs are written there.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/files/files_options.h"
#include "capi/files/http_client_internal.h"
#include "capi/files/sink.h"
#include "capi/files/source.h"

namespace capi::files {

/// Repeats what fails with kRetriable: pauses that grow, and a limit of tries without progress.
class Backoff {
 public:
  Backoff(Env* env, const FilesOptions& options, const StopQuestion& stop)
      : env_(env), options_(options), stop_(stop) {}
  /// OK after a pause: try again. The error itself if it is not kRetriable or tries are used up
  /// (then it says how many), kCancelled when stopped. `at_least_ms`: what the server asked for.
  Status Pause(const Status& error, int64_t at_least_ms = 0);
  /// Bytes came: counting begins again.
  void Progress() { tries_ = 0; }

 private:
  Env* const env_;
  const FilesOptions& options_;
  const StopQuestion& stop_;
  int tries_ = 0;
};

/// Thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;

  /// kUser "file_not_found", "not_a_file", "access_denied", "address_refused"...
  virtual Result<Fingerprint> Stat(const std::string& url) = 0;
  /// Passes the bytes [offset, offset + length) (length -1: to the end) on, in order, each once,
  /// over as many connections as it takes. kUser "input_changed" when the file is no longer the
  /// expected one; errors of `consume` as they are.
  virtual Status Read(const std::string& url, const Fingerprint& expected, int64_t offset,
                      int64_t length, const BytesConsumer& consume, const StopQuestion& stop) = 0;
  /// Whether Read can begin anywhere without reading what comes before.
  virtual Result<bool> CanSeek(const std::string& url) = 0;
  /// Addresses of the regular files that the pattern matches, in any order.
  virtual Result<std::vector<std::string>> Match(const std::string& pattern) = 0;

  virtual Result<SinkPlan> Plan(const std::string& url) = 0;
  /// See Files::CreateSink.
  virtual Result<std::unique_ptr<Sink>> Open(const RecordPlan& record, SinkPlan* plan) = 0;
  virtual Status Publish(const SinkPlan& plan, int64_t size) = 0;
  virtual Status Discard(const SinkPlan& plan) = 0;
};

std::unique_ptr<Backend> NewLocalBackend(Env* env, const AccessPolicy* policy);
std::unique_ptr<Backend> NewHttpBackend(Env* env, const FilesOptions& options, HttpClient* client);
std::unique_ptr<Backend> NewSftpBackend(Env* env, const FilesOptions& options,
                                        const AccessPolicy* policy);
std::unique_ptr<Backend> NewS3Backend(Env* env, const FilesOptions& options, HttpClient* client);

/// Reads by GET with ranges. `sign` completes a request (null: nothing to do).
class HttpReader {
 public:
  using Sign = std::function<Status(HttpRequest*)>;
  HttpReader(Env* env, const FilesOptions* options, HttpClient* client)
      : env_(env), options_(*options), client_(client) {}

  /// `request` has url, login and so on. kRetriable errors are repeated.
  Result<HttpResponse> Send(const HttpRequest& request, const Sign& sign);
  Result<Fingerprint> Stat(const HttpRequest& request, const Sign& sign, const std::string& name);
  Status Read(const HttpRequest& request, const Sign& sign, const std::string& name,
              const Fingerprint& expected, int64_t offset, int64_t length,
              const BytesConsumer& consume, const StopQuestion& stop);
  Result<bool> CanSeek(const HttpRequest& request, const Sign& sign, const std::string& name);

 private:
  class RangeTransfer;
  Env* const env_;
  const FilesOptions& options_;
  HttpClient* const client_;
};

/// An HTTP date in nanoseconds since 1970, 0 if it cannot be read.
int64_t ParseHttpDate(const std::string& text);

}  // namespace capi::files
