#include <proton/disposition.h>

#include <array>
#include <cstring>
#include <utility>

#include "capi/queue/amqp10/message_internal.h"
#include "capi/queue/amqp10/publisher_internal.h"

namespace capi::queue {

namespace {

/// Unconfirmed messages, besides the credit that the server gives.
constexpr size_t kWindow = 256;

}  // namespace

Amqp10PublishChannel::Amqp10PublishChannel(Env* env, Amqp10Options options, AmqpAddress address)
    : env_(env), options_(std::move(options)), address_(std::move(address)) {}

Status Amqp10PublishChannel::Open() {
  CAPI_ASSIGN_OR_RETURN(connection_, Amqp10Connection::Open(env_, options_, address_, "publisher"));
  CAPI_ASSIGN_OR_RETURN(link_, connection_->OpenSender(options_.address));
  return Status::OK();
}

void Amqp10PublishChannel::Close() {
  sequences_.clear();
  link_ = nullptr;
  connection_.reset();
}

// Nothing is declared by this protocol: the queue is there again or not.
Status Amqp10PublishChannel::Declare() { return Status::OK(); }

bool Amqp10PublishChannel::MaySend(size_t unconfirmed) {
  return unconfirmed < kWindow && pn_link_credit(link_) > 0;
}

Status Amqp10PublishChannel::Send(uint64_t sequence, const std::string& body) {
  const std::string encoded = EncodeAmqp10Message(body);
  std::array<char, sizeof(sequence)> tag;
  std::memcpy(tag.data(), &sequence, sizeof(sequence));
  pn_delivery_t* const delivery = pn_delivery(link_, pn_dtag(tag.data(), tag.size()));
  pn_link_send(link_, encoded.data(), encoded.size());
  pn_link_advance(link_);
  sequences_[delivery] = sequence;
  return Status::OK();
}

Result<bool> Amqp10PublishChannel::HandleInput(std::vector<Confirmation>* confirmations) {
  bool busy = false;
  connection_->Exchange();
  while (true) {
    CAPI_ASSIGN_OR_RETURN(pn_event_t* const event, connection_->NextEvent());
    if (event == nullptr) return busy;
    busy = true;
    if (pn_event_type(event) == PN_DELIVERY) {
      HandleDisposition(pn_event_delivery(event), confirmations);
    }
  }
}

void Amqp10PublishChannel::HandleDisposition(pn_delivery_t* delivery,
                                             std::vector<Confirmation>* confirmations) {
  const auto found = sequences_.find(delivery);
  const uint64_t state = pn_delivery_remote_state(delivery);
  if (found == sequences_.end() || (state < PN_ACCEPTED && !pn_delivery_settled(delivery))) return;
  using Outcome = Confirmation::Outcome;
  const uint64_t sequence = found->second;
  // Released: RabbitMQ has no queue for it. It was taken as far as this connection is concerned.
  if (state == PN_RELEASED) confirmations->push_back({sequence, false, Outcome::kReturned});
  const bool taken = state == PN_ACCEPTED || state == PN_RELEASED;
  confirmations->push_back({sequence, false, taken ? Outcome::kTaken : Outcome::kRefused});
  sequences_.erase(found);
  pn_delivery_settle(delivery);
}

Status Amqp10PublishChannel::Wait(const WakeEvent& wake, int64_t timeout_ms) {
  connection_->Wait(&wake, timeout_ms);
  return Status::OK();
}

std::string Amqp10PublishChannel::Obstacle() {
  return pn_link_credit(link_) > 0
             ? ""
             : "the server lets nothing more be sent (its memory or disk may be full)";
}

}  // namespace capi::queue
