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
#include "capi/queue/amqp10/connection_internal.h"
#include "capi/queue/broker.h"
#include "capi/queue/inbox_internal.h"
#include "capi/queue/reconnect_pause_internal.h"

namespace capi::queue {

/// Thread-safe. The thread begins with the first prefetch above 0.
class Amqp10Consumer {
 public:
  Amqp10Consumer(Env* env, Amqp10Options options, AmqpAddress address);
  /// Sends the verdicts given so far; the server takes back the rest.
  ~Amqp10Consumer();
  Amqp10Consumer(const Amqp10Consumer&) = delete;
  Amqp10Consumer& operator=(const Amqp10Consumer&) = delete;

  Result<std::optional<Delivery>> Receive(int64_t timeout_ms) { return inbox_.Receive(timeout_ms); }
  Status Settle(uint64_t tag, Verdict verdict) { return inbox_.Settle(tag, verdict).status(); }
  Status SetPrefetch(int64_t messages);

 private:
  void Run();
  Status Session();
  Status Serve(Amqp10Connection* connection);
  void SendAnswers();
  /// Credit and held messages together are the prefetch number. What is too much is drained: until
  /// the server says so, messages may still come, and go back.
  void Tune();
  void ReadDelivery(pn_delivery_t* delivery);
  void FinishMessage(pn_delivery_t* delivery);

  Env* const env_;
  const Amqp10Options options_;
  const AmqpAddress address_;
  const WakeEvent wake_;
  Inbox inbox_;

  // Only the thread uses these.
  pn_link_t* link_ = nullptr;
  bool draining_ = false;
  std::string incoming_;  // of a message whose frames are arriving
  bool oversized_ = false;
  uint64_t next_delivery_ = 1;
  std::unordered_map<uint64_t, pn_delivery_t*> deliveries_;  // unsettled
  ReconnectPause pause_;

  std::mutex starting_;  // guards the start of the thread
  std::thread thread_;
};

}  // namespace capi::queue
