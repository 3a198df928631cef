#pragma once

// The choice of a broker's protocol.

#include <memory>
#include <variant>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/amqp10/amqp10_broker.h"
#include "capi/queue/broker.h"
#include "capi/queue/rabbitmq/rabbitmq_broker.h"

namespace capi::queue {

using BrokerOptions = std::variant<RabbitMqOptions, Amqp10Options>;

/// The broker of these options; does not connect yet. Errors: kUser, class "broker_not_built" when
/// this program was built without that back end, else those of the options' header.
Result<std::unique_ptr<Broker>> OpenBroker(Env* env, BrokerOptions options);

}  // namespace capi::queue
