#pragma once

// A small HTTP/1.1 server: a handler, called for every request, and limits that no client can
// exceed. Nothing of it throws.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/status.h"

namespace capi::http {

struct Request {
  std::string method;  ///< "GET"
  std::string path;    ///< begins with '/', as it was sent: escapes are not resolved
  std::string query;   ///< behind the '?', as it was sent
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  /// The value of the first header of this name (its letter case does not matter), or "".
  std::string_view Header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;  ///< further ones
  std::string body;  ///< answers to HEAD are sent without it, with its length
};

/// Called from the server's handler threads, by several at once. One that throws is answered with
/// 500. The server does not end before it returns.
using Handler = std::function<Response(const Request&)>;

struct ServerOptions {
  std::string address = "127.0.0.1";  ///< of IP; "0.0.0.0", "::" = all of this machine
  uint16_t port = 0;                  ///< 0 = any free one
  int handler_threads = 2;
  /// Further clients wait in the system's queue until one of these connections ends.
  int max_connections = 64;
  size_t max_header_bytes = 16384;  ///< request line and headers; longer ones are answered with 431
  uint64_t max_body_bytes = 65536;  ///< longer ones are answered with 413
  /// From the first byte of a request to its last one; then the connection is closed.
  int64_t request_timeout_ms = 10000;
  /// Of a client that takes its answer.
  int64_t write_timeout_ms = 10000;
  /// Of a connection between two requests.
  int64_t idle_timeout_ms = 15000;
};

/// Thread-safe.
class Server {
 public:
  /// Listens when it returns. Errors: kUser "bad_listen_address"; kEnvironment if the address is
  /// not one of this machine or the port is in use.
  static Result<std::unique_ptr<Server>> Start(const ServerOptions& options, Handler handler);
  /// Takes no more requests, waits for handlers under way and sends their answers (to clients that
  /// take them within a second). Not called from a handler.
  virtual ~Server() = default;

  virtual uint16_t port() const = 0;
};

}  // namespace capi::http
