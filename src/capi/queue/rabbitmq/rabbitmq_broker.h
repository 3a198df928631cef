#pragma once

// RabbitMQ by AMQP 0.9.1 (spec/broker.md 2 and 6; what is declared and why: docs/design/queue.md).
//
// What a consumer may keep unsettled, and for how long: RabbitMQ closes the channel of a consumer
// that leaves a message unsettled for longer than a time-out, 30 minutes unless the server says
// otherwise, and redelivers everything that channel held.
//   3.12 to 4.2   the queue's argument x-consumer-timeout holds (consumer_timeout_ms below).
//   before 3.12   accepts and ignores the argument; only the server's configuration counts. With
//                 kOwn a delivery that has been unsettled for early_settle_ms is therefore settled
//                 as done by the broker object itself (one that nobody received goes back). Should
//                 the process die after that, the lease in the state store brings the batch back,
//                 not the broker. kAgain after that publishes the message anew.
// With kCompatible the argument cannot be declared, and nothing is settled early: the queue may be
// the only thing that remembers the batch. The time-out of the server applies.
//
// Errors besides those of broker.h: kUser for what only a person can mend: "bad_address",
// "broker_unauthorized" (password, or a right the user lacks), "broker_unknown_vhost",
// "broker_mismatch" (a queue or exchange of that name exists with other properties; the message is
// the server's, which names the difference), "broker_unsupported". kEnvironment for certificates.

#include <cstdint>
#include <memory>
#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/amqp_address.h"
#include "capi/queue/broker.h"

namespace capi::queue {

enum class RabbitMqTopology : uint8_t {
  kOwn,         ///< one durable queue behind the default exchange; kAgain redelivers at once
  kCompatible,  ///< that of release 1.1.22; kAgain comes back after dead_letter_ttl_ms
};

struct RabbitMqOptions {
  std::string url;  ///< amqp_address.h
  AmqpTlsOptions tls;
  RabbitMqTopology topology = RabbitMqTopology::kOwn;

  // kOwn
  std::string queue = "capi.batches";
  /// False: a classic durable queue, for servers without quorum queues (before 3.8).
  bool quorum = true;
  /// How often a message may come back before RabbitMQ drops it. RabbitMQ 4 would stop at 20.
  int64_t delivery_limit = 1000000000;
  int64_t consumer_timeout_ms = int64_t{24} * 3600 * 1000;
  int64_t early_settle_ms = int64_t{25} * 60 * 1000;  ///< 0 = never

  // kCompatible
  std::string exchange = "capillaries";       ///< amqp.exchange
  std::string handler_queue = "capi_daemon";  ///< handler_executable_type
  int64_t dead_letter_ttl_ms = 10000;         ///< dead_letter_ttl

  /// Messages this process may hold unsettled; 0: it does not consume until SetPrefetch.
  int64_t prefetch = 0;

  int64_t connect_timeout_ms = 10000;
  int64_t publish_timeout_ms = 30000;  ///< of one call, connecting included
  int64_t heartbeat_seconds = 10;      ///< a silent connection is given up after 2.5 of them
  int64_t idle_check_ms = 5000;        ///< a consumer without messages looks at the queue
  int64_t first_pause_ms = 200;        ///< between attempts to connect: doubled each time, jittered
  int64_t longest_pause_ms = 10000;
};

/// Connects when it is used, by threads of its own: one for publishing, one for consuming, each
/// with an own connection. `env` must outlive the broker. Errors: kUser for wrong options.
Result<std::unique_ptr<Broker>> NewRabbitMqBroker(Env* env, RabbitMqOptions options);

}  // namespace capi::queue
