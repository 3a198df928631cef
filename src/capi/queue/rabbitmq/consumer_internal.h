#pragma once

// The consuming half of a broker object: a thread that owns a connection, fills a buffer and sends
// verdicts.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/broker.h"
#include "capi/queue/rabbitmq/connection_internal.h"
#include "capi/queue/rabbitmq/topology_internal.h"
#include "capi/queue/reconnect_pause_internal.h"

namespace capi::queue {

/// Thread-safe. The thread begins with the first prefetch above 0.
class RabbitMqConsumer {
 public:
  RabbitMqConsumer(Env* env, RabbitMqOptions options, AmqpAddress address);
  /// Sends the verdicts given so far; the server takes back the rest.
  ~RabbitMqConsumer();
  RabbitMqConsumer(const RabbitMqConsumer&) = delete;
  RabbitMqConsumer& operator=(const RabbitMqConsumer&) = delete;

  Result<std::optional<Delivery>> Receive(int64_t timeout_ms);
  /// A message: was settled early, and has to be published for kAgain.
  Result<std::optional<BatchMessage>> Settle(uint64_t tag, Verdict verdict);
  Status SetPrefetch(int64_t messages);

 private:
  /// RabbitMQ gives credit to a consumer when it begins, and knows no change of it in quorum
  /// queues. So more credit is one more consumer on the channel; for less, all are cancelled, and
  /// their place is filled as the messages they had brought are settled. The sum of the active
  /// consumers' credit and of unsettled messages of cancelled ones never exceeds the prefetch
  /// number.
  struct Subscription {
    int64_t credit = 0;
    bool active = true;
  };
  struct Held {
    BatchMessage message;
    uint64_t subscription = 0;
    int64_t arrived_nanos = 0;
  };
  enum class Answer : uint8_t { kAck, kReject, kGiveBack };
  /// A message whose frames are arriving.
  struct Incoming {
    uint64_t delivery_tag = 0;
    uint64_t subscription = 0;
    bool redelivered = false;
    bool has_header = false;
    uint64_t body_size = 0;
    uint64_t body_seen = 0;
    std::string body;
  };

  void Run();
  Status Session();
  Status Serve(RabbitMqConnection* connection);
  void LoseConnection(const Status& error);
  Status SendAnswers(RabbitMqConnection* connection);
  Status SendAnswer(RabbitMqConnection* connection, uint64_t delivery_tag, Answer answer);
  Status Tune(RabbitMqConnection* connection);
  Status CancelSubscriptions(RabbitMqConnection* connection);
  Status Subscribe(RabbitMqConnection* connection, int64_t credit);
  /// Settles what has been held for too long.
  void SettleEarly(const RabbitMqConnection& connection);
  /// RabbitMQ 3.10 tells its consumers that a queue is deleted, unless a quorum queue of that name
  /// is made again within milliseconds: then it registers them there by itself and loses what the
  /// new queue delivers to them, and nothing visible here is wrong. So when nothing comes, the
  /// queue is looked at, and when nothing comes for long and nothing is held, kCancelled asks for a
  /// new connection; what was lost is delivered again then.
  Status CheckService(RabbitMqConnection* connection);
  /// False: nothing had arrived.
  Result<bool> HandleFrames(RabbitMqConnection* connection);
  Status HandleFrame(RabbitMqConnection* connection, const amqp_frame_t& frame);
  Status HandleMethod(RabbitMqConnection* connection, const amqp_method_t& method);
  Status FinishMessage(RabbitMqConnection* connection);
  /// With mutex_ held: gives back buffered messages, the last ones first, until at most `messages`
  /// are held or none is buffered.
  void GiveBackAbove(int64_t messages);
  uint64_t TagOf(uint64_t delivery_tag) const;

  Env* const env_;
  const RabbitMqOptions options_;
  const AmqpAddress address_;
  const RabbitMqRoute route_;
  const WakeEvent wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool connected_ = false;
  Status failure_;  // of the last attempt, while not connected
  int64_t failures_ = 0;
  int64_t prefetch_ = 0;
  bool lowered_ = false;  // the prefetch number, since Tune
  bool tune_ = false;     // something that Tune looks at has changed
  uint64_t generation_ = 0;
  std::deque<Delivery> buffered_;            // part of held_
  std::unordered_map<uint64_t, Held> held_;  // by tag
  std::unordered_map<uint64_t, BatchMessage> settled_early_;
  std::vector<std::pair<uint64_t, Answer>> answers_;  // delivery tags

  // Only the thread uses these.
  std::unordered_map<uint64_t, Subscription> subscriptions_;
  uint64_t next_subscription_ = 1;
  std::optional<Incoming> incoming_;
  int64_t next_early_check_nanos_ = 0;
  int64_t arrived_nanos_ = 0;     // the last message
  int64_t idle_since_nanos_ = 0;  // nothing is held, and something is wanted
  bool queue_deleted_ = false;
  int64_t checked_nanos_ = 0;  // the queue, or that nothing more is wanted
  bool was_ready_ = false;     // a message in the queue, when it was looked at
  ReconnectPause pause_;

  std::thread thread_;
};

}  // namespace capi::queue
