#include "capi/queue/rabbitmq/rabbitmq_broker.h"

#include <utility>

#include "capi/base/redact.h"
#include "capi/queue/rabbitmq/consumer_internal.h"
#include "capi/queue/rabbitmq/publisher_internal.h"

namespace capi::queue {

namespace {

class RabbitMqBroker final : public Broker {
 public:
  RabbitMqBroker(Env* env, const RabbitMqOptions& options, const AmqpAddress& address)
      : env_(env),
        options_(options),
        address_(address),
        outbox_(env,
                {"broker at " + address.host + ":" + std::to_string(address.port),
                 RouteOf(options).queue, options.publish_timeout_ms, options.first_pause_ms,
                 options.longest_pause_ms},
                std::make_unique<RabbitMqPublishChannel>(env, options, address)),
        consumer_(env, options, address) {}

  Status Publish(const std::vector<BatchMessage>& messages) override {
    return outbox_.Publish(messages);
  }

  Result<std::optional<Delivery>> Receive(int64_t timeout_ms) override {
    return consumer_.Receive(timeout_ms);
  }

  Status Settle(uint64_t tag, Verdict verdict) override {
    CAPI_ASSIGN_OR_RETURN(const auto again, consumer_.Settle(tag, verdict));
    return again ? outbox_.Publish({*again}) : Status::OK();
  }

  Status SetPrefetch(int64_t messages) override { return consumer_.SetPrefetch(messages); }

  Result<std::string> Check() override {
    CAPI_RETURN_NOT_OK(RabbitMqConnection::Open(env_, options_, address_, "check").status());
    return RedactUrl(options_.url);
  }

  Status Purge() override {
    CAPI_ASSIGN_OR_RETURN(const auto connection,
                          RabbitMqConnection::Open(env_, options_, address_, "purge"));
    CAPI_RETURN_NOT_OK(DeclareTopology(connection.get(), options_));
    const RabbitMqRoute route = RouteOf(options_);
    for (const std::string& queue : {route.queue, route.dead_letter_queue}) {
      if (queue.empty()) continue;
      amqp_queue_purge(connection->raw(), kChannel, Bytes(queue));
      CAPI_RETURN_NOT_OK(connection->LastReply("cannot purge queue " + queue));
    }
    return Status::OK();
  }

 private:
  Env* const env_;
  const RabbitMqOptions options_;
  const AmqpAddress address_;
  Outbox outbox_;
  RabbitMqConsumer consumer_;
};

Status CheckOptions(const RabbitMqOptions& options) {
  const auto wrong = [](const std::string& what) {
    return UserError("bad_option", "broker: " + what);
  };
  if (options.queue.empty() || options.handler_queue.empty() || options.exchange.empty()) {
    return wrong("the names of queue and exchange must not be empty");
  }
  for (const std::string* name : {&options.queue, &options.handler_queue, &options.exchange}) {
    // 255 bytes is the limit of the protocol, and _dlx is appended to two of them.
    if (name->size() > 250) return wrong("the name of a queue or exchange is too long: " + *name);
    if (name->starts_with("amq."))
      return wrong("names that begin with amq. are reserved: " + *name);
  }
  if (options.delivery_limit < 1) return wrong("the delivery limit must be at least 1");
  if (options.consumer_timeout_ms < 60000) {
    return wrong("the consumer time-out must be at least a minute");
  }
  if (options.early_settle_ms < 0) return wrong("early_settle_ms must not be negative");
  if (options.dead_letter_ttl_ms < 1) return wrong("the dead letter TTL must be positive");
  if (options.connect_timeout_ms < 1 || options.publish_timeout_ms < 1 ||
      options.idle_check_ms < 1) {
    return wrong("time-outs must be positive");
  }
  if (options.heartbeat_seconds < 0 || options.heartbeat_seconds > 3600) {
    return wrong("the heartbeat must be between 0 and 3600 seconds");
  }
  if (options.first_pause_ms < 1 || options.longest_pause_ms < options.first_pause_ms) {
    return wrong("the pauses between attempts to connect must be positive and grow");
  }
  if (options.tls.certificate_path.empty() != options.tls.key_path.empty()) {
    return wrong("a client's certificate and its key belong together");
  }
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<Broker>> NewRabbitMqBroker(Env* env, RabbitMqOptions options) {
  CAPI_ASSIGN_OR_RETURN(const AmqpAddress address, ParseAmqpAddress(options.url));
  CAPI_RETURN_NOT_OK(CheckOptions(options));
  auto broker = std::make_unique<RabbitMqBroker>(env, options, address);
  if (options.prefetch != 0) CAPI_RETURN_NOT_OK(broker->SetPrefetch(options.prefetch));
  return broker;
}

}  // namespace capi::queue
