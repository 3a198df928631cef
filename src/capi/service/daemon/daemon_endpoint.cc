#include "capi/service/daemon/daemon_endpoint.h"

#include <utility>

#include "capi/http/router.h"
#include "capi/service/daemon/daemon_metrics.h"

namespace capi::service {

namespace {

constexpr int kUnavailable = 503;

http::Response Answer(std::string body, int status = 200) {
  http::Response response;
  response.status = status;
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = std::move(body);
  return response;
}

http::Response Health(const DaemonStatus& status, int64_t lease_ms) {
  if (status.cluster.since_answer_ms <= lease_ms) return Answer("ok\n");
  return Answer(
      "Cassandra has not answered for " + std::to_string(status.cluster.since_answer_ms) + " ms\n",
      kUnavailable);
}

http::Response Ready(const DaemonStatus& status) {
  if (status.draining) return Answer("draining\n", kUnavailable);
  if (!status.looked) return Answer("has not looked at the cluster yet\n", kUnavailable);
  return Answer("ready\n");
}

}  // namespace

Result<std::unique_ptr<http::Server>> ServeDaemon(const EndpointOptions& options,
                                                  const Daemon* daemon) {
  http::Router router;
  router.Add("GET", "/metrics", [daemon, version = options.version](const http::Request&) {
    http::Response response = Answer(
        MetricsText(daemon->status(), daemon->counters(), daemon->cache_counters(), version));
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return response;
  });
  router.Add("GET", "/health", [daemon, lease_ms = options.lease_ms](const http::Request&) {
    return Health(daemon->status(), lease_ms);
  });
  router.Add("GET", "/ready", [daemon](const http::Request&) { return Ready(daemon->status()); });
  router.Add("GET", "/status", [daemon](const http::Request&) {
    http::Response response = Answer(StatusJson(daemon->status()));
    response.content_type = "application/json";
    return response;
  });
  http::ServerOptions server;
  server.address = options.address;
  server.port = options.port;
  server.max_body_bytes = 0;
  return http::Server::Start(server, [router = std::move(router)](const http::Request& request) {
    return router.Handle(request);
  });
}

}  // namespace capi::service
