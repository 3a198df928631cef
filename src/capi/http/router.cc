#include "capi/http/router.h"

#include <utility>

namespace capi::http {

void Router::Add(const std::string& method, const std::string& path, Handler handler) {
  routes_[path][method] = std::move(handler);
}

Response Router::Handle(const Request& request) const {
  Response response;
  const auto route = routes_.find(request.path);
  if (route == routes_.end()) {
    response.status = 404;
    response.body = "not found\n";
    return response;
  }
  const auto& methods = route->second;
  auto handler = methods.find(request.method);
  if (handler == methods.end() && request.method == "HEAD") handler = methods.find("GET");
  if (handler != methods.end()) return handler->second(request);
  std::string allowed;
  for (const auto& [method, unused] : methods) {
    allowed += (allowed.empty() ? "" : ", ") + method;
    if (method == "GET" && methods.count("HEAD") == 0) allowed += ", HEAD";
  }
  response.status = 405;
  response.headers.emplace_back("Allow", allowed);
  response.body = "method not allowed\n";
  return response;
}

}  // namespace capi::http
