#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "capi/base/log.h"
#include "capi/base/time_units.h"
#include "capi/queue/broker_errors_internal.h"
#include "capi/queue/outbox_internal.h"
#include "capi/queue/rabbitmq/consumer_internal.h"

namespace capi::queue {

namespace {

constexpr int64_t kIdleWaitMillis = 60000;
constexpr int kMostFramesAtOnce = 1024;
/// Idle checks until an idle connection is replaced.
constexpr int64_t kMostIdleChecks = 12;

}  // namespace

RabbitMqConsumer::RabbitMqConsumer(Env* env, RabbitMqOptions options, AmqpAddress address)
    : env_(env),
      options_(std::move(options)),
      address_(std::move(address)),
      route_(RouteOf(options_)),
      inbox_(&wake_),
      pause_(env, options_.first_pause_ms, options_.longest_pause_ms) {}

RabbitMqConsumer::~RabbitMqConsumer() {
  inbox_.Stop();
  if (thread_.joinable()) thread_.join();
}

Status RabbitMqConsumer::SetPrefetch(int64_t messages) {
  CAPI_RETURN_NOT_OK(inbox_.SetPrefetch(messages));
  const std::lock_guard lock(starting_);
  if (messages > 0 && !thread_.joinable()) thread_ = std::thread([this] { Run(); });
  return Status::OK();
}

void RabbitMqConsumer::Run() {
  while (true) {
    const Status ended = Session();
    if (inbox_.stopping()) return;
    if (KindOf(ended) == ErrorKind::kCancelled) continue;
    const int64_t pause = std::max(pause_.NextMillis(), queue_deleted_ ? kDeletedPauseMillis : 0);
    queue_deleted_ = false;
    if (inbox_.Pause(pause)) return;
  }
}

Status RabbitMqConsumer::Session() {
  auto opened = RabbitMqConnection::Open(env_, options_, address_, "consumer");
  Status status = opened.ok() ? DeclareTopology(opened->get(), options_) : opened.status();
  if (status.ok()) {
    inbox_.Connected();
    idle_since_nanos_ = env_->MonotonicNanos();
    pause_.Reset();
    status = Serve(opened->get());
  }
  // Not a trouble: CheckService wants a fresh one.
  LoseConnection(KindOf(status) == ErrorKind::kCancelled ? Status::OK() : status);
  return status;
}

void RabbitMqConsumer::LoseConnection(const Status& error) {
  inbox_.Lost(error);
  subscriptions_.clear();
  incoming_.reset();
  was_ready_ = false;
}

Status RabbitMqConsumer::Serve(RabbitMqConnection* connection) {
  while (true) {
    // Asked before: verdicts that were given before the end are sent.
    const bool stopping = inbox_.stopping();
    CAPI_RETURN_NOT_OK(SendAnswers(connection));
    if (stopping) return Status::OK();
    CAPI_RETURN_NOT_OK(Tune(connection));
    SettleEarly(*connection);
    CAPI_ASSIGN_OR_RETURN(const bool busy, HandleFrames(connection));
    if (!busy) {
      CAPI_RETURN_NOT_OK(CheckService(connection));
      const int64_t early =
          options_.early_settle_ms > 0 ? options_.early_settle_ms / 4 + 1 : kIdleWaitMillis;
      CAPI_RETURN_NOT_OK(connection->Wait(wake_, std::min(options_.idle_check_ms, early)));
    }
  }
}

Status RabbitMqConsumer::SendAnswers(RabbitMqConnection* connection) {
  for (const auto& [delivery_tag, answer] : inbox_.TakeAnswers()) {
    CAPI_RETURN_NOT_OK(SendAnswer(connection, delivery_tag, answer));
  }
  return Status::OK();
}

Status RabbitMqConsumer::SendAnswer(RabbitMqConnection* connection, uint64_t delivery_tag,
                                    Inbox::Answer answer) {
  const bool requeue = answer == Inbox::Answer::kGiveBack || route_.again_requeues;
  const int status =
      answer == Inbox::Answer::kDone
          ? amqp_basic_ack(connection->raw(), kChannel, delivery_tag, 0)
          : amqp_basic_reject(connection->raw(), kChannel, delivery_tag, requeue ? 1 : 0);
  return connection->Sent(status, "connection lost");
}

Status RabbitMqConsumer::Tune(RabbitMqConnection* connection) {
  const auto demand = inbox_.TakeDemand();
  if (!demand) return Status::OK();
  if (demand->lowered) CAPI_RETURN_NOT_OK(CancelSubscriptions(connection));
  int64_t credit = demand->prefetch;
  const auto held = inbox_.HeldBySubscription();
  for (auto it = subscriptions_.begin(); it != subscriptions_.end();) {
    const auto found = held.find(it->first);
    const int64_t unsettled = found == held.end() ? 0 : found->second;
    credit -= it->second.active ? it->second.credit : unsettled;
    it = it->second.active || unsettled > 0 ? std::next(it) : subscriptions_.erase(it);
  }
  return credit > 0 ? Subscribe(connection, credit) : Status::OK();
}

Status RabbitMqConsumer::CancelSubscriptions(RabbitMqConnection* connection) {
  for (auto& [name, subscription] : subscriptions_) {
    if (!subscription.active) continue;
    amqp_basic_cancel(connection->raw(), kChannel, Bytes(std::to_string(name)));
    CAPI_RETURN_NOT_OK(connection->LastReply("cannot cancel a consumer"));
    subscription.active = false;
  }
  return Status::OK();
}

Status RabbitMqConsumer::Subscribe(RabbitMqConnection* connection, int64_t credit) {
  amqp_basic_qos(connection->raw(), kChannel, 0, static_cast<uint16_t>(credit), /*global=*/0);
  CAPI_RETURN_NOT_OK(connection->LastReply("cannot set the prefetch number"));
  const uint64_t name = next_subscription_++;
  amqp_basic_consume(connection->raw(), kChannel, Bytes(route_.queue), Bytes(std::to_string(name)),
                     /*no_local=*/0, /*no_ack=*/0, /*exclusive=*/0, amqp_empty_table);
  CAPI_RETURN_NOT_OK(connection->LastReply("cannot consume from queue " + route_.queue));
  subscriptions_[name] = {credit, true};
  return Status::OK();
}

void RabbitMqConsumer::SettleEarly(const RabbitMqConnection& connection) {
  if (options_.topology != RabbitMqTopology::kOwn || options_.early_settle_ms <= 0 ||
      connection.IsAtLeast(3, 12)) {
    return;
  }
  const int64_t now = env_->MonotonicNanos();
  if (now < next_early_check_nanos_) return;
  next_early_check_nanos_ = now + options_.early_settle_ms * kNanosPerMilli / 8;
  inbox_.SettleOlderThan(now - options_.early_settle_ms * kNanosPerMilli);
}

Status RabbitMqConsumer::CheckService(RabbitMqConnection* connection) {
  const int64_t now = env_->MonotonicNanos();
  const Inbox::Demand demand = inbox_.demand();
  const bool hungry = demand.held < demand.prefetch;
  const bool empty = demand.held == 0;
  if (!hungry) checked_nanos_ = now;
  if (!hungry || !empty) idle_since_nanos_ = now;
  if (now - std::max(idle_since_nanos_, arrived_nanos_) >
      kMostIdleChecks * options_.idle_check_ms * kNanosPerMilli) {
    return CancelledError("broker: idle");
  }
  if (now - std::max(checked_nanos_, arrived_nanos_) < options_.idle_check_ms * kNanosPerMilli) {
    return Status::OK();
  }
  const bool checked_before = checked_nanos_ > arrived_nanos_ && was_ready_;
  amqp_queue_declare(connection->raw(), kChannel, Bytes(route_.queue), /*passive=*/1, /*durable=*/0,
                     /*exclusive=*/0, /*auto_delete=*/0, amqp_empty_table);
  amqp_rpc_reply_t reply;
  CAPI_RETURN_NOT_OK(connection->LastReply("cannot see queue " + route_.queue, &reply));
  const auto* queue = static_cast<const amqp_queue_declare_ok_t*>(reply.reply.decoded);
  was_ready_ = queue->message_count > 0;
  checked_nanos_ = env_->MonotonicNanos();
  // Messages that were ready then may have been on their way, or gone to others.
  if (was_ready_ && checked_before && !amqp_frames_enqueued(connection->raw())) {
    return UnavailableError("broker: queue " + route_.queue +
                            " has messages but delivers none to this consumer");
  }
  return Status::OK();
}

Result<bool> RabbitMqConsumer::HandleFrames(RabbitMqConnection* connection) {
  bool busy = false;
  amqp_frame_t frame;
  for (int i = 0; i < kMostFramesAtOnce; ++i) {
    CAPI_ASSIGN_OR_RETURN(const bool arrived, connection->NextFrame(&frame));
    if (!arrived) return busy;
    busy = true;
    const Status handled = HandleFrame(connection, frame);
    connection->ReleaseFrame();
    CAPI_RETURN_NOT_OK(handled);
  }
  return busy;
}

Status RabbitMqConsumer::HandleFrame(RabbitMqConnection* connection, const amqp_frame_t& frame) {
  if (frame.frame_type == AMQP_FRAME_METHOD) {
    return HandleMethod(connection, frame.payload.method);
  }
  if (!incoming_) return Status::OK();
  if (frame.frame_type == AMQP_FRAME_HEADER) {
    incoming_->has_header = true;
    incoming_->body_size = frame.payload.properties.body_size;
  } else if (frame.frame_type == AMQP_FRAME_BODY) {
    const std::string_view piece = View(frame.payload.body_fragment);
    incoming_->body_seen += piece.size();
    if (incoming_->body_size <= kMaxMessageBytes) incoming_->body += piece;
  }
  const bool complete = incoming_->has_header && incoming_->body_seen >= incoming_->body_size;
  return complete ? FinishMessage(connection) : Status::OK();
}

Status RabbitMqConsumer::HandleMethod(RabbitMqConnection* connection, const amqp_method_t& method) {
  if (method.id == AMQP_BASIC_DELIVER_METHOD) {
    arrived_nanos_ = env_->MonotonicNanos();
    const auto* deliver = static_cast<const amqp_basic_deliver_t*>(method.decoded);
    incoming_ = Incoming{};
    incoming_->delivery_tag = deliver->delivery_tag;
    const std::string_view name = View(deliver->consumer_tag);
    std::from_chars(name.data(), name.data() + name.size(), incoming_->subscription);
    incoming_->redelivered = deliver->redelivered != 0;
    return Status::OK();
  }
  if (method.id == AMQP_BASIC_CANCEL_METHOD) {
    // By the server: somebody has deleted the queue. The channel cannot be used again:
    // RabbitMQ 3.10 would lose deliveries of the new queue of that name in it.
    queue_deleted_ = true;
    return UnavailableError("broker: queue " + route_.queue + " was deleted");
  }
  return connection->ErrorOfMethod(method);
}

Status RabbitMqConsumer::FinishMessage(RabbitMqConnection* connection) {
  const Incoming incoming = std::move(*incoming_);
  incoming_.reset();
  auto message = incoming.body_size > kMaxMessageBytes
                     ? Result<BatchMessage>(UserError(
                           "bad_message", "batch message: it has " +
                                              std::to_string(incoming.body_size) + " bytes"))
                     : BatchMessageFromJson(incoming.body);
  if (!message.ok()) {
    LogWarn("broker: dropped a message of queue " + route_.queue + ": " +
            Describe(message.status()));
    return SendAnswer(connection, incoming.delivery_tag, Inbox::Answer::kDone);
  }
  inbox_.Arrived(incoming.delivery_tag, std::move(*message), incoming.redelivered,
                 incoming.subscription, env_->MonotonicNanos());
  return Status::OK();
}

}  // namespace capi::queue
