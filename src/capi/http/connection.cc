#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "capi/base/log.h"
#include "capi/http/connection_internal.h"

namespace capi::http {

namespace net = boost::asio;
namespace beast = boost::beast;

namespace {

constexpr size_t kReadBytes = 4096;
/// Of a request that is refused: what is read of it before the connection is closed.
constexpr size_t kMaxDroppedBytes = 1 << 20;
constexpr auto kLinger = std::chrono::seconds(1);

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

Response Called(const Handler& handler, const Request& request) {
  Response failed;
  failed.status = 500;
  failed.body = "internal error\n";
  try {
    return handler(request);
  } catch (const std::exception& exception) {
    LogError("a handler of " + request.method + " " + request.path +
             " threw an exception: " + exception.what());
  } catch (...) {
    LogError("a handler of " + request.method + " " + request.path + " threw an exception");
  }
  return failed;
}

}  // namespace

Connection::Connection(net::ip::tcp::socket socket, ConnectionContext* context,
                       std::function<void(Connection*)> on_end)
    : context_(context), on_end_(std::move(on_end)), stream_(std::move(socket)) {}

void Connection::AwaitRequest() {
  if (context_->stopping) {
    Close();
    return;
  }
  if (buffer_.size() > 0) {
    ReadRequest();
    return;
  }
  stream_.expires_after(std::chrono::milliseconds(context_->options.idle_timeout_ms));
  stream_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](beast::error_code error, size_t bytes) {
                            if (error) {
                              self->Close();
                              return;
                            }
                            self->buffer_.commit(bytes);
                            self->ReadRequest();
                          });
}

void Connection::ReadRequest() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(context_->options.max_header_bytes));
  parser_->body_limit(context_->options.max_body_bytes);
  stream_.expires_after(std::chrono::milliseconds(context_->options.request_timeout_ms));
  beast::http::async_read(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](beast::error_code error, size_t) { self->OnRequest(error); });
}

void Connection::OnRequest(beast::error_code error) {
  namespace http = beast::http;
  if (!error) {
    HandleRequest();
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    Refuse(431, "request header too long\n");
  } else if (error == http::error::body_limit) {
    Refuse(413, "request body too long\n");
  } else if (error == http::error::bad_version) {
    Refuse(505, "HTTP 1.0 and 1.1 are spoken here\n");
  } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    Refuse(400, "bad request: " + error.message() + "\n");
  } else {
    Close();  // it ended, or was too slow and is closed already
  }
}

void Connection::HandleRequest() {
  const auto& message = parser_->get();
  Request request;
  request.method = std::string(View(message.method_string()));
  const std::string_view target = View(message.target());
  const size_t question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (question != std::string_view::npos) request.query = std::string(target.substr(question + 1));
  version_ = message.version();
  if (!request.path.starts_with('/')) {
    Refuse(400, "bad request: a path is wanted\n");
    return;
  }
  for (const auto& field : message) {
    request.headers.emplace_back(View(field.name_string()), View(field.value()));
  }
  request.body = std::move(parser_->get().body());
  const bool keep_alive = message.keep_alive();
  handling_ = true;
  stream_.expires_never();
  net::post(*context_->handlers, [self = shared_from_this(), request = std::move(request),
                                  keep_alive, work = net::make_work_guard(*context_->io)] {
    Response response = Called(self->context_->handler, request);
    const bool without_body = request.method == "HEAD";
    net::post(*self->context_->io,
              [self, response = std::move(response), keep_alive, without_body]() mutable {
                self->Write(std::move(response), keep_alive, without_body);
              });
  });
}

void Connection::Refuse(int status, const std::string& text) {
  Response response;
  response.status = status;
  response.body = text;
  Write(std::move(response), /*keep_alive=*/false, /*without_body=*/false);
}

void Connection::Write(Response response, bool keep_alive, bool without_body) {
  namespace http = beast::http;
  handling_ = false;
  writing_ = true;
  message_.emplace();
  message_->version(version_);
  message_->result(static_cast<unsigned>(response.status));
  message_->keep_alive(keep_alive && !context_->stopping);
  message_->set(http::field::content_type, response.content_type);
  message_->set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) message_->insert(name, value);
  message_->content_length(response.body.size());
  if (!without_body) message_->body() = std::move(response.body);
  const std::chrono::milliseconds limit(context_->options.write_timeout_ms);
  stream_.expires_after(context_->stopping ? std::min<std::chrono::milliseconds>(limit, kStopGrace)
                                           : limit);
  http::async_write(
      stream_, *message_,
      [self = shared_from_this()](beast::error_code error, size_t) { self->OnWritten(error); });
}

void Connection::OnWritten(beast::error_code error) {
  const bool end = error || message_->need_eof();
  message_.reset();
  writing_ = false;
  if (error) {
    Close();
  } else if (end || context_->stopping) {
    Linger();
  } else {
    AwaitRequest();
  }
}

void Connection::Linger() {
  beast::error_code ignored;
  stream_.socket().shutdown(net::ip::tcp::socket::shutdown_send, ignored);
  buffer_.clear();
  stream_.expires_after(kLinger);
  Drop();
}

void Connection::Drop() {
  stream_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](beast::error_code error, size_t bytes) {
                            self->dropped_ += bytes;
                            if (error || self->dropped_ > kMaxDroppedBytes) {
                              self->Close();
                            } else {
                              self->Drop();
                            }
                          });
}

void Connection::EndSoon() {
  if (!handling_ && !writing_) Close();
}

void Connection::Close() {
  stream_.close();
  const auto on_end = std::exchange(on_end_, nullptr);
  if (on_end) on_end(this);
}

}  // namespace capi::http
