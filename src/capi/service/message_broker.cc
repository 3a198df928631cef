#include "capi/service/message_broker.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "capi/queue/open_broker.h"

namespace capi::service {

namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

enum class Protocol : uint8_t { kNone, kAmqp, kAmqp10, kCapiMq };

Protocol ProtocolOf(const config::Config& config) {
  const std::string type = Lower(config.mq_type);
  const bool amqp10 = !config.amqp10.url.empty() && !config.amqp10.address.empty();
  if (type == "capimq") return Protocol::kCapiMq;
  if (type == "amqp10") return amqp10 ? Protocol::kAmqp10 : Protocol::kNone;
  if (type == "amqp") return config.amqp.url.empty() ? Protocol::kNone : Protocol::kAmqp;
  if (amqp10) return Protocol::kAmqp10;
  if (!config.amqp.url.empty()) return Protocol::kAmqp;
  return config.capimq_client.url.empty() ? Protocol::kNone : Protocol::kCapiMq;
}

queue::AmqpTlsOptions TlsOptionsOf(const config::QueueTlsSettings& settings) {
  queue::AmqpTlsOptions options;
  options.ca_path = settings.ca_path;
  options.certificate_path = settings.cert_path;
  options.key_path = settings.key_path;
  options.verify_host = settings.enable_host_verification;
  return options;
}

queue::RabbitMqOptions RabbitMqOptionsOf(const config::Config& config) {
  queue::RabbitMqOptions options;
  options.url = config.amqp.url;
  options.tls = TlsOptionsOf(config.mq_tls);
  options.topology = config.amqp.topology == "original" ? queue::RabbitMqTopology::kCompatible
                                                        : queue::RabbitMqTopology::kOwn;
  options.exchange = config.amqp.exchange;
  if (!config.handler_executable_type.empty()) {
    options.handler_queue = config.handler_executable_type;
  }
  options.dead_letter_ttl_ms = config.dead_letter_ttl_ms;
  return options;
}

queue::Amqp10Options Amqp10OptionsOf(const config::Config& config) {
  queue::Amqp10Options options;
  options.url = config.amqp10.url;
  options.tls = TlsOptionsOf(config.mq_tls);
  options.address = config.amqp10.address;
  if (Lower(config.amqp10.retry_method) == "reject") options.retry = queue::Amqp10Retry::kReject;
  return options;
}

}  // namespace

std::string QueueUrlOf(const config::Config& config) {
  switch (ProtocolOf(config)) {
    case Protocol::kNone:
      return "";
    case Protocol::kAmqp:
      return config.amqp.url;
    case Protocol::kAmqp10:
      return config.amqp10.url;
    case Protocol::kCapiMq:
      return config.capimq_client.url;
  }
  return "";
}

Result<std::unique_ptr<queue::Broker>> OpenBrokerOf(Env* env, const config::Config& config) {
  switch (ProtocolOf(config)) {
    case Protocol::kAmqp:
      return queue::OpenBroker(env, RabbitMqOptionsOf(config));
    case Protocol::kAmqp10:
      return queue::OpenBroker(env, Amqp10OptionsOf(config));
    case Protocol::kCapiMq:
      return UserError("unsupported_queue",
                       "the CapiMQ protocol is not supported: configure amqp.url (RabbitMQ), or "
                       "amqp10.url with amqp10.address");
    case Protocol::kNone:
      break;
  }
  return UserError("no_queue",
                   "a cluster is configured (cassandra.hosts), but no queue for it: amqp.url "
                   "(CAPI_AMQP_URL), or amqp10.url with amqp10.address, is missing");
}

}  // namespace capi::service
