#pragma once

// Running scripts on a cluster: this process starts the runs and follows them, and daemons execute
// them (service/daemon); or it executes them itself.

#include <cstdint>
#include <memory>

#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/service/engine.h"

namespace capi::service {

/// Who executes the runs of a cluster.
enum class ExecutedBy : uint8_t {
  kDaemons,
  /// Also without daemons and broker. It works as they do, under a lease; daemons that find the run
  /// take part in it.
  kThisProcess,
};

/// Connects to the servers that the settings name. RunScript of this engine starts or takes up a
/// run and returns when it has ended, or at once if the options say so. Cancel only ends the
/// following, and the run goes on; of a run that this process executes, what it has under way is
/// given back, and others may go on with it. Addresses of local scripts and parameters are made
/// absolute; all daemons must be able to read them.
Result<std::unique_ptr<Engine>> MakeClusterEngine(const config::Config& config,
                                                  ExecutedBy executed_by);

/// That of the cluster if the settings name one, else Engine::Make.
Result<std::unique_ptr<Engine>> MakeEngine(const config::Config& config, ExecutedBy executed_by);

}  // namespace capi::service
