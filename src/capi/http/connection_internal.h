#pragma once

// One client: reads a request, has it handled, writes the answer, and again. Runs in the server's
// I/O thread, which is the only one, so that nothing here is locked; only the handler is called
// elsewhere.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "capi/http/server.h"

namespace capi::http {

/// How long a client may take its last answer from a server that ends.
constexpr auto kStopGrace = std::chrono::seconds(1);

/// What connections share. Outlives them.
struct ConnectionContext {
  ServerOptions options;
  Handler handler;
  boost::asio::io_context* io = nullptr;
  boost::asio::thread_pool* handlers = nullptr;
  bool stopping = false;  ///< I/O thread only
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `on_end` is called once, when the connection is closed.
  Connection(boost::asio::ip::tcp::socket socket, ConnectionContext* context,
             std::function<void(Connection*)> on_end);

  void Start() { AwaitRequest(); }
  /// Ends after the answer to a request that is handled or written; at once if there is none.
  void EndSoon();
  bool handling() const { return handling_; }
  void Close();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Message = boost::beast::http::response<boost::beast::http::string_body>;

  void AwaitRequest();
  void ReadRequest();
  void OnRequest(boost::beast::error_code error);
  void HandleRequest();
  void Refuse(int status, const std::string& text);
  void Write(Response response, bool keep_alive, bool without_body);
  void OnWritten(boost::beast::error_code error);
  /// Tells the client that no more comes, and lets it read what was written: closing while bytes of
  /// it are unread would take the answer away from it.
  void Linger();
  void Drop();

  ConnectionContext* const context_;
  std::function<void(Connection*)> on_end_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<Message> message_;
  unsigned version_ = 11;
  bool handling_ = false;  ///< the handler has not returned
  bool writing_ = false;
  size_t dropped_ = 0;
};

}  // namespace capi::http
