#pragma once

// Chooses a handler by path and method.

#include <map>
#include <string>
#include <string_view>

#include "capi/http/server.h"

namespace capi::http {

/// Filled by one thread; then thread-safe.
class Router {
 public:
  /// `path` as in Request, exactly.
  void Add(const std::string& method, const std::string& path, Handler handler);
  /// 404 for unknown paths, 405 for other methods of known ones. HEAD is answered as GET is.
  Response Handle(const Request& request) const;

 private:
  std::map<std::string, std::map<std::string, Handler>, std::less<>> routes_;
};

}  // namespace capi::http
