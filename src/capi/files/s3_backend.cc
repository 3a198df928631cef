// S3: inputs by ranges, outputs by multipart uploads that are completed when they are published.
// The requests are our own and not those of Arrow's S3 file system: it completes an upload when the
// stream is closed, it connects without asking the access policy, and it would need its own way of
// resuming and noticing changes.

#include <algorithm>
#include <charconv>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "capi/base/fault_point.h"
#include "capi/base/time_units.h"
#include "capi/files/address_internal.h"
#include "capi/files/backend_internal.h"
#include "capi/files/glob_internal.h"
#include "capi/files/s3_protocol_internal.h"

namespace capi::files {

namespace {

constexpr int64_t kFirstPartBytes = int64_t{8} << 20;
/// Parts double every so many, so that 10,000 parts reach the largest object (5 TB).
constexpr int64_t kPartsOfOneSize = 1000;
constexpr int64_t kMostParts = 10000;
constexpr std::string_view kUploadId = "?uploadId=";
constexpr std::string_view kPlanned = "?planned=";
constexpr std::string_view kUnknown = "unknown";

int64_t PartBytes(int64_t number) {
  return kFirstPartBytes << std::min<int64_t>(6, number / kPartsOfOneSize);
}

int64_t NumberOr(const std::optional<std::string>& text, int64_t otherwise) {
  if (!text) return otherwise;
  int64_t number = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  return parsed.ec == std::errc() ? number : otherwise;
}

/// What the temp path of a plan says.
struct Upload {
  std::string id;  ///< "" = not begun as far as is known
  /// Without an id: uploads of the same key that were there before, so they are not ours; nullopt:
  /// that could not be found out.
  std::optional<std::vector<std::string>> others;
};

Result<Upload> UploadOf(const SinkPlan& plan) {
  Upload upload;
  size_t at = plan.temp_path.rfind(kUploadId);
  if (at != std::string::npos) {
    upload.id = PercentDecoded(plan.temp_path.substr(at + kUploadId.size()));
    return upload;
  }
  at = plan.temp_path.rfind(kPlanned);
  if (at == std::string::npos) return BugError("not a plan of an S3 upload: " + plan.temp_path);
  const std::string ids = plan.temp_path.substr(at + kPlanned.size());
  if (ids == kUnknown) return upload;
  upload.others.emplace();
  for (size_t begin = 0; begin < ids.size();) {
    const size_t end = std::min(ids.find(',', begin), ids.size());
    upload.others->push_back(PercentDecoded(ids.substr(begin, end - begin)));
    begin = end + 1;
  }
  return upload;
}

class S3Backend;

/// Parts are sent while the next one is filled.
class S3Sink final : public Sink {
 public:
  S3Sink(S3Backend* backend, S3Address address, std::string upload_id)
      : backend_(backend), address_(std::move(address)), upload_id_(std::move(upload_id)) {}
  ~S3Sink() override { IgnoreRest(); }

  Status Append(std::string_view bytes) override;
  Result<int64_t> Seal() override;

 private:
  Status SendPart();
  Status WaitForPart();
  void IgnoreRest() {
    if (sending_.valid()) sending_.wait();
  }

  S3Backend* const backend_;  // outlives the sink
  const S3Address address_;
  const std::string upload_id_;
  std::string part_;
  int64_t num_parts_ = 0;
  int64_t size_ = 0;
  bool sealed_ = false;
  std::future<Status> sending_;
};

class S3Backend final : public Backend {
 public:
  S3Backend(Env* env, const FilesOptions& options, HttpClient* client)
      : env_(env), options_(options), reader_(env, &options_, client), credentials_(env) {
    while (!endpoint_.empty() && endpoint_.back() == '/') endpoint_.pop_back();
  }

  Result<Fingerprint> Stat(const std::string& url) override {
    CAPI_ASSIGN_OR_RETURN(const S3Address address, ParseS3(url));
    CAPI_ASSIGN_OR_RETURN(const Target target, TargetOf(address.bucket));
    return reader_.Stat(RequestFor("HEAD", target, address.key, {}), SignFor(target), url);
  }
  Status Read(const std::string& url, const Fingerprint& expected, int64_t offset, int64_t length,
              const BytesConsumer& consume, const StopQuestion& stop) override {
    CAPI_ASSIGN_OR_RETURN(const S3Address address, ParseS3(url));
    CAPI_ASSIGN_OR_RETURN(const Target target, TargetOf(address.bucket));
    HttpRequest request = RequestFor("GET", target, address.key, {});
    if (!expected.etag.empty()) request.headers.push_back("If-Match: " + expected.etag);
    return reader_.Read(request, SignFor(target), url, expected, offset, length, consume, stop);
  }
  Result<bool> CanSeek(const std::string&) override { return true; }

  Result<std::vector<std::string>> Match(const std::string& pattern) override {
    CAPI_ASSIGN_OR_RETURN(const S3Address address, ParseS3(pattern));
    const size_t wildcard = address.key.find_first_of("*?");
    S3Query query = {
        {"list-type", "2"}, {"encoding-type", "url"}, {"prefix", address.key.substr(0, wildcard)}};
    if (address.key.find('/', wildcard) == std::string::npos) query.emplace_back("delimiter", "/");
    std::vector<std::string> urls;
    std::string continuation;
    do {
      S3Query page = query;
      if (!continuation.empty()) page.emplace_back("continuation-token", continuation);
      CAPI_ASSIGN_OR_RETURN(const HttpResponse response, Call("GET", {address.bucket, ""}, page));
      if (response.status != 200) return ErrorOf(response, pattern);
      for (const std::string_view entry : XmlElements(response.body, "Contents")) {
        std::string key = XmlText(entry, "Key").value_or("");
        // encoding-type=url also writes a blank as "+".
        std::replace(key.begin(), key.end(), '+', ' ');
        key = PercentDecoded(key);
        if (!key.ends_with('/') && MatchesPath(address.key, key)) {
          urls.push_back(S3Address{address.bucket, key}.Url());
        }
      }
      continuation = XmlText(response.body, "NextContinuationToken").value_or("");
    } while (!continuation.empty());
    return urls;
  }

  Result<SinkPlan> Plan(const std::string& url) override {
    CAPI_ASSIGN_OR_RETURN(const S3Address address, ParseS3(url));
    if (address.key.back() == '/') {
      return UserError("target_not_a_file", "output address is a directory: " + Redacted(url));
    }
    CAPI_ASSIGN_OR_RETURN(const std::optional<std::vector<std::string>> others,
                          ListUploads(address));
    SinkPlan plan;
    plan.target = address.Url();
    plan.temp_path = plan.target + std::string(kPlanned);
    if (!others) plan.temp_path += kUnknown;
    for (size_t i = 0; others && i < others->size(); ++i) {
      plan.temp_path += (i == 0 ? "" : ",") + PercentEncoded((*others)[i], false);
    }
    return plan;
  }

  Result<std::unique_ptr<Sink>> Open(const RecordPlan& record, SinkPlan* plan) override {
    CAPI_ASSIGN_OR_RETURN(const S3Address address, ParseS3(plan->target));
    CAPI_RETURN_NOT_OK(record(*plan));
    CAPI_ASSIGN_OR_RETURN(const HttpResponse response, Call("POST", address, {{"uploads", ""}}));
    const std::optional<std::string> id = XmlText(response.body, "UploadId");
    if (response.status != 200 || !id) return ErrorOf(response, plan->target);
    CAPI_FAULT_POINT("sink.upload_begun");
    plan->temp_path = plan->target + std::string(kUploadId) + PercentEncoded(*id, false);
    CAPI_RETURN_NOT_OK(record(*plan));
    return std::make_unique<S3Sink>(this, address, *id);
  }

  Status SendPart(const S3Address& address, const std::string& upload_id, int64_t number,
                  std::string_view bytes) {
    CAPI_ASSIGN_OR_RETURN(
        const HttpResponse response,
        Call("PUT", address, {{"partNumber", std::to_string(number)}, {"uploadId", upload_id}},
             bytes));
    return response.status == 200 ? Status::OK() : ErrorOf(response, address.Url());
  }

  Status Publish(const SinkPlan& plan, int64_t size) override {
    CAPI_FAULT_POINT("sink.before_rename");
    CAPI_ASSIGN_OR_RETURN(const S3Address address, ParseS3(plan.target));
    CAPI_ASSIGN_OR_RETURN(const Upload upload, UploadOf(plan));
    CAPI_ASSIGN_OR_RETURN(const std::optional<Parts> parts, ListParts(address, upload.id));
    if (!parts) return CheckPublished(plan, size);
    if (parts->size != size) {
      return EnvironmentError(
          "sealed upload has changed its size; address, expected, actual: " + plan.target + ", " +
          std::to_string(size) + ", " + std::to_string(parts->size));
    }
    CAPI_ASSIGN_OR_RETURN(const HttpResponse response,
                          Call("POST", address, {{"uploadId", upload.id}}, parts->xml));
    // Success is told by the body: the status is sent before the work is done.
    if (response.status == 404) return CheckPublished(plan, size);
    if (response.status != 200 || XmlText(response.body, "Code")) {
      const Status error = ErrorOf(response, plan.target);
      return response.status == 200 ? RetriableError(error.message()) : error;
    }
    CAPI_FAULT_POINT("sink.after_rename");
    return Status::OK();
  }

  Status Discard(const SinkPlan& plan) override {
    CAPI_ASSIGN_OR_RETURN(const S3Address address, ParseS3(plan.target));
    CAPI_ASSIGN_OR_RETURN(const Upload upload, UploadOf(plan));
    if (!upload.id.empty()) return Abort(address, upload.id);
    // The process died between planning and recording the id: what was begun for this key since
    // then is the upload.
    if (!upload.others) return Status::OK();
    CAPI_ASSIGN_OR_RETURN(const std::optional<std::vector<std::string>> ids, ListUploads(address));
    for (const std::string& id : ids.value_or(std::vector<std::string>())) {
      const bool is_other =
          std::find(upload.others->begin(), upload.others->end(), id) != upload.others->end();
      if (!is_other) CAPI_RETURN_NOT_OK(Abort(address, id));
    }
    return Status::OK();
  }

 private:
  /// Where requests about a bucket go.
  struct Target {
    std::string base;  ///< url that keys are appended to, with a slash at its end
    std::string region;
    bool trusted = false;
  };
  struct Parts {
    int64_t size = 0;
    std::string xml;  ///< the request that completes them
  };

  Result<Target> TargetOf(const std::string& bucket) {
    Target target;
    if (!endpoint_.empty()) {
      target.base = endpoint_ + "/" + bucket + "/";
      target.region = region_.empty() ? "us-east-1" : region_;
      target.trusted = true;
      return target;
    }
    CAPI_ASSIGN_OR_RETURN(target.region, RegionOf(bucket));
    const std::string domain =
        target.region.starts_with("cn-") ? ".amazonaws.com.cn/" : ".amazonaws.com/";
    // Certificates do not cover names with more dots.
    target.base = bucket.find('.') == std::string::npos
                      ? "https://" + bucket + ".s3." + target.region + domain
                      : "https://s3." + target.region + domain + bucket + "/";
    return target;
  }

  Result<std::string> RegionOf(const std::string& bucket) {
    if (!options_.s3_region.empty()) return options_.s3_region;
    {
      const std::lock_guard lock(mutex_);
      const auto found = regions_.find(bucket);
      if (found != regions_.end()) return found->second;
    }
    // Every answer about a bucket tells its region, also a refusal.
    HttpRequest request;
    request.method = "HEAD";
    request.url = "https://s3.amazonaws.com/" + bucket;
    request.follow_redirects = false;
    CAPI_ASSIGN_OR_RETURN(const HttpResponse response, reader_.Send(request, nullptr));
    std::string region = response.Header("x-amz-bucket-region");
    if (region.empty()) region = region_.empty() ? "us-east-1" : region_;
    const std::lock_guard lock(mutex_);
    regions_[bucket] = region;
    return region;
  }

  HttpReader::Sign SignFor(const Target& target) {
    return [this, region = target.region](HttpRequest* request) -> Status {
      CAPI_ASSIGN_OR_RETURN(const std::optional<AwsCredentials> credentials, credentials_.Get());
      if (!credentials) return Status::OK();
      return SignS3Request(*credentials, region, env_->NowMillis() / kMillisPerSecond, request);
    };
  }

  static HttpRequest RequestFor(const std::string& method, const Target& target,
                                const std::string& key, const S3Query& query) {
    HttpRequest request;
    request.method = method;
    request.url = target.base + PercentEncoded(key, true);
    if (!query.empty()) request.url += "?" + CanonicalQuery(query);
    request.trusted_address = target.trusted;
    request.follow_redirects = false;
    return request;
  }

  /// Repeats what may be repeated. An empty key: about the bucket.
  Result<HttpResponse> Call(const std::string& method, const S3Address& address,
                            const S3Query& query, std::string_view body = {}) {
    CAPI_ASSIGN_OR_RETURN(const Target target, TargetOf(address.bucket));
    HttpRequest request = RequestFor(method, target, address.key, query);
    request.body = body;
    return reader_.Send(request, SignFor(target));
  }

  static Status ErrorOf(const HttpResponse& response, const std::string& url) {
    const std::optional<std::string> code = XmlText(response.body, "Code");
    const Status status = StatusError(response, url);
    if (!code) return status;
    ErrorInfo info = InfoOf(status);
    if (response.status == 200) info.kind = ErrorKind::kRetriable;
    return MakeError(info, status.message() + ": " + *code + ": " +
                               XmlText(response.body, "Message").value_or(""));
  }

  /// nullopt: there is no such upload (any more).
  Result<std::optional<Parts>> ListParts(const S3Address& address, const std::string& upload_id) {
    Parts parts;
    parts.xml = "<CompleteMultipartUpload>";
    std::string marker;
    while (true) {
      S3Query query = {{"uploadId", upload_id}};
      if (!marker.empty()) query.emplace_back("part-number-marker", marker);
      CAPI_ASSIGN_OR_RETURN(const HttpResponse response, Call("GET", address, query));
      if (response.status == 404) return std::nullopt;
      if (response.status != 200) return ErrorOf(response, address.Url());
      for (const std::string_view part : XmlElements(response.body, "Part")) {
        parts.size += NumberOr(XmlText(part, "Size"), 0);
        const std::vector<std::string_view> etag = XmlElements(part, "ETag");
        parts.xml += "<Part><PartNumber>" + XmlText(part, "PartNumber").value_or("") +
                     "</PartNumber><ETag>" + std::string(etag.empty() ? "" : etag.front()) +
                     "</ETag></Part>";
      }
      if (XmlText(response.body, "IsTruncated") != "true") break;
      const std::string next = XmlText(response.body, "NextPartNumberMarker").value_or("");
      if (next.empty() || next == marker) break;
      marker = next;
    }
    parts.xml += "</CompleteMultipartUpload>";
    return parts;
  }

  Status CheckPublished(const SinkPlan& plan, int64_t size) {
    const Result<Fingerprint> target = Stat(plan.target);
    if (target.ok() && target->size == size) return Status::OK();
    if (!target.ok() && InfoOf(target.status()).error_class != "file_not_found") {
      return target.status();
    }
    return OutputLost(plan);
  }

  Status Abort(const S3Address& address, const std::string& upload_id) {
    CAPI_ASSIGN_OR_RETURN(const HttpResponse response,
                          Call("DELETE", address, {{"uploadId", upload_id}}));
    const bool gone = response.status == 404 || response.status / 100 == 2;
    return gone ? Status::OK() : ErrorOf(response, address.Url());
  }

  /// Ids of the multipart uploads of this key that are under way; nullopt if we may not know.
  Result<std::optional<std::vector<std::string>>> ListUploads(const S3Address& address) {
    std::vector<std::string> ids;
    S3Query query = {{"uploads", ""}, {"prefix", address.key}};
    while (true) {
      CAPI_ASSIGN_OR_RETURN(const HttpResponse response, Call("GET", {address.bucket, ""}, query));
      if (response.status == 403) return std::nullopt;
      if (response.status != 200) return ErrorOf(response, address.Url());
      for (const std::string_view entry : XmlElements(response.body, "Upload")) {
        if (XmlText(entry, "Key") == address.key) {
          ids.push_back(XmlText(entry, "UploadId").value_or(""));
        }
      }
      const std::string next_key = XmlText(response.body, "NextKeyMarker").value_or("");
      const std::string next_id = XmlText(response.body, "NextUploadIdMarker").value_or("");
      // Keys come in order: those behind ours are others.
      if (XmlText(response.body, "IsTruncated") != "true" || next_key != address.key) return ids;
      query = {{"uploads", ""},
               {"prefix", address.key},
               {"key-marker", next_key},
               {"upload-id-marker", next_id}};
    }
  }

  Env* const env_;  // outlives the backend
  const FilesOptions options_;
  std::string endpoint_ = options_.s3_endpoint;
  const std::string region_ =
      options_.s3_region.empty() ? ConfiguredS3Region() : options_.s3_region;
  HttpReader reader_;
  S3CredentialSource credentials_;
  std::mutex mutex_;
  std::map<std::string, std::string> regions_;
};

Status S3Sink::Append(std::string_view bytes) {
  if (sealed_) return BugError("write to a sealed output file: " + address_.Url());
  while (!bytes.empty()) {
    const int64_t room = PartBytes(num_parts_) - static_cast<int64_t>(part_.size());
    const std::string_view piece = bytes.substr(0, static_cast<size_t>(room));
    part_ += piece;
    size_ += static_cast<int64_t>(piece.size());
    bytes.remove_prefix(piece.size());
    if (static_cast<int64_t>(part_.size()) == PartBytes(num_parts_)) {
      CAPI_RETURN_NOT_OK(SendPart());
    }
  }
  return Status::OK();
}

Status S3Sink::SendPart() {
  CAPI_RETURN_NOT_OK(WaitForPart());
  if (num_parts_ == kMostParts) {
    return EnvironmentError("output file is too long for S3: " + address_.Url());
  }
  const int64_t number = ++num_parts_;
  sending_ = std::async(std::launch::async, [this, number, part = std::move(part_)] {
    return backend_->SendPart(address_, upload_id_, number, part);
  });
  part_ = std::string();
  return Status::OK();
}

Status S3Sink::WaitForPart() { return sending_.valid() ? sending_.get() : Status::OK(); }

Result<int64_t> S3Sink::Seal() {
  if (sealed_) return BugError("output file sealed twice: " + address_.Url());
  CAPI_FAULT_POINT("sink.before_sync");
  // An upload has at least one part, which may be empty.
  if (!part_.empty() || num_parts_ == 0) CAPI_RETURN_NOT_OK(SendPart());
  CAPI_RETURN_NOT_OK(WaitForPart());
  CAPI_FAULT_POINT("sink.after_sync");
  sealed_ = true;
  return size_;
}

}  // namespace

std::unique_ptr<Backend> NewS3Backend(Env* env, const FilesOptions& options, HttpClient* client) {
  return std::make_unique<S3Backend>(env, options, client);
}

}  // namespace capi::files
