#include <charconv>
#include <utility>

#include "capi/base/log.h"
#include "capi/queue/rabbitmq/publisher_internal.h"

namespace capi::queue {

namespace {

/// Unconfirmed messages. More make RabbitMQ slower, not faster (docs/design/queue.md).
constexpr size_t kWindow = 256;

}  // namespace

RabbitMqPublishChannel::RabbitMqPublishChannel(Env* env, RabbitMqOptions options,
                                               AmqpAddress address)
    : env_(env),
      options_(std::move(options)),
      address_(std::move(address)),
      route_(RouteOf(options_)) {}

Status RabbitMqPublishChannel::Open() {
  CAPI_ASSIGN_OR_RETURN(connection_,
                        RabbitMqConnection::Open(env_, options_, address_, "publisher"));
  CAPI_RETURN_NOT_OK(Declare());
  // The server counts messages from now on, as the outbox does.
  amqp_confirm_select(connection_->raw(), kChannel);
  return connection_->LastReply("cannot ask for confirmations");
}

void RabbitMqPublishChannel::Close() {
  connection_.reset();
  returning_ = false;
  blocked_ = false;
}

Status RabbitMqPublishChannel::Declare() { return DeclareTopology(connection_.get(), options_); }

bool RabbitMqPublishChannel::MaySend(size_t unconfirmed) { return unconfirmed < kWindow; }

Status RabbitMqPublishChannel::Send(uint64_t sequence, const std::string& body) {
  // By its id a returned message is known.
  const std::string id = std::to_string(sequence);
  amqp_basic_properties_t properties = {};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
  properties.content_type = Bytes("text/plain");
  properties.message_id = Bytes(id);
  if (route_.persistent) {
    properties._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
  }
  return connection_->Sent(amqp_basic_publish(connection_->raw(), kChannel, Bytes(route_.exchange),
                                              Bytes(route_.routing_key), /*mandatory=*/1,
                                              /*immediate=*/0, &properties, Bytes(body)),
                           "cannot publish");
}

Result<bool> RabbitMqPublishChannel::HandleInput(std::vector<Confirmation>* confirmations) {
  bool busy = false;
  amqp_frame_t frame;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool arrived, connection_->NextFrame(&frame));
    if (!arrived) return busy;
    busy = true;
    const Status handled = HandleFrame(frame, confirmations);
    connection_->ReleaseFrame();
    CAPI_RETURN_NOT_OK(handled);
  }
}

Status RabbitMqPublishChannel::HandleFrame(const amqp_frame_t& frame,
                                           std::vector<Confirmation>* confirmations) {
  if (frame.frame_type == AMQP_FRAME_METHOD) {
    return HandleMethod(frame.payload.method, confirmations);
  }
  if (frame.frame_type == AMQP_FRAME_HEADER && returning_) {
    returning_ = false;
    const auto* properties =
        static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
    const std::string_view id = View(properties->message_id);
    uint64_t sequence = 0;
    std::from_chars(id.data(), id.data() + id.size(), sequence);
    confirmations->push_back({sequence, false, Confirmation::Outcome::kReturned});
  }
  return Status::OK();
}

Status RabbitMqPublishChannel::HandleMethod(const amqp_method_t& method,
                                            std::vector<Confirmation>* confirmations) {
  switch (method.id) {
    case AMQP_BASIC_ACK_METHOD: {
      const auto* ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
      confirmations->push_back(
          {ack->delivery_tag, ack->multiple != 0, Confirmation::Outcome::kTaken});
      return Status::OK();
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto* nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
      confirmations->push_back(
          {nack->delivery_tag, nack->multiple != 0, Confirmation::Outcome::kRefused});
      return Status::OK();
    }
    case AMQP_BASIC_RETURN_METHOD:
      returning_ = true;
      return Status::OK();
    case AMQP_CONNECTION_BLOCKED_METHOD:
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
      blocked_ = method.id == AMQP_CONNECTION_BLOCKED_METHOD;
      if (blocked_) LogWarn("broker: it is short of memory or disk space and blocks publishers");
      return Status::OK();
    default:
      return connection_->ErrorOfMethod(method);
  }
}

Status RabbitMqPublishChannel::Wait(const WakeEvent& wake, int64_t timeout_ms) {
  return connection_->Wait(wake, timeout_ms);
}

std::string RabbitMqPublishChannel::Obstacle() {
  return blocked_ ? "the server is short of memory or disk space and blocks publishers" : "";
}

}  // namespace capi::queue
