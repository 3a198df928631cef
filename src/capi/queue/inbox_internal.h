#pragma once

// What the callers of a consumer and its thread share: messages that have arrived, and verdicts
// that have not been sent. The thread owns the connection and is told by a WakeEvent.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "capi/base/status.h"
#include "capi/queue/broker.h"
#include "capi/queue/wake_event_internal.h"

namespace capi::queue {

/// Thread-safe. A connection numbers its deliveries from 1 on; tags tell connections apart too.
class Inbox {
 public:
  enum class Answer : uint8_t {
    kDone,
    kAgain,     ///< by verdict
    kGiveBack,  ///< nobody has received it
  };
  struct Held {
    BatchMessage message;
    uint64_t subscription = 0;  ///< of RabbitMQ: what it came by
    int64_t arrived_nanos = 0;
  };
  using Answers = std::vector<std::pair<uint64_t, Answer>>;  ///< delivery numbers

  explicit Inbox(const WakeEvent* wake) : wake_(wake) {}

  // ---- Callers: as in broker.h

  Result<std::optional<Delivery>> Receive(int64_t timeout_ms);
  /// A message: was settled early, and has to be published for kAgain.
  Result<std::optional<BatchMessage>> Settle(uint64_t tag, Verdict verdict);
  Status SetPrefetch(int64_t messages);
  void Stop();

  // ---- The thread

  bool stopping() const;
  /// Returns early, with true, when stopped.
  bool Pause(int64_t milliseconds);
  void Connected();
  /// Forgets all deliveries of the connection. OK: not a trouble.
  void Lost(const Status& error);
  void Arrived(uint64_t delivery, BatchMessage message, bool redelivered, uint64_t subscription,
               int64_t now_nanos);
  Answers TakeAnswers();

  struct Demand {
    int64_t prefetch = 0;
    int64_t held = 0;
    bool lowered = false;  ///< the prefetch number, since the last call
  };
  /// nullopt: nothing has changed since the last call that could change the demand.
  std::optional<Demand> TakeDemand();
  Demand demand() const;
  /// Makes TakeDemand look again.
  void Recheck();
  /// Of each subscription, how many messages are held.
  std::unordered_map<uint64_t, int64_t> HeldBySubscription() const;
  /// Settles as done what was received and has been held since before `nanos`; what nobody received
  /// is given back.
  void SettleOlderThan(int64_t nanos);

 private:
  /// With mutex_ held: gives back buffered messages, the last ones first, until at most `messages`
  /// are held or none is buffered.
  void GiveBackAbove(int64_t messages);
  uint64_t TagOf(uint64_t delivery) const;

  const WakeEvent* const wake_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool connected_ = false;
  Status failure_;  // of the last attempt, while not connected
  int64_t failures_ = 0;
  int64_t prefetch_ = 0;
  bool lowered_ = false;
  bool recheck_ = false;
  uint64_t generation_ = 0;                  // of connections
  std::deque<Delivery> buffered_;            // part of held_
  std::unordered_map<uint64_t, Held> held_;  // by tag
  std::unordered_map<uint64_t, BatchMessage> settled_early_;
  Answers answers_;
};

}  // namespace capi::queue
