#include <string_view>
#include <utility>
#include <vector>

#include "capi/queue/rabbitmq/topology_internal.h"

namespace capi::queue {

namespace {

/// Arguments of a declaration. Texts must outlive it.
class Arguments {
 public:
  void Add(const char* name, std::string_view text) {
    amqp_field_value_t value;
    value.kind = AMQP_FIELD_KIND_UTF8;
    value.value.bytes = Bytes(text);
    entries_.push_back({amqp_cstring_bytes(name), value});
  }
  void Add(const char* name, int64_t number) {
    amqp_field_value_t value;
    value.kind = AMQP_FIELD_KIND_I64;
    value.value.i64 = number;
    entries_.push_back({amqp_cstring_bytes(name), value});
  }
  amqp_table_t table() { return {static_cast<int>(entries_.size()), entries_.data()}; }

 private:
  std::vector<amqp_table_entry_t> entries_;
};

Status DeclareQueue(RabbitMqConnection* connection, const std::string& name, bool durable,
                    Arguments* arguments) {
  amqp_queue_declare(connection->raw(), kChannel, Bytes(name), /*passive=*/0, durable ? 1 : 0,
                     /*exclusive=*/0, /*auto_delete=*/0, arguments->table());
  return connection->LastReply("cannot declare queue " + name);
}

Status DeclareOwn(RabbitMqConnection* connection, const RabbitMqOptions& options) {
  Arguments arguments;
  if (options.quorum) {
    // Servers that do not know the argument would silently make a classic queue.
    if (!connection->IsAtLeast(3, 8)) {
      return UserError("broker_unsupported",
                       "broker: " + connection->server() +
                           " has no quorum queues; a classic queue is used with the option "
                           "quorum = false only");
    }
    arguments.Add("x-queue-type", "quorum");
    arguments.Add("x-delivery-limit", options.delivery_limit);
  }
  // Servers before 3.12 ignore it, and heed it from the day they are upgraded.
  arguments.Add("x-consumer-timeout", options.consumer_timeout_ms);
  return DeclareQueue(connection, options.queue, /*durable=*/true, &arguments);
}

Status DeclareCompatible(RabbitMqConnection* connection, const RabbitMqOptions& options) {
  const std::string& exchange = options.exchange;
  const std::string& queue = options.handler_queue;
  const std::string dead_exchange = exchange + "_dlx";
  const std::string dead_queue = queue + "_dlx";
  for (const std::string& name : {exchange, dead_exchange}) {
    amqp_exchange_declare(connection->raw(), kChannel, Bytes(name), Bytes("direct"), /*passive=*/0,
                          /*durable=*/0, /*auto_delete=*/0, /*internal=*/0, amqp_empty_table);
    CAPI_RETURN_NOT_OK(connection->LastReply("cannot declare exchange " + name));
  }
  Arguments live;
  live.Add("x-dead-letter-exchange", dead_exchange);
  live.Add("x-dead-letter-routing-key", dead_queue);
  CAPI_RETURN_NOT_OK(DeclareQueue(connection, queue, /*durable=*/false, &live));
  Arguments dead;
  dead.Add("x-dead-letter-exchange", exchange);
  dead.Add("x-dead-letter-routing-key", queue);
  dead.Add("x-message-ttl", options.dead_letter_ttl_ms);
  CAPI_RETURN_NOT_OK(DeclareQueue(connection, dead_queue, /*durable=*/false, &dead));
  for (const auto& [name, source] :
       {std::pair(queue, exchange), std::pair(dead_queue, dead_exchange)}) {
    amqp_queue_bind(connection->raw(), kChannel, Bytes(name), Bytes(source), Bytes(name),
                    amqp_empty_table);
    CAPI_RETURN_NOT_OK(connection->LastReply("cannot bind queue " + name));
  }
  return Status::OK();
}

/// After the server has closed the channel because of an error.
Status ReopenChannel(RabbitMqConnection* connection) {
  amqp_channel_close_ok_t ok = {};
  CAPI_RETURN_NOT_OK(connection->Sent(
      amqp_send_method(connection->raw(), kChannel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok),
      "connection lost"));
  amqp_channel_open(connection->raw(), kChannel);
  return connection->LastReply("cannot open a channel");
}

}  // namespace

RabbitMqRoute RouteOf(const RabbitMqOptions& options) {
  RabbitMqRoute route;
  if (options.topology == RabbitMqTopology::kOwn) {
    route.routing_key = options.queue;
    route.queue = options.queue;
  } else {
    route.exchange = options.exchange;
    route.routing_key = options.handler_queue;
    route.queue = options.handler_queue;
    route.dead_letter_queue = options.handler_queue + "_dlx";
    route.persistent = false;
    route.again_requeues = false;
  }
  return route;
}

Status DeclareTopology(RabbitMqConnection* connection, const RabbitMqOptions& options) {
  const Status declared = options.topology == RabbitMqTopology::kOwn
                              ? DeclareOwn(connection, options)
                              : DeclareCompatible(connection, options);
  if (declared.ok() || InfoOf(declared).error_class != "broker_unauthorized") return declared;
  CAPI_RETURN_NOT_OK(ReopenChannel(connection));
  const std::string queue = RouteOf(options).queue;
  amqp_queue_declare(connection->raw(), kChannel, Bytes(queue), /*passive=*/1, /*durable=*/0,
                     /*exclusive=*/0, /*auto_delete=*/0, amqp_empty_table);
  return connection->LastReply("").ok() ? Status::OK() : declared;
}

}  // namespace capi::queue
