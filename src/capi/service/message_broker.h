#pragma once

// The message broker that the settings name (spec/broker.md, spec/config.md 3).

#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/queue/broker.h"

namespace capi::service {

/// The queue the settings choose, with its password: the one that mq_type names; without mq_type
/// amqp10.url if there is an amqp10.address too, else amqp.url, else capimq_client.url. "" if it is
/// not configured. Pure.
std::string QueueUrlOf(const config::Config& config);

/// Does not connect yet. kUser errors: "no_queue"; "unsupported_queue" for the CapiMQ protocol;
/// what queue/open_broker.h says.
Result<std::unique_ptr<queue::Broker>> OpenBrokerOf(Env* env, const config::Config& config);

}  // namespace capi::service
