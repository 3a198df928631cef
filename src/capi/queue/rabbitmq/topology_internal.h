#pragma once

// What is declared at the server: docs/design/queue.md.

#include <cstdint>
#include <string>

#include "capi/base/status.h"
#include "capi/queue/rabbitmq/connection_internal.h"
#include "capi/queue/rabbitmq/rabbitmq_broker.h"

namespace capi::queue {

/// Where messages are published to, consumed from, and what kAgain does.
struct RabbitMqRoute {
  std::string exchange;
  std::string routing_key;
  std::string queue;
  std::string dead_letter_queue;  ///< of messages that wait to come again, "" = none
  bool persistent = true;
  bool again_requeues = true;  ///< false: rejected, to the dead letter queue
};
RabbitMqRoute RouteOf(const RabbitMqOptions& options);

/// Declares everything; what exists already must be equal. A user without the right to create uses
/// what exists as it is.
Status DeclareTopology(RabbitMqConnection* connection, const RabbitMqOptions& options);

}  // namespace capi::queue
