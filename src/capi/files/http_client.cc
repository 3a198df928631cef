#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "capi/files/address_internal.h"
#include "capi/files/http_client_internal.h"

namespace capi::files {

namespace {

constexpr size_t kMaxErrorBody = 64 << 10;
constexpr size_t kMaxCollectedBody = 64 << 20;
constexpr size_t kMaxHeaderBytes = 256 << 10;
constexpr size_t kMaxIdleHandles = 16;
constexpr long kReceiveBuffer = 256 << 10;

Status InitializeCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  return code == CURLE_OK ? Status::OK()
                          : EnvironmentError(std::string("cannot initialise libcurl: ") +
                                             curl_easy_strerror(code));
}

/// All files of a directory, one after the other.
Result<std::string> ReadRoots(const std::string& directory) {
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_regular_file(error)) paths.push_back(entry.path());
  }
  if (error) {
    return UserError("bad_ca_path", "cannot read the directory of trusted certificates: " +
                                        directory + ": " + error.message());
  }
  std::sort(paths.begin(), paths.end());
  std::ostringstream roots;
  for (const std::filesystem::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (text.str().find("-----BEGIN CERTIFICATE-----") != std::string::npos) {
      roots << text.str() << "\n";
    }
  }
  if (roots.str().empty()) {
    return UserError("bad_ca_path",
                     "the directory of trusted certificates has no PEM file: " + directory);
  }
  return roots.str();
}

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool IsSuccess(int status) { return status >= 200 && status < 300; }

}  // namespace

std::string HttpResponse::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

/// What the callbacks of one transfer share.
class HttpClient::Exchange {
 public:
  Exchange(const AccessPolicy& policy, const HttpRequest& request, std::string host,
           const BytesConsumer& consume,
           const std::function<Status(const HttpResponse&)>& on_headers, const StopQuestion& stop)
      : policy_(policy),
        request_(request),
        host_(std::move(host)),
        consume_(consume),
        on_headers_(on_headers),
        stop_(stop) {}

  static curl_socket_t OpenSocket(void* self, curlsocktype, curl_sockaddr* address) {
    auto* exchange = static_cast<Exchange*>(self);
    if (!exchange->request_.trusted_address) {
      const Status allowed = exchange->policy_.CheckSocketAddress(exchange->host_, &address->addr);
      if (!allowed.ok()) {
        exchange->refused_ = allowed;
        return CURL_SOCKET_BAD;
      }
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  static size_t OnHeader(char* data, size_t size, size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    std::string_view line(data, size * count);
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    exchange->header_bytes_ += line.size();
    if (exchange->header_bytes_ > kMaxHeaderBytes) return 0;
    if (line.starts_with("HTTP/")) {
      exchange->response_.headers.clear();  // of an interim answer
      const size_t space = line.find(' ');
      int status = 0;
      if (space != std::string_view::npos) {
        std::from_chars(line.data() + space + 1, line.data() + line.size(), status);
      }
      exchange->response_.status = status;
      return size * count;
    }
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      std::string name(line.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
      std::string_view value = line.substr(colon + 1);
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
        value.remove_prefix(1);
      }
      exchange->response_.headers[name] = std::string(value);
    }
    return size * count;
  }

  static size_t OnBody(char* data, size_t size, size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    return exchange->TakeBody({data, size * count}).ok() ? size * count : 0;
  }

  static size_t ReadBody(char* buffer, size_t size, size_t count, void* self) {
    auto* exchange = static_cast<Exchange*>(self);
    const std::string_view rest = exchange->request_.body.substr(exchange->sent_);
    const size_t n = std::min(rest.size(), size * count);
    std::copy_n(rest.data(), n, buffer);
    exchange->sent_ += n;
    return n;
  }

  static int SeekBody(void* self, curl_off_t offset, int origin) {
    auto* exchange = static_cast<Exchange*>(self);
    if (origin != SEEK_SET || static_cast<size_t>(offset) > exchange->request_.body.size()) {
      return CURL_SEEKFUNC_FAIL;
    }
    exchange->sent_ = static_cast<size_t>(offset);
    return CURL_SEEKFUNC_OK;
  }

  static int OnProgress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto* exchange = static_cast<Exchange*>(self);
    if (exchange->stop_ == nullptr || !exchange->stop_()) return 0;
    exchange->consumer_error_ = CancelledError("the transfer was stopped");
    return 1;
  }

  Status TellHeaders() {
    if (told_headers_ || on_headers_ == nullptr || !IsSuccess(response_.status)) {
      return Status::OK();
    }
    told_headers_ = true;
    consumer_error_ = on_headers_(response_);
    return consumer_error_;
  }

  const Status& refused() const { return refused_; }
  const Status& consumer_error() const { return consumer_error_; }
  HttpResponse& response() { return response_; }

 private:
  Status TakeBody(std::string_view bytes) {
    if (consume_ != nullptr && IsSuccess(response_.status)) {
      CAPI_RETURN_NOT_OK(TellHeaders());
      consumer_error_ = consume_(bytes);
      return consumer_error_;
    }
    if (IsSuccess(response_.status)) {
      if (response_.body.size() + bytes.size() > kMaxCollectedBody) {
        consumer_error_ = UserError(
            "http_error", "the answer of the server is too long: " + Redacted(request_.url));
        return consumer_error_;
      }
      response_.body += bytes;
    } else if (response_.body.size() < kMaxErrorBody) {
      response_.body += bytes.substr(0, kMaxErrorBody - response_.body.size());
    }
    return Status::OK();
  }

  const AccessPolicy& policy_;
  const HttpRequest& request_;
  const std::string host_;
  const BytesConsumer& consume_;
  const std::function<Status(const HttpResponse&)>& on_headers_;
  const StopQuestion& stop_;
  HttpResponse response_;
  Status refused_;
  Status consumer_error_;
  size_t header_bytes_ = 0;
  size_t sent_ = 0;
  bool told_headers_ = false;
};

Result<std::unique_ptr<HttpClient>> HttpClient::Make(const FilesOptions& options,
                                                     const AccessPolicy* policy) {
  CAPI_RETURN_NOT_OK(InitializeCurl());
  std::unique_ptr<HttpClient> client(new HttpClient(options, policy));
  if (!options.ca_path.empty()) {
    CAPI_ASSIGN_OR_RETURN(client->roots_, ReadRoots(options.ca_path));
  }
  return client;
}

HttpClient::~HttpClient() {
  for (void* handle : idle_) curl_easy_cleanup(static_cast<CURL*>(handle));
}

void* HttpClient::TakeHandle() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      void* handle = idle_.back();
      idle_.pop_back();
      return handle;
    }
  }
  return curl_easy_init();
}

void HttpClient::ReturnHandle(void* handle) {
  curl_easy_reset(static_cast<CURL*>(handle));  // connections and resolved names stay
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdleHandles) {
    idle_.push_back(handle);
  } else {
    curl_easy_cleanup(static_cast<CURL*>(handle));
  }
}

Result<HttpResponse> HttpClient::Send(const HttpRequest& request, const BytesConsumer& consume,
                                      const std::function<Status(const HttpResponse&)>& on_headers,
                                      const StopQuestion& stop) {
  HttpRequest current = request;
  for (int hop = 0;; ++hop) {
    CAPI_ASSIGN_OR_RETURN(HttpResponse response, SendOnce(current, consume, on_headers, stop));
    const bool safe = current.method == "GET" || current.method == "HEAD";
    if (!request.follow_redirects || !safe || !IsRedirect(response.status)) return response;
    if (hop == options_.max_redirects) {
      return UserError("bad_redirect", "the server redirects too often: " + Redacted(request.url));
    }
    const std::string location = response.Header("location");
    CURLU* url = curl_url();
    char* text = nullptr;
    const bool resolved = !location.empty() &&
                          curl_url_set(url, CURLUPART_URL, current.url.c_str(), 0) == CURLUE_OK &&
                          curl_url_set(url, CURLUPART_URL, location.c_str(), 0) == CURLUE_OK &&
                          curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK;
    std::string next = resolved ? text : "";
    curl_free(text);
    curl_url_cleanup(url);
    const Scheme from = SchemeOf(current.url);
    const Scheme to = SchemeOf(next);
    if (!resolved || !(to == Scheme::kHttps || (to == Scheme::kHttp && from == Scheme::kHttp))) {
      return UserError("bad_redirect", "the server redirects to an address that is not followed: " +
                                           Redacted(current.url) + " to " + Redacted(location));
    }
    CAPI_ASSIGN_OR_RETURN(const RemoteAddress before, ParseRemote(current.url));
    CAPI_ASSIGN_OR_RETURN(const RemoteAddress after, ParseRemote(next));
    if (before.Authority() != after.Authority()) {
      current.login.clear();
      current.trusted_address = false;
    }
    current.url = std::move(next);
  }
}

Result<HttpResponse> HttpClient::SendOnce(
    const HttpRequest& request, const BytesConsumer& consume,
    const std::function<Status(const HttpResponse&)>& on_headers, const StopQuestion& stop) {
  CAPI_ASSIGN_OR_RETURN(const RemoteAddress address, ParseRemote(request.url));
  if (!request.trusted_address) CAPI_RETURN_NOT_OK(policy_.CheckHost(address.host));
  auto* curl = static_cast<CURL*>(TakeHandle());
  if (curl == nullptr) return EnvironmentError("cannot make a libcurl handle");
  Exchange exchange(policy_, request, address.host, consume, on_headers, stop);
  std::string login = request.login;
  if (login.empty() && !address.user.empty()) login = address.user + ":" + address.password;
  const std::string authority = address.Authority();
  const std::string url = (address.scheme == Scheme::kHttps ? "https://" : "http://") + authority +
                          (address.path.empty() ? "/" : address.path) +
                          (address.query.empty() ? "" : "?" + address.query);
  curl_slist* headers = nullptr;
  for (const std::string& header : request.headers) {
    headers = curl_slist_append(headers, header.c_str());
  }
  headers = curl_slist_append(headers, "Expect:");

  const auto set = [curl](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);  // see Send: each hop is judged
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HTTPHEADER, headers);
  set(CURLOPT_USERAGENT, "capillaries");
  set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
  set(CURLOPT_PATH_AS_IS, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout_ms));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME,
      static_cast<long>(std::max<int64_t>(1, (options_.idle_timeout_ms + 999) / 1000)));
  if (policy_.refuses_local_addresses()) set(CURLOPT_PROXY, "");
  if (!login.empty()) {
    set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    set(CURLOPT_USERPWD, login.c_str());
  }
  curl_blob roots{};
  if (!roots_.empty()) {
    roots.data = roots_.data();
    roots.len = roots_.size();
    roots.flags = CURL_BLOB_NOCOPY;
    set(CURLOPT_CAINFO_BLOB, &roots);
    set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  }
  set(CURLOPT_OPENSOCKETFUNCTION, &Exchange::OpenSocket);
  set(CURLOPT_OPENSOCKETDATA, &exchange);
  set(CURLOPT_HEADERFUNCTION, &Exchange::OnHeader);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, &Exchange::OnBody);
  set(CURLOPT_WRITEDATA, &exchange);
  set(CURLOPT_XFERINFOFUNCTION, &Exchange::OnProgress);
  set(CURLOPT_XFERINFODATA, &exchange);
  set(CURLOPT_NOPROGRESS, 0L);
  const bool sends = request.method == "PUT" || request.method == "POST";
  if (request.method == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else if (sends) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_READFUNCTION, &Exchange::ReadBody);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_SEEKFUNCTION, &Exchange::SeekBody);
    set(CURLOPT_SEEKDATA, &exchange);
  }
  if (request.method != "GET" && request.method != "HEAD" && request.method != "PUT") {
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  ReturnHandle(curl);

  if (!exchange.consumer_error().ok()) return exchange.consumer_error();
  // One of several addresses of a name may be refused and another be good.
  if (code != CURLE_OK && !exchange.refused().ok())
    return Prefixed(exchange.refused(), Redacted(request.url) + ": ");
  if (code == CURLE_OK) {
    CAPI_RETURN_NOT_OK(exchange.TellHeaders());  // an empty body
    return std::move(exchange.response());
  }
  const std::string text = std::string(curl_easy_strerror(code)) + ": " + Redacted(request.url);
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return UserError("untrusted_server",
                       "the server's certificate is not trusted (see ca_path): " + text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return UserError("bad_address", text);
    case CURLE_OUT_OF_MEMORY:
      return EnvironmentError(text);
    default:
      // Names that cannot be resolved, too: their servers have bad moments like others.
      return RetriableError("transfer failed: " + text);
  }
}

Status StatusError(const HttpResponse& response, const std::string& url) {
  const std::string text = "HTTP status " + std::to_string(response.status) + ": " + Redacted(url);
  switch (response.status) {
    case 404:
    case 410:
      return UserError("file_not_found", "no such file on the server: " + text);
    case 401:
    case 403:
      return UserError("access_denied", "the server denies access: " + text);
    case 408:
    case 425:
    case 429:
      return RetriableError("the server asks to come back later: " + text);
    default:
      return response.status >= 500
                 ? RetriableError("the server has trouble: " + text)
                 : UserError("http_error", "the server's answer is not a file: " + text);
  }
}

int64_t RetryAfterMillis(const HttpResponse& response) {
  const std::string text = response.Header("retry-after");
  int64_t seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr int64_t kMostSeconds = 30;
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return 0;
  return std::clamp<int64_t>(seconds, 0, kMostSeconds) * 1000;
}

}  // namespace capi::files
