#include <proton/disposition.h>

#include <array>
#include <utility>

#include "capi/base/log.h"
#include "capi/queue/amqp10/consumer_internal.h"
#include "capi/queue/amqp10/message_internal.h"

namespace capi::queue {

namespace {

constexpr int64_t kIdleMillis = 60000;
/// Of a message with its header and properties.
constexpr size_t kMostEncodedBytes = kMaxMessageBytes + 4096;

void Finish(pn_delivery_t* delivery, uint64_t state) {
  pn_delivery_update(delivery, state);
  pn_delivery_settle(delivery);
}

}  // namespace

Amqp10Consumer::Amqp10Consumer(Env* env, Amqp10Options options, AmqpAddress address)
    : env_(env),
      options_(std::move(options)),
      address_(std::move(address)),
      inbox_(&wake_),
      pause_(env, options_.first_pause_ms, options_.longest_pause_ms) {}

Amqp10Consumer::~Amqp10Consumer() {
  inbox_.Stop();
  if (thread_.joinable()) thread_.join();
}

Status Amqp10Consumer::SetPrefetch(int64_t messages) {
  CAPI_RETURN_NOT_OK(inbox_.SetPrefetch(messages));
  const std::lock_guard lock(starting_);
  if (messages > 0 && !thread_.joinable()) thread_ = std::thread([this] { Run(); });
  return Status::OK();
}

void Amqp10Consumer::Run() {
  while (true) {
    const Status ended = Session();
    inbox_.Lost(ended);
    if (inbox_.stopping() || inbox_.Pause(pause_.NextMillis())) return;
  }
}

Status Amqp10Consumer::Session() {
  CAPI_ASSIGN_OR_RETURN(const auto connection,
                        Amqp10Connection::Open(env_, options_, address_, "consumer"));
  CAPI_ASSIGN_OR_RETURN(link_, connection->OpenReceiver(options_.address));
  draining_ = false;
  oversized_ = false;
  incoming_.clear();
  deliveries_.clear();
  next_delivery_ = 1;
  inbox_.Connected();
  pause_.Reset();
  return Serve(connection.get());
}

Status Amqp10Consumer::Serve(Amqp10Connection* connection) {
  while (true) {
    // Asked before: verdicts that were given before the end are sent.
    const bool stopping = inbox_.stopping();
    SendAnswers();
    if (stopping) return Status::OK();
    Tune();
    connection->Exchange();
    bool busy = false;
    while (true) {
      CAPI_ASSIGN_OR_RETURN(pn_event_t* const event, connection->NextEvent());
      if (event == nullptr) break;
      busy = true;
      if (pn_event_type(event) == PN_DELIVERY) ReadDelivery(pn_event_delivery(event));
    }
    if (!busy) connection->Wait(&wake_, kIdleMillis);
  }
}

void Amqp10Consumer::SendAnswers() {
  for (const auto& [number, answer] : inbox_.TakeAnswers()) {
    const auto found = deliveries_.find(number);
    if (found == deliveries_.end()) continue;
    const bool reject = answer == Inbox::Answer::kAgain && options_.retry == Amqp10Retry::kReject;
    Finish(found->second, answer == Inbox::Answer::kDone ? PN_ACCEPTED
                          : reject                       ? PN_REJECTED
                                                         : PN_RELEASED);
    deliveries_.erase(found);
  }
}

void Amqp10Consumer::Tune() {
  if (draining_) {
    if (pn_link_credit(link_) > 0) return;
    pn_link_set_drain(link_, false);
    pn_link_drained(link_);
    draining_ = false;
    inbox_.Recheck();
  }
  const auto demand = inbox_.TakeDemand();
  if (!demand) return;
  const int64_t missing = demand->prefetch - demand->held - pn_link_credit(link_);
  if (missing > 0) {
    pn_link_flow(link_, static_cast<int>(missing));
  } else if (missing < 0 && pn_link_credit(link_) > 0) {
    pn_link_set_drain(link_, true);
    draining_ = true;
  }
}

void Amqp10Consumer::ReadDelivery(pn_delivery_t* delivery) {
  if (pn_delivery_aborted(delivery)) {
    incoming_.clear();
    oversized_ = false;
    pn_delivery_settle(delivery);
    inbox_.Recheck();
    return;
  }
  if (!pn_delivery_readable(delivery)) return;
  std::array<char, 16384> piece;
  while (true) {
    const ssize_t count = pn_link_recv(link_, piece.data(), piece.size());
    if (count <= 0) break;
    oversized_ = oversized_ || incoming_.size() + static_cast<size_t>(count) > kMostEncodedBytes;
    if (!oversized_) incoming_.append(piece.data(), static_cast<size_t>(count));
  }
  if (!pn_delivery_partial(delivery)) FinishMessage(delivery);
}

void Amqp10Consumer::FinishMessage(pn_delivery_t* delivery) {
  pn_link_advance(link_);
  const std::string encoded = std::exchange(incoming_, {});
  const bool oversized = std::exchange(oversized_, false);
  const auto bad = [](const char* what) {
    return UserError("bad_message", std::string("batch message: ") + what);
  };
  Result<BatchMessage> message = bad("it is too long");
  bool redelivered = false;
  if (!oversized) {
    auto content = DecodeAmqp10Message(encoded);
    message = content ? BatchMessageFromJson(content->body)
                      : Result<BatchMessage>(bad("it has no data or text as its body"));
    redelivered = content && content->redelivered;
  }
  if (!message.ok()) {
    LogWarn("broker: dropped a message of queue " + options_.address + ": " +
            Describe(message.status()));
    Finish(delivery, PN_ACCEPTED);
    inbox_.Recheck();
    return;
  }
  const uint64_t number = next_delivery_++;
  deliveries_[number] = delivery;
  inbox_.Arrived(number, std::move(*message), redelivered, 0, env_->MonotonicNanos());
}

}  // namespace capi::queue
