#pragma once

// The publishing half of a broker object.

#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/outbox_internal.h"
#include "capi/queue/rabbitmq/connection_internal.h"
#include "capi/queue/rabbitmq/topology_internal.h"

namespace capi::queue {

/// A channel in confirm mode. Messages are mandatory: one without a queue comes back.
class RabbitMqPublishChannel final : public PublishChannel {
 public:
  RabbitMqPublishChannel(Env* env, RabbitMqOptions options, AmqpAddress address);

  Status Open() override;
  void Close() override;
  Status Declare() override;
  bool MaySend(size_t unconfirmed) override;
  Status Send(uint64_t sequence, const std::string& body) override;
  Result<bool> HandleInput(std::vector<Confirmation>* confirmations) override;
  Status Wait(const WakeEvent& wake, int64_t timeout_ms) override;
  std::string Obstacle() override;

 private:
  Status HandleFrame(const amqp_frame_t& frame, std::vector<Confirmation>* confirmations);
  Status HandleMethod(const amqp_method_t& method, std::vector<Confirmation>* confirmations);

  Env* const env_;
  const RabbitMqOptions options_;
  const AmqpAddress address_;
  const RabbitMqRoute route_;
  std::unique_ptr<RabbitMqConnection> connection_;
  bool returning_ = false;  // the header of a returned message comes next
  bool blocked_ = false;    // by the server: memory or disk alarm
};

}  // namespace capi::queue
