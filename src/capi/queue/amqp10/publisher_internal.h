#pragma once

// The publishing half of a broker object.

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/amqp10/connection_internal.h"
#include "capi/queue/outbox_internal.h"

namespace capi::queue {

/// A link to the queue; its dispositions are the confirmations.
class Amqp10PublishChannel final : public PublishChannel {
 public:
  Amqp10PublishChannel(Env* env, Amqp10Options options, AmqpAddress address);

  Status Open() override;
  void Close() override;
  Status Declare() override;
  bool MaySend(size_t unconfirmed) override;
  Status Send(uint64_t sequence, const std::string& body) override;
  Result<bool> HandleInput(std::vector<Confirmation>* confirmations) override;
  Status Wait(const WakeEvent& wake, int64_t timeout_ms) override;
  std::string Obstacle() override;

 private:
  void HandleDisposition(pn_delivery_t* delivery, std::vector<Confirmation>* confirmations);

  Env* const env_;
  const Amqp10Options options_;
  const AmqpAddress address_;
  std::unique_ptr<Amqp10Connection> connection_;
  pn_link_t* link_ = nullptr;
  std::unordered_map<pn_delivery_t*, uint64_t> sequences_;
};

}  // namespace capi::queue
