#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "capi/base/log.h"
#include "capi/queue/rabbitmq/consumer_internal.h"

namespace capi::queue {

namespace {

constexpr int64_t kNanosPerMilli = 1000000;
constexpr int kTagBits = 40;
constexpr int64_t kIdleMillis = 60000;
constexpr int kMostFramesAtOnce = 1024;
/// Idle checks until an idle connection is replaced.
constexpr int64_t kMostIdleChecks = 12;

}  // namespace

RabbitMqConsumer::RabbitMqConsumer(Env* env, RabbitMqOptions options, AmqpAddress address)
    : env_(env),
      options_(std::move(options)),
      address_(std::move(address)),
      route_(RouteOf(options_)),
      pause_(env, options_.first_pause_ms, options_.longest_pause_ms) {}

RabbitMqConsumer::~RabbitMqConsumer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  wake_.Set();
  if (thread_.joinable()) thread_.join();
}

Result<std::optional<Delivery>> RabbitMqConsumer::Receive(int64_t timeout_ms) {
  std::unique_lock lock(mutex_);
  // What cannot get better by waiting is told at once; for a broker that is away the caller's time
  // is waited, which keeps its loop from spinning.
  changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] {
    return !buffered_.empty() ||
           (!connected_ && !failure_.ok() && KindOf(failure_) != ErrorKind::kRetriable);
  });
  if (!buffered_.empty()) {
    Delivery delivery = std::move(buffered_.front());
    buffered_.pop_front();
    return delivery;
  }
  if (!connected_ && prefetch_ > 0 && !failure_.ok()) return failure_;
  return std::nullopt;
}

Result<std::optional<BatchMessage>> RabbitMqConsumer::Settle(uint64_t tag, Verdict verdict) {
  const std::lock_guard lock(mutex_);
  const auto early = settled_early_.find(tag);
  if (early != settled_early_.end()) {
    std::optional<BatchMessage> again;
    if (verdict == Verdict::kAgain) again = std::move(early->second);
    settled_early_.erase(early);
    return again;
  }
  const auto found = held_.find(tag);
  if (found == held_.end()) {
    if (tag >> kTagBits < generation_) return std::nullopt;
    return BugError("broker: a delivery is settled that is not held: tag " + std::to_string(tag));
  }
  held_.erase(found);
  const Answer again = route_.again_requeues ? Answer::kGiveBack : Answer::kReject;
  answers_.emplace_back(tag & ((uint64_t{1} << kTagBits) - 1),
                        verdict == Verdict::kDone ? Answer::kAck : again);
  tune_ = true;
  wake_.Set();
  return std::nullopt;
}

Status RabbitMqConsumer::SetPrefetch(int64_t messages) {
  constexpr int64_t kMost = 65535;  // of basic.qos
  if (messages < 0 || messages > kMost) {
    return BugError("broker: the prefetch number must be between 0 and 65535: " +
                    std::to_string(messages));
  }
  {
    const std::lock_guard lock(mutex_);
    lowered_ = lowered_ || messages < prefetch_;
    prefetch_ = messages;
    tune_ = true;
    GiveBackAbove(messages);
    if (messages > 0 && !thread_.joinable()) thread_ = std::thread([this] { Run(); });
  }
  changed_.notify_all();
  wake_.Set();
  return Status::OK();
}

void RabbitMqConsumer::GiveBackAbove(int64_t messages) {
  while (!buffered_.empty() && static_cast<int64_t>(held_.size()) > messages) {
    const uint64_t tag = buffered_.back().tag;
    buffered_.pop_back();
    held_.erase(tag);
    answers_.emplace_back(tag & ((uint64_t{1} << kTagBits) - 1), Answer::kGiveBack);
  }
}

uint64_t RabbitMqConsumer::TagOf(uint64_t delivery_tag) const {
  return generation_ << kTagBits | delivery_tag;
}

void RabbitMqConsumer::Run() {
  while (true) {
    const Status ended = Session();
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    if (KindOf(ended) == ErrorKind::kCancelled) continue;
    const int64_t pause = std::max(pause_.NextMillis(), queue_deleted_ ? kDeletedPauseMillis : 0);
    queue_deleted_ = false;
    changed_.wait_for(lock, std::chrono::milliseconds(pause), [this] { return stopping_; });
    if (stopping_) return;
  }
}

Status RabbitMqConsumer::Session() {
  auto opened = RabbitMqConnection::Open(env_, options_, address_, "consumer");
  Status status = opened.ok() ? DeclareTopology(opened->get(), options_) : opened.status();
  if (status.ok()) {
    {
      const std::lock_guard lock(mutex_);
      connected_ = true;
      failure_ = Status::OK();
      if (failures_ > 0) LogInfo("broker: connected again");
      failures_ = 0;
      tune_ = true;
    }
    idle_since_nanos_ = env_->MonotonicNanos();
    pause_.Reset();
    status = Serve(opened->get());
  }
  // Not a trouble: CheckService wants a fresh one.
  LoseConnection(KindOf(status) == ErrorKind::kCancelled ? Status::OK() : status);
  return status;
}

void RabbitMqConsumer::LoseConnection(const Status& error) {
  {
    const std::lock_guard lock(mutex_);
    connected_ = false;
    failure_ = error;
    if (!stopping_ && !error.ok() && failures_++ == 0) {
      LogWarn("broker: not consuming until it answers again: " + Describe(error));
    }
    ++generation_;
    buffered_.clear();
    held_.clear();
    settled_early_.clear();
    answers_.clear();
    lowered_ = false;
  }
  subscriptions_.clear();
  incoming_.reset();
  was_ready_ = false;
  changed_.notify_all();
}

Status RabbitMqConsumer::Serve(RabbitMqConnection* connection) {
  while (true) {
    CAPI_RETURN_NOT_OK(SendAnswers(connection));
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return Status::OK();
    }
    CAPI_RETURN_NOT_OK(Tune(connection));
    SettleEarly(*connection);
    CAPI_ASSIGN_OR_RETURN(const bool busy, HandleFrames(connection));
    if (!busy) {
      CAPI_RETURN_NOT_OK(CheckService(connection));
      const int64_t early =
          options_.early_settle_ms > 0 ? options_.early_settle_ms / 4 + 1 : kIdleMillis;
      CAPI_RETURN_NOT_OK(connection->Wait(wake_, std::min(options_.idle_check_ms, early)));
    }
  }
}

Status RabbitMqConsumer::SendAnswers(RabbitMqConnection* connection) {
  std::vector<std::pair<uint64_t, Answer>> answers;
  {
    const std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }
  for (const auto& [delivery_tag, answer] : answers) {
    CAPI_RETURN_NOT_OK(SendAnswer(connection, delivery_tag, answer));
  }
  return Status::OK();
}

Status RabbitMqConsumer::SendAnswer(RabbitMqConnection* connection, uint64_t delivery_tag,
                                    Answer answer) {
  const int status = answer == Answer::kAck
                         ? amqp_basic_ack(connection->raw(), kChannel, delivery_tag, 0)
                         : amqp_basic_reject(connection->raw(), kChannel, delivery_tag,
                                             answer == Answer::kGiveBack ? 1 : 0);
  return connection->Sent(status, "connection lost");
}

Status RabbitMqConsumer::Tune(RabbitMqConnection* connection) {
  bool lowered = false;
  {
    const std::lock_guard lock(mutex_);
    if (!tune_) return Status::OK();
    tune_ = false;
    std::swap(lowered, lowered_);
  }
  if (lowered) CAPI_RETURN_NOT_OK(CancelSubscriptions(connection));
  int64_t credit = 0;
  {
    const std::lock_guard lock(mutex_);
    credit = prefetch_;
    std::unordered_map<uint64_t, int64_t> unsettled;  // of cancelled ones
    for (const auto& [name, subscription] : subscriptions_) {
      if (subscription.active) {
        credit -= subscription.credit;
      } else {
        unsettled[name] = 0;
      }
    }
    if (!unsettled.empty()) {
      for (const auto& [tag, held] : held_) {
        const auto found = unsettled.find(held.subscription);
        if (found != unsettled.end()) ++found->second;
      }
      for (const auto& [name, count] : unsettled) {
        credit -= count;
        if (count == 0) subscriptions_.erase(name);
      }
    }
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
  const int64_t latest = now - options_.early_settle_ms * kNanosPerMilli;
  const std::lock_guard lock(mutex_);
  while (!buffered_.empty()) {
    const uint64_t tag = buffered_.front().tag;
    if (held_.at(tag).arrived_nanos > latest) break;
    answers_.emplace_back(tag & ((uint64_t{1} << kTagBits) - 1), Answer::kGiveBack);
    held_.erase(tag);
    buffered_.pop_front();
  }
  for (auto held = held_.begin(); held != held_.end();) {
    if (held->second.arrived_nanos > latest) {
      ++held;
      continue;
    }
    answers_.emplace_back(held->first & ((uint64_t{1} << kTagBits) - 1), Answer::kAck);
    settled_early_.emplace(held->first, std::move(held->second.message));
    held = held_.erase(held);
  }
  if (answers_.empty()) return;
  tune_ = true;
  wake_.Set();
}

Status RabbitMqConsumer::CheckService(RabbitMqConnection* connection) {
  const int64_t now = env_->MonotonicNanos();
  bool hungry = false;
  bool empty = false;
  {
    const std::lock_guard lock(mutex_);
    hungry = static_cast<int64_t>(held_.size()) < prefetch_;
    empty = held_.empty();
  }
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
    return SendAnswer(connection, incoming.delivery_tag, Answer::kAck);
  }
  {
    const std::lock_guard lock(mutex_);
    if (static_cast<int64_t>(held_.size()) >= prefetch_) {
      // On the way already when the number was lowered.
      answers_.emplace_back(incoming.delivery_tag, Answer::kGiveBack);
      tune_ = true;
      return Status::OK();
    }
    const uint64_t tag = TagOf(incoming.delivery_tag);
    held_[tag] = {*message, incoming.subscription, env_->MonotonicNanos()};
    buffered_.push_back({std::move(*message), tag, incoming.redelivered});
  }
  changed_.notify_one();
  return Status::OK();
}

}  // namespace capi::queue
