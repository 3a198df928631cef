#pragma once

// Brokers that speak AMQP 1.0: ActiveMQ Artemis, ActiveMQ classic, RabbitMQ 4 (spec/broker.md 3).
//
// The protocol cannot declare queues; what a queue is like is the administrator's matter. A broker
// that makes queues when they are first used, as Artemis does, is asked for one that gives each
// message to one consumer (capability "queue"). How often a message may come back, and after what
// delay, are settings of the broker: docs/design/queue.md.
//
// Errors besides those of broker.h: kUser for what only a person can mend: "bad_address",
// "broker_unauthorized" (password, or a right the user lacks), "broker_no_queue",
// "broker_unknown_vhost". kEnvironment for certificates.

#include <cstdint>
#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/amqp_address.h"
#include "capi/queue/broker.h"

namespace capi::queue {

/// What kAgain does (amqp10.retry_method). Only one of them heeds the broker's redelivery delay.
enum class Amqp10Retry : uint8_t {
  kRelease,  ///< Artemis
  kReject,   ///< ActiveMQ classic; RabbitMQ 4 with a dead letter queue that leads back
};

struct Amqp10Options {
  /// amqp_address.h. A virtual host other than "/" is RabbitMQ's.
  std::string url;
  AmqpTlsOptions tls;
  std::string address = "capillaries";  ///< amqp10.address; RabbitMQ 4: "/queues/NAME"
  Amqp10Retry retry = Amqp10Retry::kRelease;

  /// Messages this process may hold unsettled; 0: it does not consume until SetPrefetch.
  int64_t prefetch = 0;

  int64_t connect_timeout_ms = 10000;
  int64_t publish_timeout_ms = 30000;  ///< of one call, connecting included
  int64_t heartbeat_seconds = 10;      ///< a silent connection is given up after 2.5 of them
  int64_t first_pause_ms = 200;        ///< between attempts to connect: doubled each time, jittered
  int64_t longest_pause_ms = 10000;
};

/// Connects when it is used, by threads of its own: one for publishing, one for consuming, each
/// with an own connection. `env` must outlive the broker. Errors: kUser for wrong options.
Result<std::unique_ptr<Broker>> NewAmqp10Broker(Env* env, Amqp10Options options);

}  // namespace capi::queue
