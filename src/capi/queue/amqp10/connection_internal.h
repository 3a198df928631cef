#pragma once

// One connection with one session, over a socket of our own. Proton: one thread at a time.

#include <proton/connection_driver.h>
#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/amqp10/amqp10_broker.h"
#include "capi/queue/wake_event_internal.h"

namespace capi::queue {

class Amqp10Connection {
 public:
  /// Connects and logs in. `purpose` is shown by the server's tools.
  static Result<std::unique_ptr<Amqp10Connection>> Open(Env* env, const Amqp10Options& options,
                                                        const AmqpAddress& address,
                                                        std::string_view purpose);
  /// Sends what is pending and takes leave of the server unless the connection has failed.
  ~Amqp10Connection();
  Amqp10Connection(const Amqp10Connection&) = delete;
  Amqp10Connection& operator=(const Amqp10Connection&) = delete;

  /// Waits until the server has attached it to the queue. Lives as long as the connection.
  Result<pn_link_t*> OpenSender(const std::string& address);
  /// Without credit.
  Result<pn_link_t*> OpenReceiver(const std::string& address);

  /// Writes what is pending and reads what has arrived, without waiting.
  void Exchange();
  /// After Exchange; nullptr: there is none. Valid until the next call. Error: the server has
  /// closed the connection or a link, or the connection is lost. After an error it is unusable.
  Result<pn_event_t*> NextEvent();
  /// Until something can be read or written, `wake` is set or the time is over.
  void Wait(const WakeEvent* wake, int64_t timeout_ms);

 private:
  Amqp10Connection(Env* env, const Amqp10Options& options, const AmqpAddress& address);
  Status OpenSocket(const AmqpAddress& address);
  Status SetUpTls(const AmqpTlsOptions& tls, const AmqpAddress& address);
  Status LogIn(const AmqpAddress& address, std::string_view purpose);
  Result<pn_link_t*> Attach(pn_link_t* link);
  /// Exchanges and waits until `type`; other events are dropped.
  Status Await(pn_event_type_t type, const std::string& what);
  void Write();
  void Read();
  Status ErrorOf(pn_condition_t* condition, std::string_view what) const;
  int64_t NowMillis() const { return env_->MonotonicNanos() / 1000000; }

  Env* const env_;
  const int64_t connect_timeout_ms_;
  const int64_t deadline_ms_;  // of Open
  const std::string peer_;     // for messages
  pn_connection_driver_t driver_ = {};
  pn_session_t* session_ = nullptr;
  int socket_ = -1;
  bool usable_ = false;
  std::string socket_error_;
  int64_t next_tick_ms_ = 0;  // 0 = none
};

}  // namespace capi::queue
