#pragma once

// The consuming half of a broker object: a thread that owns a connection, fills the inbox and sends
// verdicts.

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/broker.h"
#include "capi/queue/inbox_internal.h"
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

  Result<std::optional<Delivery>> Receive(int64_t timeout_ms) { return inbox_.Receive(timeout_ms); }
  /// A message: was settled early, and has to be published for kAgain.
  Result<std::optional<BatchMessage>> Settle(uint64_t tag, Verdict verdict) {
    return inbox_.Settle(tag, verdict);
  }
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
  Status SendAnswer(RabbitMqConnection* connection, uint64_t delivery_tag, Inbox::Answer answer);
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

  Env* const env_;
  const RabbitMqOptions options_;
  const AmqpAddress address_;
  const RabbitMqRoute route_;
  const WakeEvent wake_;

  Inbox inbox_;

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

  std::mutex starting_;  // guards the start of the thread
  std::thread thread_;
};

}  // namespace capi::queue
