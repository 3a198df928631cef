#include "capi/http/server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/string.hpp>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "capi/base/log.h"
#include "capi/http/connection_internal.h"

namespace capi::http {

namespace net = boost::asio;
using net::ip::tcp;

namespace {

/// Before the next try after an error of accept, such as too many open files.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);

class ServerImpl final : public Server {
 public:
  ServerImpl(const ServerOptions& options, Handler handler)
      : io_(1),
        handlers_(static_cast<size_t>(std::max(1, options.handler_threads))),
        acceptor_(io_),
        timer_(io_) {
    context_.options = options;
    context_.handler = std::move(handler);
    context_.io = &io_;
    context_.handlers = &handlers_;
  }
  ~ServerImpl() override {
    if (thread_.joinable()) {
      net::post(io_, [this] { Stop(); });
      thread_.join();
    }
    handlers_.join();
  }

  Status Listen();
  void Run() {
    Accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  uint16_t port() const override { return port_; }

 private:
  void Accept();
  void OnAccepted(const boost::system::error_code& error, tcp::socket socket);
  void OnEnd(Connection* connection);
  void Stop();
  /// Of each, which may end the connection.
  void ForAll(const std::function<void(Connection*)>& act);
  bool full() const {
    return connections_.size() >=
           static_cast<size_t>(std::max(1, context_.options.max_connections));
  }

  net::io_context io_;
  net::thread_pool handlers_;
  tcp::acceptor acceptor_;
  net::steady_timer timer_;
  uint16_t port_ = 0;
  ConnectionContext context_;
  // I/O thread only.
  std::map<Connection*, std::weak_ptr<Connection>> connections_;
  bool accepting_ = false;
  std::thread thread_;
};

Status ServerImpl::Listen() {
  const ServerOptions& options = context_.options;
  boost::system::error_code error;
  const net::ip::address address = net::ip::make_address(options.address, error);
  if (error) {
    return UserError("bad_listen_address",
                     "not an IP address to listen on: \"" + options.address + "\"");
  }
  const tcp::endpoint endpoint(address, options.port);
  acceptor_.open(endpoint.protocol(), error);
  // A restarted process gets its port again at once.
  if (!error) acceptor_.set_option(net::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(net::socket_base::max_listen_connections, error);
  if (error) {
    return EnvironmentError("cannot listen on " + options.address + " port " +
                            std::to_string(options.port) + ": " + error.message());
  }
  port_ = acceptor_.local_endpoint(error).port();
  return Status::OK();
}

void ServerImpl::Accept() {
  if (accepting_ || context_.stopping || full()) return;
  accepting_ = true;
  acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
    accepting_ = false;
    OnAccepted(error, std::move(socket));
  });
}

void ServerImpl::OnAccepted(const boost::system::error_code& error, tcp::socket socket) {
  if (context_.stopping) return;
  if (error) {
    LogWarn("cannot accept a connection: " + error.message());
    timer_.expires_after(kAcceptPause);
    timer_.async_wait([this](const boost::system::error_code&) { Accept(); });
    return;
  }
  const auto connection = std::make_shared<Connection>(std::move(socket), &context_,
                                                       [this](Connection* ended) { OnEnd(ended); });
  connections_[connection.get()] = connection;
  connection->Start();
  Accept();
}

void ServerImpl::OnEnd(Connection* connection) {
  connections_.erase(connection);
  if (context_.stopping && connections_.empty()) timer_.cancel();
  Accept();
}

void ServerImpl::Stop() {
  context_.stopping = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  ForAll([](Connection* connection) { connection->EndSoon(); });
  // The thread ends when nothing is under way any more. Answers that come later have the same time.
  timer_.expires_after(kStopGrace);
  if (connections_.empty()) return;
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    ForAll([](Connection* connection) {
      if (!connection->handling()) connection->Close();
    });
  });
}

void ServerImpl::ForAll(const std::function<void(Connection*)>& act) {
  const auto connections = connections_;
  for (const auto& [unused, weak] : connections) {
    if (const auto connection = weak.lock()) act(connection.get());
  }
}

}  // namespace

std::string_view Request::Header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [name](const auto& header) {
    return boost::beast::iequals(header.first, name);
  });
  return found != headers.end() ? std::string_view(found->second) : std::string_view();
}

Result<std::unique_ptr<Server>> Server::Start(const ServerOptions& options, Handler handler) {
  auto server = std::make_unique<ServerImpl>(options, std::move(handler));
  CAPI_RETURN_NOT_OK(server->Listen());
  server->Run();
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace capi::http
