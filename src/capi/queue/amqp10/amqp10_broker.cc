#include "capi/queue/amqp10/amqp10_broker.h"

#include <proton/disposition.h>

#include <array>
#include <utility>

#include "capi/base/redact.h"
#include "capi/queue/amqp10/consumer_internal.h"
#include "capi/queue/amqp10/publisher_internal.h"
#include "capi/queue/broker_errors_internal.h"

namespace capi::queue {

namespace {

class Amqp10Broker final : public Broker {
 public:
  Amqp10Broker(Env* env, const Amqp10Options& options, const AmqpAddress& address)
      : env_(env),
        options_(options),
        address_(address),
        outbox_(env,
                {"broker at " + address.host + ":" + std::to_string(address.port), options.address,
                 options.publish_timeout_ms, options.first_pause_ms, options.longest_pause_ms},
                std::make_unique<Amqp10PublishChannel>(env, options, address)),
        consumer_(env, options, address) {}

  Status Publish(const std::vector<BatchMessage>& messages) override {
    return outbox_.Publish(messages);
  }

  Result<std::optional<Delivery>> Receive(int64_t timeout_ms) override {
    return consumer_.Receive(timeout_ms);
  }

  Status Settle(uint64_t tag, Verdict verdict) override { return consumer_.Settle(tag, verdict); }

  Status SetPrefetch(int64_t messages) override { return consumer_.SetPrefetch(messages); }

  Result<std::string> Check() override {
    CAPI_RETURN_NOT_OK(Amqp10Connection::Open(env_, options_, address_, "check").status());
    return RedactUrl(options_.url);
  }

  /// The protocol knows no such request: all are received and dropped.
  Status Purge() override {
    constexpr int kAtOnce = 1000;
    CAPI_ASSIGN_OR_RETURN(const auto connection,
                          Amqp10Connection::Open(env_, options_, address_, "purge"));
    CAPI_ASSIGN_OR_RETURN(pn_link_t* const link, connection->OpenReceiver(options_.address));
    const int64_t deadline = env_->MonotonicNanos() + options_.publish_timeout_ms * 1000000;
    pn_link_drain(link, kAtOnce);
    while (env_->MonotonicNanos() < deadline) {
      connection->Exchange();
      while (true) {
        CAPI_ASSIGN_OR_RETURN(pn_event_t* const event, connection->NextEvent());
        if (event == nullptr) break;
        if (pn_event_type(event) == PN_DELIVERY) Drop(link, pn_event_delivery(event));
      }
      if (pn_link_credit(link) > 0) {
        connection->Wait(nullptr, 1000);
      } else if (pn_link_drained(link) > 0) {
        return Status::OK();  // it has fewer than were asked for
      } else {
        pn_link_drain(link, kAtOnce);
      }
    }
    return UnavailableError("broker: queue " + options_.address + " is not empty after " +
                            std::to_string(options_.publish_timeout_ms) + " ms");
  }

 private:
  static void Drop(pn_link_t* link, pn_delivery_t* delivery) {
    if (!pn_delivery_readable(delivery)) return;
    std::array<char, 16384> piece;
    while (pn_link_recv(link, piece.data(), piece.size()) > 0) {
    }
    if (pn_delivery_partial(delivery)) return;
    pn_link_advance(link);
    pn_delivery_update(delivery, PN_ACCEPTED);
    pn_delivery_settle(delivery);
  }

  Env* const env_;
  const Amqp10Options options_;
  const AmqpAddress address_;
  Outbox outbox_;
  Amqp10Consumer consumer_;
};

Status CheckOptions(const Amqp10Options& options) {
  const auto wrong = [](const std::string& what) {
    return UserError("bad_option", "broker: " + what);
  };
  if (options.address.empty()) return wrong("the address of the queue must not be empty");
  if (options.connect_timeout_ms < 1 || options.publish_timeout_ms < 1) {
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

Result<std::unique_ptr<Broker>> NewAmqp10Broker(Env* env, Amqp10Options options) {
  CAPI_ASSIGN_OR_RETURN(const AmqpAddress address, ParseAmqpAddress(options.url));
  CAPI_RETURN_NOT_OK(CheckOptions(options));
  auto broker = std::make_unique<Amqp10Broker>(env, options, address);
  if (options.prefetch != 0) CAPI_RETURN_NOT_OK(broker->SetPrefetch(options.prefetch));
  return broker;
}

}  // namespace capi::queue
