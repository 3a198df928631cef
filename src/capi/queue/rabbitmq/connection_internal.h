#pragma once

// One connection with one channel. librabbitmq: one thread at a time.

#include <amqp.h>
#include <amqp_framing.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/queue/rabbitmq/rabbitmq_broker.h"
#include "capi/queue/wake_event_internal.h"

namespace capi::queue {

constexpr amqp_channel_t kChannel = 1;

/// View into the memory of a frame.
inline std::string_view View(const amqp_bytes_t& bytes) {
  return {static_cast<const char*>(bytes.bytes), bytes.len};
}
/// View that librabbitmq reads, not writes.
inline amqp_bytes_t Bytes(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}

class RabbitMqConnection {
 public:
  /// Connects, logs in and opens the channel. `purpose` is shown by the server's tools.
  static Result<std::unique_ptr<RabbitMqConnection>> Open(Env* env, const RabbitMqOptions& options,
                                                          const AmqpAddress& address,
                                                          std::string_view purpose);
  /// Takes leave of the server unless the connection has failed.
  ~RabbitMqConnection();
  RabbitMqConnection(const RabbitMqConnection&) = delete;
  RabbitMqConnection& operator=(const RabbitMqConnection&) = delete;

  amqp_connection_state_t raw() { return connection_; }

  /// Error of the last call that waits for an answer. After an error the connection is unusable.
  Status LastReply(std::string_view what, amqp_rpc_reply_t* reply = nullptr);
  /// Error of a call that only sends.
  Status Sent(int status, std::string_view what);

  /// Without waiting. False: nothing has arrived. Sends heartbeats that are due. The frame is valid
  /// until ReleaseFrame.
  Result<bool> NextFrame(amqp_frame_t* frame);
  void ReleaseFrame() { amqp_maybe_release_buffers_on_channel(connection_, kChannel); }
  /// Waits until something arrives, `wake` is set or the time is over; only when NextFrame has just
  /// returned false. kRetriable when the server has been silent for too long.
  Status Wait(const WakeEvent& wake, int64_t timeout_ms);

  /// Error of a method that closes channel or connection, from the server of its own accord; OK for
  /// other methods.
  Status ErrorOfMethod(const amqp_method_t& method);

  /// The server is RabbitMQ of at least this version.
  bool IsAtLeast(int major, int minor) const;
  /// "RabbitMQ 3.10.8"
  const std::string& server() const { return server_; }

 private:
  RabbitMqConnection(Env* env, int64_t heartbeat_seconds);
  Status OpenSocket(const RabbitMqOptions& options, const AmqpAddress& address);
  Status LogIn(const RabbitMqOptions& options, const AmqpAddress& address,
               std::string_view purpose);
  void ReadServerProperties();
  Status ErrorOfReply(const amqp_rpc_reply_t& reply, std::string_view what);
  Status LibraryError(int code, std::string_view what);

  Env* const env_;
  const int64_t heartbeat_nanos_;
  amqp_connection_state_t connection_;
  std::string peer_;  // for messages
  std::string server_;
  std::string product_;
  int major_ = 0;
  int minor_ = 0;
  int64_t last_input_nanos_ = 0;
  bool usable_ = false;
};

}  // namespace capi::queue
