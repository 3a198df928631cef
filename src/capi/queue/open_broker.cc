#include "capi/queue/open_broker.h"

#include <string>
#include <utility>

namespace capi::queue {

#ifdef CAPI_WITH_RABBITMQ
static Result<std::unique_ptr<Broker>> Open(Env* env, RabbitMqOptions options) {
  return NewRabbitMqBroker(env, std::move(options));
}
#else
static Result<std::unique_ptr<Broker>> Open(Env*, const RabbitMqOptions&) {
  return UserError("broker_not_built",
                   "broker: this program was built without the back end for RabbitMQ (AMQP 0.9.1)");
}
#endif

#ifdef CAPI_WITH_AMQP10
static Result<std::unique_ptr<Broker>> Open(Env* env, Amqp10Options options) {
  return NewAmqp10Broker(env, std::move(options));
}
#else
static Result<std::unique_ptr<Broker>> Open(Env*, const Amqp10Options&) {
  return UserError("broker_not_built",
                   "broker: this program was built without the back end for AMQP 1.0");
}
#endif

Result<std::unique_ptr<Broker>> OpenBroker(Env* env, BrokerOptions options) {
  return std::visit([env](auto& chosen) { return Open(env, std::move(chosen)); }, options);
}

}  // namespace capi::queue
