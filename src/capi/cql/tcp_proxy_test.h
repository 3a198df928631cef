#pragma once

// A TCP proxy on a free loopback port that can stall, cut and refuse connections.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace capi::cql {

class TcpProxy {
 public:
  /// `target`: "address:port" of an IPv4 server; `host`: the loopback address of the proxy.
  explicit TcpProxy(const std::string& target, const std::string& host = "127.0.0.1")
      : host_(host) {
    const size_t colon = target.rfind(':');
    target_.sin_family = AF_INET;
    target_.sin_port = htons(static_cast<uint16_t>(std::atoi(target.c_str() + colon + 1)));
    inet_pton(AF_INET, target.substr(0, colon).c_str(), &target_.sin_addr);
    Open(0);
  }
  ~TcpProxy() { Close(); }
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  std::string address() const { return host_ + ":" + std::to_string(port_); }
  int64_t connections() const { return connections_; }

  /// Nothing is handed on any more, connections stay.
  void Stall() { stalled_ = true; }
  /// Requests reach the server, answers are lost.
  void SwallowAnswers() { swallow_answers_ = true; }
  void Resume() {
    stalled_ = false;
    swallow_answers_ = false;
  }
  /// Ends all connections; new ones are taken.
  void Cut() {
    const std::lock_guard lock(mutex_);
    for (const int fd : sockets_) shutdown(fd, SHUT_RDWR);
  }
  /// Ends all connections and takes no new ones.
  void Close() {
    if (listener_ < 0) return;
    closing_ = true;
    Cut();
    acceptor_.join();
    Cut();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    close(listener_);
    listener_ = -1;
  }
  /// On the same port, after Close().
  void Reopen() { Open(port_); }

 private:
  void Open(int port) {
    closing_ = false;
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, host_.c_str(), &address.sin_addr);
    address.sin_port = htons(static_cast<uint16_t>(port));
    socklen_t size = sizeof(address);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(listener_, 64) != 0) {
      std::abort();
    }
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }

  void Accept() {
    while (!closing_) {
      pollfd ready{listener_, POLLIN, 0};
      if (poll(&ready, 1, kPollMs) <= 0) continue;
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (connect(server, reinterpret_cast<sockaddr*>(&target_), sizeof(target_)) != 0) {
        close(client);
        close(server);
        continue;
      }
      ++connections_;
      {
        const std::lock_guard lock(mutex_);
        sockets_.push_back(client);
        sockets_.push_back(server);
      }
      threads_.emplace_back([this, client, server] { Carry(client, server); });
    }
  }

  void Carry(int client, int server) {
    std::vector<char> buffer(1 << 16);
    bool open = true;
    while (open) {
      if (stalled_ && !closing_) {
        std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
        continue;
      }
      pollfd ready[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      if (poll(ready, 2, kPollMs) < 0) break;
      for (int i = 0; i < 2 && open; ++i) {
        if (ready[i].revents == 0) continue;
        const ssize_t count = read(ready[i].fd, buffer.data(), buffer.size());
        open = count > 0;
        if (!open || (i == 1 && swallow_answers_)) continue;
        open = WriteAll(i == 0 ? server : client, buffer.data(), static_cast<size_t>(count));
      }
      if (closing_) break;
    }
    const std::lock_guard lock(mutex_);
    std::erase(sockets_, client);
    std::erase(sockets_, server);
    close(client);
    close(server);
  }

  static bool WriteAll(int fd, const char* data, size_t size) {
    while (size > 0) {
      const ssize_t count = send(fd, data, size, MSG_NOSIGNAL);
      if (count <= 0) return false;
      data += count;
      size -= static_cast<size_t>(count);
    }
    return true;
  }

  static constexpr int kPollMs = 5;

  const std::string host_;
  sockaddr_in target_{};
  int port_ = 0;
  int listener_ = -1;
  std::atomic<bool> closing_{false};
  std::atomic<bool> stalled_{false};
  std::atomic<bool> swallow_answers_{false};
  std::atomic<int64_t> connections_{0};
  std::thread acceptor_;
  std::vector<std::thread> threads_;  // of the acceptor's
  std::mutex mutex_;
  std::vector<int> sockets_;
};

}  // namespace capi::cql
