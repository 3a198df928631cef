#pragma once

// What a daemon answers to monitoring over HTTP: GET /metrics (Prometheus), /health, /ready and
// /status (JSON).

#include <cstdint>
#include <memory>
#include <string>

#include "capi/base/status.h"
#include "capi/http/server.h"
#include "capi/service/daemon/daemon.h"

namespace capi::service {

struct EndpointOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  /// /health is 503 when Cassandra was not reachable for longer.
  int64_t lease_ms = workflow::kLeaseMillis;
  std::string version;
};

/// Answers until it is destroyed, before the daemon, which is asked from threads of the server.
/// Errors of http::Server::Start. /ready: 503 while draining and before the first look at the
/// cluster.
Result<std::unique_ptr<http::Server>> ServeDaemon(const EndpointOptions& options,
                                                  const Daemon* daemon);

}  // namespace capi::service
