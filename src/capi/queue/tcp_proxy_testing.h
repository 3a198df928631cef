#pragma once

// A loopback proxy between a client under test and its server, to cut or freeze connections.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace capi::queue {

/// Thread-safe. Listens on a free port of 127.0.0.1.
class TcpProxy {
 public:
  TcpProxy(const std::string& host, int64_t port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int64_t port() const { return port_; }
  /// Breaks all present connections.
  void Cut();
  /// Accepts no more and breaks the present ones, until called with false.
  void Refuse(bool refuse);
  /// Keeps connections open but passes nothing on, until called with false.
  void Freeze(bool freeze) { frozen_ = freeze; }
  int64_t accepted() const { return accepted_; }

 private:
  void Run();

  const std::string host_;
  const int64_t server_port_;
  int64_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> cut_ = false;
  std::atomic<bool> refusing_ = false;
  std::atomic<bool> frozen_ = false;
  std::atomic<int64_t> accepted_ = 0;
  std::thread thread_;
};

}  // namespace capi::queue
