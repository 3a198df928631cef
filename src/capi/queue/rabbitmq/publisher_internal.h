#pragma once

// The publishing half of a broker object: a thread that owns a connection. Calls of several threads
// share the window of unconfirmed messages.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/broker.h"
#include "capi/queue/rabbitmq/connection_internal.h"
#include "capi/queue/rabbitmq/topology_internal.h"
#include "capi/queue/reconnect_pause_internal.h"

namespace capi::queue {

/// Thread-safe. Connects with the first message.
class RabbitMqPublisher {
 public:
  RabbitMqPublisher(Env* env, RabbitMqOptions options, AmqpAddress address);
  ~RabbitMqPublisher();
  RabbitMqPublisher(const RabbitMqPublisher&) = delete;
  RabbitMqPublisher& operator=(const RabbitMqPublisher&) = delete;

  Status Publish(const std::vector<BatchMessage>& messages);

 private:
  /// One call of Publish. Members are guarded by mutex_ once the thread has ended it or the caller
  /// has given it up; before, only the thread uses them.
  struct Job {
    std::vector<std::string> bodies;
    std::deque<size_t> unsent;
    size_t unconfirmed = 0;
    std::vector<size_t> unroutable;
    std::vector<size_t> refused;   // by the server, for now
    int refusals = 0;              // times that something was refused
    int64_t not_before_nanos = 0;  // to be sent again
    bool declare = false;          // before it is sent again
    bool declared_again = false;
    bool connected_again = false;
    bool abandoned = false;  // guarded by mutex_
    bool ended = false;      // guarded by mutex_
    Status status;
  };
  using JobPtr = std::shared_ptr<Job>;

  void Run();
  /// Takes over new calls, drops those that were given up. False: the object is being destroyed.
  bool TakeJobs();
  bool Connect();
  Status Pump();
  Status Send();
  Status HandleFrame(const amqp_frame_t& frame);
  Status HandleMethod(const amqp_method_t& method);
  void Confirmed(uint64_t sequence, bool multiple, bool taken);
  Status FinishJobs();
  Status FinishJob(const JobPtr& job);
  void End(const JobPtr& job, const Status& status);
  void LoseConnection(const Status& error);
  /// Calls get one more connection: one that has stood idle may have been dead for long, and a
  /// server refuses for a moment to use a queue that another client is creating. What was sent may
  /// arrive twice then, which is harmless.
  void EndOrRepeat(const Status& error);

  Env* const env_;
  const RabbitMqOptions options_;
  const AmqpAddress address_;
  const RabbitMqRoute route_;
  const WakeEvent wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool blocked_ = false;  // by the server: memory or disk alarm
  std::deque<JobPtr> waiting_;

  // Only the thread uses these.
  std::vector<JobPtr> jobs_;
  std::unique_ptr<RabbitMqConnection> connection_;
  uint64_t next_sequence_ = 1;
  std::map<uint64_t, std::pair<JobPtr, size_t>> unconfirmed_;  // by sequence number of the channel
  std::unordered_set<uint64_t> returned_;  // returned by the server, not confirmed yet
  bool returning_ = false;                 // the header of a returned message comes next
  ReconnectPause pause_;
  int64_t no_attempt_before_nanos_ = 0;

  std::thread thread_;
};

}  // namespace capi::queue
