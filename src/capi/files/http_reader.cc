#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "capi/base/time_units.h"
#include "capi/files/address_internal.h"
#include "capi/files/backend_internal.h"

namespace capi::files {

namespace {

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < 0) {
    return std::nullopt;
  }
  return number;
}

/// "bytes 5-9/100" or "bytes */100".
struct ContentRange {
  std::optional<int64_t> begin;
  std::optional<int64_t> total;
};

ContentRange ParseContentRange(std::string_view text) {
  ContentRange range;
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return range;
  text.remove_prefix(kUnit.size());
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return range;
  range.total = ParseNumber(text.substr(slash + 1));
  const size_t dash = text.find('-');
  if (dash < slash) range.begin = ParseNumber(text.substr(0, dash));
  return range;
}

Fingerprint FingerprintFrom(const HttpResponse& response) {
  Fingerprint fingerprint;
  fingerprint.size = ParseNumber(response.Header("content-length")).value_or(-1);
  if (response.status == 206) {
    fingerprint.size = ParseContentRange(response.Header("content-range")).total.value_or(-1);
  }
  fingerprint.etag = response.Header("etag");
  fingerprint.mtime_ns = ParseHttpDate(response.Header("last-modified"));
  return fingerprint;
}

/// Whether an answer can be of the expected version; what the server does not tell is not compared.
bool MayBeSame(const Fingerprint& expected, const Fingerprint& actual) {
  const bool etags = !expected.etag.empty() && !actual.etag.empty();
  if (etags && expected.etag != actual.etag) return false;
  if (expected.size >= 0 && actual.size >= 0 && expected.size != actual.size) return false;
  return etags || expected.mtime_ns == 0 || actual.mtime_ns == 0 ||
         expected.mtime_ns == actual.mtime_ns;
}

}  // namespace

int64_t ParseHttpDate(const std::string& text) {
  if (text.empty()) return 0;
  const time_t seconds = curl_getdate(text.c_str(), nullptr);
  return seconds == -1 ? 0 : static_cast<int64_t>(seconds) * kNanosPerSecond;
}

Status Backoff::Pause(const Status& error, int64_t at_least_ms) {
  if (KindOf(error) != ErrorKind::kRetriable) return error;
  if (++tries_ >= options_.max_tries) {
    return Prefixed(error, "given up after " + std::to_string(tries_) + " tries: ");
  }
  constexpr int kMostDoublings = 6;
  const int64_t pause = options_.first_retry_ms << std::min(tries_ - 1, kMostDoublings);
  // A little apart, so that many readers do not come back together.
  const int64_t jitter =
      static_cast<int64_t>(env_->Random() % static_cast<uint64_t>(pause / 2 + 1));
  int64_t rest = std::max(pause + jitter, at_least_ms);
  constexpr int64_t kSliceMs = 50;
  while (rest > 0) {
    if (stop_ != nullptr && stop_()) return CancelledError("the transfer was stopped");
    env_->SleepMillis(std::min(rest, kSliceMs));
    rest -= kSliceMs;
  }
  return Status::OK();
}

Result<HttpResponse> HttpReader::Send(const HttpRequest& request, const Sign& sign) {
  const StopQuestion never = nullptr;
  Backoff backoff(env_, options_, never);
  while (true) {
    HttpRequest signed_request = request;
    if (sign != nullptr) CAPI_RETURN_NOT_OK(sign(&signed_request));
    Result<HttpResponse> response = client_->Send(signed_request);
    Status status = response.status();
    int64_t at_least_ms = 0;
    if (response.ok() && response->status >= 400) {
      status = StatusError(*response, request.url);
      if (KindOf(status) != ErrorKind::kRetriable) return response;
      at_least_ms = RetryAfterMillis(*response);
    }
    if (status.ok()) return response;
    CAPI_RETURN_NOT_OK(backoff.Pause(status, at_least_ms));
  }
}

Result<Fingerprint> HttpReader::Stat(const HttpRequest& request, const Sign& sign,
                                     const std::string& name) {
  HttpRequest head = request;
  head.method = "HEAD";
  CAPI_ASSIGN_OR_RETURN(HttpResponse response, Send(head, sign));
  if (response.status == 200) return FingerprintFrom(response);
  if (response.status == 404 || response.status == 410) return StatusError(response, name);
  // Some servers know no HEAD, and signed addresses are often good for GET only.
  HttpRequest first_byte = request;
  first_byte.headers.push_back("Range: bytes=0-0");
  CAPI_ASSIGN_OR_RETURN(response, Send(first_byte, sign));
  if (response.status == 200 || response.status == 206) return FingerprintFrom(response);
  if (response.status == 416) {
    Fingerprint empty = FingerprintFrom(response);
    empty.size = 0;
    return empty;
  }
  return StatusError(response, name);
}

Result<bool> HttpReader::CanSeek(const HttpRequest& request, const Sign& sign,
                                 const std::string& name) {
  HttpRequest first_byte = request;
  first_byte.headers.push_back("Range: bytes=0-0");
  HttpRequest signed_request = first_byte;
  if (sign != nullptr) CAPI_RETURN_NOT_OK(sign(&signed_request));
  // A server that ignores the range would send everything: one look at its head is enough.
  bool ranged = false;
  const Result<HttpResponse> response = client_->Send(
      signed_request, [](std::string_view) { return Status::OK(); },
      [&ranged](const HttpResponse& head) {
        ranged = head.status == 206;
        return ranged ? Status::OK() : CancelledError("no ranges");
      });
  if (ranged) return true;
  if (!response.ok() && KindOf(response.status()) != ErrorKind::kCancelled) {
    return response.status();
  }
  return false;
}

/// The state of a read that may take several requests.
class HttpReader::RangeTransfer {
 public:
  RangeTransfer(const std::string& name, const Fingerprint& expected, int64_t offset,
                int64_t length, const BytesConsumer& consume)
      : name_(name), expected_(expected), at_(offset), consume_(consume) {
    if (length >= 0) {
      end_ = offset + length;
    } else if (expected.size >= 0) {
      end_ = expected.size;
    }
  }

  bool done() const { return end_ >= 0 && at_ >= end_; }
  int64_t at() const { return at_; }

  HttpRequest NextRequest(const HttpRequest& base) const {
    HttpRequest request = base;
    if (at_ == 0 && (end_ < 0 || end_ == expected_.size)) return request;
    request.headers.push_back("Range: bytes=" + std::to_string(at_) + "-" +
                              (end_ < 0 ? "" : std::to_string(end_ - 1)));
    // Weak tags may not be used here; their change is seen in the answer.
    if (!expected_.etag.empty() && !expected_.etag.starts_with("W/")) {
      request.headers.push_back("If-Range: " + expected_.etag);
    }
    return request;
  }

  Status OnHeaders(const HttpResponse& response) {
    const Fingerprint actual = FingerprintFrom(response);
    if (!MayBeSame(expected_, actual)) return InputChanged(name_, expected_, actual);
    body_at_ = 0;
    if (response.status == 206) {
      const ContentRange range = ParseContentRange(response.Header("content-range"));
      if (!range.begin || *range.begin > at_) {
        return UserError("http_error",
                         "the server sends another range than was asked for: " + Redacted(name_));
      }
      body_at_ = *range.begin;
    }
    return Status::OK();
  }

  Status OnBody(std::string_view bytes) {
    const int64_t begin = body_at_;
    body_at_ += static_cast<int64_t>(bytes.size());
    // What came before the connection broke is skipped.
    if (body_at_ <= at_) return Status::OK();
    if (begin < at_) bytes.remove_prefix(static_cast<size_t>(at_ - begin));
    if (end_ >= 0 && at_ + static_cast<int64_t>(bytes.size()) > end_) {
      if (end_ == expected_.size) {
        Fingerprint actual = expected_;
        actual.size = at_ + static_cast<int64_t>(bytes.size());
        return InputChanged(name_, expected_, actual);
      }
      bytes = bytes.substr(0, static_cast<size_t>(end_ - at_));
    }
    at_ += static_cast<int64_t>(bytes.size());
    moved_ = true;
    return bytes.empty() ? Status::OK() : consume_(bytes);
  }

  /// After a transfer that ended without error.
  Status OnEnd() {
    if (end_ < 0 || at_ >= end_) {
      end_ = at_;
      return Status::OK();
    }
    return RetriableError("the server sent less than the whole file: " + Redacted(name_));
  }
  bool TakeMoved() { return std::exchange(moved_, false); }

 private:
  const std::string& name_;
  const Fingerprint& expected_;
  int64_t at_;
  int64_t end_ = -1;  ///< -1 = where the body ends
  const BytesConsumer& consume_;
  int64_t body_at_ = 0;
  bool moved_ = false;
};

Status HttpReader::Read(const HttpRequest& request, const Sign& sign, const std::string& name,
                        const Fingerprint& expected, int64_t offset, int64_t length,
                        const BytesConsumer& consume, const StopQuestion& stop) {
  RangeTransfer transfer(name, expected, offset, length, consume);
  Backoff backoff(env_, options_, stop);
  while (!transfer.done()) {
    HttpRequest next = transfer.NextRequest(request);
    if (sign != nullptr) CAPI_RETURN_NOT_OK(sign(&next));
    Result<HttpResponse> response = client_->Send(
        next, [&transfer](std::string_view bytes) { return transfer.OnBody(bytes); },
        [&transfer](const HttpResponse& head) { return transfer.OnHeaders(head); }, stop);
    Status status = response.status();
    int64_t at_least_ms = 0;
    if (response.ok()) {
      if (response->status == 200 || response->status == 206) {
        status = transfer.OnEnd();
      } else if (response->status == 416 || response->status == 412) {
        return InputChanged(name, expected, FingerprintFrom(*response));
      } else {
        status = StatusError(*response, name);
        at_least_ms = RetryAfterMillis(*response);
      }
    }
    if (transfer.TakeMoved()) backoff.Progress();
    if (!status.ok()) CAPI_RETURN_NOT_OK(backoff.Pause(status, at_least_ms));
  }
  return Status::OK();
}

}  // namespace capi::files
