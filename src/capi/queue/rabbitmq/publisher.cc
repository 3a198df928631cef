#include <algorithm>
#include <charconv>
#include <chrono>
#include <numeric>
#include <utility>

#include "capi/base/log.h"
#include "capi/queue/rabbitmq/publisher_internal.h"

namespace capi::queue {

namespace {

constexpr int64_t kNanosPerMilli = 1000000;
constexpr int64_t kIdleMillis = 60000;
constexpr int64_t kRefusalPauseMillis = 100;  // doubled each time
constexpr int kMostRefusals = 6;
/// Unconfirmed messages. More make RabbitMQ slower, not faster (docs/design/queue.md).
constexpr size_t kWindow = 256;
/// Callers wait for a pause between attempts to connect; it must leave them time for the attempt.
constexpr int64_t kLongestPauseMillis = 2000;

}  // namespace

RabbitMqPublisher::RabbitMqPublisher(Env* env, RabbitMqOptions options, AmqpAddress address)
    : env_(env),
      options_(std::move(options)),
      address_(std::move(address)),
      route_(RouteOf(options_)),
      pause_(env, options_.first_pause_ms,
             std::min(options_.longest_pause_ms, kLongestPauseMillis)) {}

RabbitMqPublisher::~RabbitMqPublisher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  wake_.Set();
  if (thread_.joinable()) thread_.join();
}

Status RabbitMqPublisher::Publish(const std::vector<BatchMessage>& messages) {
  if (messages.empty()) return Status::OK();
  auto job = std::make_shared<Job>();
  for (const BatchMessage& message : messages) job->bodies.push_back(ToJson(message));
  job->unsent.resize(messages.size());
  std::iota(job->unsent.begin(), job->unsent.end(), 0);
  std::unique_lock lock(mutex_);
  waiting_.push_back(job);
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  changed_.notify_all();
  wake_.Set();
  changed_.wait_for(lock, std::chrono::milliseconds(options_.publish_timeout_ms),
                    [&job] { return job->ended; });
  if (job->ended) return job->status;
  job->abandoned = true;
  return UnavailableError("broker at " + address_.host + ":" + std::to_string(address_.port) +
                          ": not confirmed within " + std::to_string(options_.publish_timeout_ms) +
                          " ms" +
                          (blocked_ ? ", the server is short of memory or disk space and blocks "
                                      "publishers"
                                    : ""));
}

void RabbitMqPublisher::Run() {
  while (TakeJobs()) {
    if (connection_ == nullptr && !Connect()) continue;
    const Status status = Pump();
    if (!status.ok()) LoseConnection(status);
  }
  connection_.reset();
}

bool RabbitMqPublisher::TakeJobs() {
  std::unique_lock lock(mutex_);
  if (connection_ == nullptr && jobs_.empty()) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  }
  if (stopping_) return false;
  jobs_.insert(jobs_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  std::erase_if(jobs_, [](const JobPtr& job) { return job->abandoned; });
  return true;
}

bool RabbitMqPublisher::Connect() {
  {
    std::unique_lock lock(mutex_);
    const int64_t pause = no_attempt_before_nanos_ - env_->MonotonicNanos();
    changed_.wait_for(lock, std::chrono::nanoseconds(std::max<int64_t>(pause, 0)),
                      [this] { return stopping_; });
    if (stopping_) return false;
  }
  auto opened = RabbitMqConnection::Open(env_, options_, address_, "publisher");
  Status status = opened.ok() ? DeclareTopology(opened->get(), options_) : opened.status();
  if (status.ok()) {
    amqp_confirm_select((*opened)->raw(), kChannel);
    status = (*opened)->LastReply("cannot ask for confirmations");
  }
  if (!status.ok()) {
    no_attempt_before_nanos_ = env_->MonotonicNanos() + pause_.NextMillis() * kNanosPerMilli;
    EndOrRepeat(status);
    return false;
  }
  pause_.Reset();
  no_attempt_before_nanos_ = 0;
  connection_ = std::move(*opened);
  next_sequence_ = 1;
  return true;
}

Status RabbitMqPublisher::Pump() {
  CAPI_RETURN_NOT_OK(Send());
  bool busy = false;
  amqp_frame_t frame;
  while (true) {
    CAPI_ASSIGN_OR_RETURN(const bool arrived, connection_->NextFrame(&frame));
    if (!arrived) break;
    busy = true;
    const Status handled = HandleFrame(frame);
    connection_->ReleaseFrame();
    CAPI_RETURN_NOT_OK(handled);
  }
  CAPI_RETURN_NOT_OK(FinishJobs());
  if (busy) return Status::OK();
  int64_t wait = kIdleMillis;
  for (const JobPtr& job : jobs_) {
    const int64_t left = job->not_before_nanos - env_->MonotonicNanos();
    if (!job->unsent.empty() && job->unconfirmed == 0) {
      wait = std::clamp<int64_t>(left / kNanosPerMilli + 1, 0, wait);
    }
  }
  return connection_->Wait(wake_, wait);
}

Status RabbitMqPublisher::Send() {
  amqp_basic_properties_t properties = {};
  properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
  properties.content_type = Bytes("text/plain");
  if (route_.persistent) {
    properties._flags |= AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
  }
  const int64_t now = env_->MonotonicNanos();
  for (const JobPtr& job : jobs_) {
    if (job->not_before_nanos > now) continue;
    if (job->declare) CAPI_RETURN_NOT_OK(DeclareTopology(connection_.get(), options_));
    job->declare = false;
    while (!job->unsent.empty() && unconfirmed_.size() < kWindow) {
      const size_t index = job->unsent.front();
      // By its id a returned message is known.
      const std::string id = std::to_string(next_sequence_);
      properties.message_id = Bytes(id);
      CAPI_RETURN_NOT_OK(connection_->Sent(
          amqp_basic_publish(connection_->raw(), kChannel, Bytes(route_.exchange),
                             Bytes(route_.routing_key), /*mandatory=*/1, /*immediate=*/0,
                             &properties, Bytes(job->bodies[index])),
          "cannot publish"));
      job->unsent.pop_front();
      ++job->unconfirmed;
      unconfirmed_.emplace(next_sequence_++, std::pair(job, index));
    }
  }
  return Status::OK();
}

Status RabbitMqPublisher::HandleFrame(const amqp_frame_t& frame) {
  if (frame.frame_type == AMQP_FRAME_METHOD) return HandleMethod(frame.payload.method);
  if (frame.frame_type == AMQP_FRAME_HEADER && returning_) {
    returning_ = false;
    const auto* properties =
        static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded);
    const std::string_view id = View(properties->message_id);
    uint64_t sequence = 0;
    std::from_chars(id.data(), id.data() + id.size(), sequence);
    returned_.insert(sequence);
  }
  return Status::OK();
}

Status RabbitMqPublisher::HandleMethod(const amqp_method_t& method) {
  switch (method.id) {
    case AMQP_BASIC_ACK_METHOD: {
      const auto* ack = static_cast<const amqp_basic_ack_t*>(method.decoded);
      Confirmed(ack->delivery_tag, ack->multiple != 0, /*taken=*/true);
      return Status::OK();
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto* nack = static_cast<const amqp_basic_nack_t*>(method.decoded);
      Confirmed(nack->delivery_tag, nack->multiple != 0, /*taken=*/false);
      return Status::OK();
    }
    case AMQP_BASIC_RETURN_METHOD:
      returning_ = true;
      return Status::OK();
    case AMQP_CONNECTION_BLOCKED_METHOD:
    case AMQP_CONNECTION_UNBLOCKED_METHOD: {
      const std::lock_guard lock(mutex_);
      blocked_ = method.id == AMQP_CONNECTION_BLOCKED_METHOD;
      if (blocked_) LogWarn("broker: it is short of memory or disk space and blocks publishers");
      return Status::OK();
    }
    default:
      return connection_->ErrorOfMethod(method);
  }
}

void RabbitMqPublisher::Confirmed(uint64_t sequence, bool multiple, bool taken) {
  auto first = multiple ? unconfirmed_.begin() : unconfirmed_.lower_bound(sequence);
  while (first != unconfirmed_.end() && first->first <= sequence) {
    const auto& [job, index] = first->second;
    --job->unconfirmed;
    if (returned_.erase(first->first) > 0) {
      job->unroutable.push_back(index);
    } else if (!taken) {
      job->refused.push_back(index);
    }
    first = unconfirmed_.erase(first);
  }
}

Status RabbitMqPublisher::FinishJobs() {
  for (const JobPtr& job : jobs_) {
    if (job->unconfirmed == 0 && job->unsent.empty()) CAPI_RETURN_NOT_OK(FinishJob(job));
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [](const JobPtr& job) { return job->ended; });
  return Status::OK();
}

Status RabbitMqPublisher::FinishJob(const JobPtr& job) {
  if (job->unroutable.empty() && job->refused.empty()) {
    End(job, Status::OK());
    return Status::OK();
  }
  if (!job->unroutable.empty() && job->declared_again) {
    End(job, UnavailableError("broker: there is no queue " + route_.queue + " to take messages"));
    return Status::OK();
  }
  if (!job->refused.empty() && ++job->refusals >= kMostRefusals) {
    End(job, UnavailableError("broker: queue " + route_.queue +
                              " cannot take messages now (it has no majority of its servers, or a "
                              "limit of its length)"));
    return Status::OK();
  }
  job->unsent.assign(job->refused.begin(), job->refused.end());
  job->unsent.insert(job->unsent.end(), job->unroutable.begin(), job->unroutable.end());
  // Refused: while a quorum queue is being made or chooses a leader.
  int64_t pause = job->refused.empty() ? 0 : kRefusalPauseMillis << (job->refusals - 1);
  if (!job->unroutable.empty()) {
    LogWarn("broker: queue " + route_.queue + " does not exist for publishing, declaring it again");
    job->declare = true;
    job->declared_again = true;
    pause = kDeletedPauseMillis;
  }
  job->unroutable.clear();
  job->refused.clear();
  job->not_before_nanos = env_->MonotonicNanos() + pause * kNanosPerMilli;
  wake_.Set();
  return Status::OK();
}

void RabbitMqPublisher::End(const JobPtr& job, const Status& status) {
  {
    const std::lock_guard lock(mutex_);
    job->status = status;
    job->ended = true;
  }
  changed_.notify_all();
}

void RabbitMqPublisher::LoseConnection(const Status& error) {
  connection_.reset();
  for (const auto& [sequence, entry] : unconfirmed_) {
    entry.first->unsent.push_back(entry.second);
    --entry.first->unconfirmed;
  }
  unconfirmed_.clear();
  returned_.clear();
  returning_ = false;
  EndOrRepeat(error);
  const std::lock_guard lock(mutex_);
  blocked_ = false;
}

void RabbitMqPublisher::EndOrRepeat(const Status& error) {
  std::vector<JobPtr> kept;
  for (const JobPtr& job : jobs_) {
    const bool again = !job->connected_again && KindOf(error) == ErrorKind::kRetriable;
    job->connected_again = true;
    if (again) {
      kept.push_back(job);
    } else {
      End(job, error);
    }
  }
  jobs_ = std::move(kept);
}

}  // namespace capi::queue
