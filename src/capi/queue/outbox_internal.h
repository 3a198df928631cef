#pragma once

// What publishers have in common: calls that wait for the confirmation of their messages, and a
// thread that owns the connection. Calls of several threads share the window of unconfirmed
// messages.

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
#include "capi/queue/reconnect_pause_internal.h"
#include "capi/queue/wake_event_internal.h"

namespace capi::queue {

/// What the broker says of messages, by the sequence numbers of Send.
struct Confirmation {
  enum class Outcome : uint8_t {
    kTaken,
    kRefused,   ///< for now
    kReturned,  ///< there is no queue for it; not final, kTaken or kRefused follows
  };
  uint64_t sequence = 0;
  bool multiple = false;  ///< all up to that number
  Outcome outcome = Outcome::kTaken;
};

/// A connection of one protocol, used by one thread. After an error it is closed.
class PublishChannel {
 public:
  virtual ~PublishChannel() = default;
  /// Connects, and makes the queue where that is the client's task.
  virtual Status Open() = 0;
  virtual void Close() = 0;
  /// The queue was deleted: makes it again.
  virtual Status Declare() = 0;
  /// Flow control.
  virtual bool MaySend(size_t unconfirmed) = 0;
  virtual Status Send(uint64_t sequence, const std::string& body) = 0;
  /// Reads what has arrived, without waiting. False: nothing.
  virtual Result<bool> HandleInput(std::vector<Confirmation>* confirmations) = 0;
  virtual Status Wait(const WakeEvent& wake, int64_t timeout_ms) = 0;
  /// Why confirmations take long, or "".
  virtual std::string Obstacle() = 0;
};

struct OutboxOptions {
  std::string broker;  ///< for messages: "broker at HOST:PORT"
  std::string queue;   ///< for messages
  int64_t publish_timeout_ms = 0;
  int64_t first_pause_ms = 0;
  int64_t longest_pause_ms = 0;
};

/// Thread-safe. Connects with the first message.
class Outbox {
 public:
  Outbox(Env* env, OutboxOptions options, std::unique_ptr<PublishChannel> channel);
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

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
  void Confirm(const Confirmation& confirmation);
  void FinishJobs();
  void FinishJob(const JobPtr& job);
  void End(const JobPtr& job, const Status& status);
  void LoseConnection(const Status& error);
  /// Calls get one more connection: one that has stood idle may have been dead for long, and a
  /// server refuses for a moment to use a queue that another client is creating. What was sent may
  /// arrive twice then, which is harmless.
  void EndOrRepeat(const Status& error);

  Env* const env_;
  const OutboxOptions options_;
  const std::unique_ptr<PublishChannel> channel_;
  const WakeEvent wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::string obstacle_;
  std::deque<JobPtr> waiting_;

  // Only the thread uses these.
  std::vector<JobPtr> jobs_;
  bool connected_ = false;
  int64_t sent_nanos_ = 0;  // time of the last Send
  uint64_t next_sequence_ = 1;
  std::map<uint64_t, std::pair<JobPtr, size_t>> unconfirmed_;  // by sequence number
  std::unordered_set<uint64_t> returned_;                      // not confirmed yet
  ReconnectPause pause_;
  int64_t no_attempt_before_nanos_ = 0;

  std::thread thread_;
};

/// After a queue was deleted, until it is declared again: the time for a server to tell its
/// consumers (rabbitmq/consumer_internal.h, CheckService).
constexpr int64_t kDeletedPauseMillis = 1000;

}  // namespace capi::queue
