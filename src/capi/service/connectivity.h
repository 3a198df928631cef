#pragma once

// Whether the servers that the settings name answer (spec/toolbelt.md 3.10). The real connections
// belong here, so that command line and web ask the same questions.

#include <string>

#include "capi/base/status.h"
#include "capi/config/config.h"

namespace capi::service {

struct Connectivity {
  /// False: nothing is configured, and the embedded engine needs no server.
  bool needed = false;
  /// What answered, as it stands behind "OK: ", without passwords: "[host1 host2]", a URL;
  /// "embedded" if nothing is needed.
  std::string endpoint;
  std::string note;  ///< for people, "" = none
};

/// Cassandra at cassandra.hosts. kEnvironment: it does not answer.
Result<Connectivity> CheckDatabase(const config::Config& config);
/// The queue that QueueUrlOf names. kEnvironment: it does not answer.
Result<Connectivity> CheckQueue(const config::Config& config);

}  // namespace capi::service
