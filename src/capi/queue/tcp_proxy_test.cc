// The proxy itself, not a test of it: it is linked into the room's test program only.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <utility>

#include "capi/queue/tcp_proxy_testing.h"

namespace capi::queue {

namespace {

sockaddr_in LoopbackAddress(int64_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Passes on what has arrived; false when one side has closed.
bool PassOn(int from, int to) {
  std::array<char, 65536> buffer;
  const ssize_t count = recv(from, buffer.data(), buffer.size(), 0);
  if (count <= 0) return false;
  for (ssize_t sent = 0; sent < count;) {
    const ssize_t step =
        send(to, buffer.data() + sent, static_cast<size_t>(count - sent), MSG_NOSIGNAL);
    if (step <= 0) return false;
    sent += step;
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(const std::string& host, int64_t port) : host_(host), server_port_(port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = LoopbackAddress(0);
  bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  listen(listener_, 16);
  socklen_t size = sizeof(address);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

TcpProxy::~TcpProxy() {
  stopping_ = true;
  thread_.join();
  close(listener_);
}

void TcpProxy::Cut() {
  cut_ = true;
  while (cut_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void TcpProxy::Refuse(bool refuse) {
  refusing_ = refuse;
  if (refuse) Cut();
}

void TcpProxy::Run() {
  std::vector<std::pair<int, int>> connections;
  const auto close_all = [&connections] {
    for (const auto& [client, server] : connections) {
      // A reset, as from a killed process.
      const linger hard = {1, 0};
      setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
      close(client);
      close(server);
    }
    connections.clear();
  };
  while (!stopping_) {
    if (cut_) {
      close_all();
      cut_ = false;
    }
    if (frozen_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      continue;
    }
    std::vector<pollfd> sources = {{listener_, POLLIN, 0}};
    for (const auto& [client, server] : connections) {
      sources.push_back({client, POLLIN, 0});
      sources.push_back({server, POLLIN, 0});
    }
    poll(sources.data(), sources.size(), 2);
    std::vector<std::pair<int, int>> kept;
    for (size_t i = 0; i < connections.size(); ++i) {
      const auto [client, server] = connections[i];
      const bool open = (sources[1 + 2 * i].revents == 0 || PassOn(client, server)) &&
                        (sources[2 + 2 * i].revents == 0 || PassOn(server, client));
      if (open) {
        kept.push_back(connections[i]);
      } else {
        close(client);
        close(server);
      }
    }
    connections = std::move(kept);
    if (sources[0].revents == 0) continue;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = LoopbackAddress(server_port_);
    if (refusing_ ||
        connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      close(client);
      close(server);
    } else {
      ++accepted_;
      connections.emplace_back(client, server);
    }
  }
  close_all();
}

}  // namespace capi::queue
