#pragma once

// Running scripts on a cluster: this process starts the runs and follows them; daemons execute them
// (service/daemon).

#include <memory>

#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/service/engine.h"

namespace capi::service {

/// Connects to the servers that the settings name. RunScript of this engine starts or takes up a
/// run and returns when it has ended, or at once if the options say so; Cancel only ends the
/// following: the run goes on. Addresses of local scripts and parameters are made absolute; all
/// daemons must be able to read them.
Result<std::unique_ptr<Engine>> MakeClusterEngine(const config::Config& config);

/// That of the cluster if the settings name one, else Engine::Make.
Result<std::unique_ptr<Engine>> MakeEngine(const config::Config& config);

}  // namespace capi::service
