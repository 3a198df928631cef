#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "capi/base/time_units.h"
#include "capi/queue/broker_errors_internal.h"
#include "capi/queue/rabbitmq/connection_internal.h"

namespace capi::queue {

namespace {

constexpr int kFrameMax = 131072;

timeval ToTimeval(int64_t milliseconds) {
  return {static_cast<time_t>(milliseconds / 1000),
          static_cast<suseconds_t>(milliseconds % 1000 * 1000)};
}

/// From the reply code of channel.close and connection.close.
Status ServerError(int code, std::string_view text, const std::string& message) {
  switch (code) {
    case AMQP_ACCESS_REFUSED:
      return UserError("broker_unauthorized", message);
    case AMQP_NOT_ALLOWED:
      return UserError(text.find("not found") != std::string_view::npos ? "broker_unknown_vhost"
                                                                        : "broker_unauthorized",
                       message);
    case AMQP_PRECONDITION_FAILED:
      // Also told when a consumer took too long, which is no difference of properties.
      return text.find("inequivalent") != std::string_view::npos ||
                     text.find("invalid") != std::string_view::npos
                 ? UserError("broker_mismatch", message)
                 : UnavailableError(message);
    default:
      return UnavailableError(message);
  }
}

Status SetUpTls(amqp_socket_t* socket, const AmqpTlsOptions& tls) {
  auto* context = static_cast<SSL_CTX*>(amqp_ssl_socket_get_context(socket));
  const auto wrong = [](const std::string& what, const std::string& path) {
    return EnvironmentError("broker: cannot read " + what + ": " + path);
  };
  if (tls.ca_path.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else {
    struct stat info = {};
    const bool exists = ::stat(tls.ca_path.c_str(), &info) == 0;
    const char* path = tls.ca_path.c_str();
    if (!exists || SSL_CTX_load_verify_locations(context, S_ISDIR(info.st_mode) ? nullptr : path,
                                                 S_ISDIR(info.st_mode) ? path : nullptr) != 1) {
      return wrong("certificates of authorities", tls.ca_path);
    }
  }
  if (!tls.certificate_path.empty() &&
      amqp_ssl_socket_set_key(socket, tls.certificate_path.c_str(), tls.key_path.c_str()) !=
          AMQP_STATUS_OK) {
    return wrong("the client's certificate and key", tls.certificate_path + ", " + tls.key_path);
  }
  amqp_ssl_socket_set_verify_peer(socket, 1);
  amqp_ssl_socket_set_verify_hostname(socket, tls.verify_host ? 1 : 0);
  amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
  return Status::OK();
}

amqp_table_entry_t TableEntry(const char* key, amqp_field_value_t value) {
  return {amqp_cstring_bytes(key), value};
}

amqp_field_value_t True() {
  amqp_field_value_t value;
  value.kind = AMQP_FIELD_KIND_BOOLEAN;
  value.value.boolean = 1;
  return value;
}

amqp_field_value_t Text(std::string_view text) {
  amqp_field_value_t value;
  value.kind = AMQP_FIELD_KIND_UTF8;
  value.value.bytes = Bytes(text);
  return value;
}

}  // namespace

RabbitMqConnection::RabbitMqConnection(Env* env, int64_t heartbeat_seconds)
    : env_(env),
      heartbeat_nanos_(heartbeat_seconds * 1000 * kNanosPerMilli),
      connection_(amqp_new_connection()) {}

RabbitMqConnection::~RabbitMqConnection() {
  if (usable_) amqp_connection_close(connection_, AMQP_REPLY_SUCCESS);
  amqp_destroy_connection(connection_);
}

Result<std::unique_ptr<RabbitMqConnection>> RabbitMqConnection::Open(Env* env,
                                                                     const RabbitMqOptions& options,
                                                                     const AmqpAddress& address,
                                                                     std::string_view purpose) {
  std::unique_ptr<RabbitMqConnection> opened(
      new RabbitMqConnection(env, options.heartbeat_seconds));
  opened->peer_ = address.host + ":" + std::to_string(address.port);
  CAPI_RETURN_NOT_OK(opened->OpenSocket(options, address));
  CAPI_RETURN_NOT_OK(opened->LogIn(options, address, purpose));
  return opened;
}

Status RabbitMqConnection::OpenSocket(const RabbitMqOptions& options, const AmqpAddress& address) {
  amqp_socket_t* socket =
      address.tls ? amqp_ssl_socket_new(connection_) : amqp_tcp_socket_new(connection_);
  if (socket == nullptr) return EnvironmentError("broker: out of memory");
  if (address.tls) CAPI_RETURN_NOT_OK(SetUpTls(socket, options.tls));
  const timeval timeout = ToTimeval(options.connect_timeout_ms);
  amqp_set_handshake_timeout(connection_, &timeout);
  amqp_set_rpc_timeout(connection_, &timeout);
  const int status = amqp_socket_open_noblock(socket, address.host.c_str(),
                                              static_cast<int>(address.port), &timeout);
  if (status == AMQP_STATUS_SOCKET_ERROR) {
    return UnavailableError("broker at " + peer_ +
                            ": cannot connect: nobody listens there, or it cannot be reached");
  }
  if (status != AMQP_STATUS_OK) return LibraryError(status, "cannot connect");
  last_input_nanos_ = env_->MonotonicNanos();
  return Status::OK();
}

Status RabbitMqConnection::LogIn(const RabbitMqOptions& options, const AmqpAddress& address,
                                 std::string_view purpose) {
  // Without the first, a deleted queue would leave us waiting for ever; the second tells why
  // confirms do not come.
  std::array<amqp_table_entry_t, 2> capabilities = {TableEntry("consumer_cancel_notify", True()),
                                                    TableEntry("connection.blocked", True())};
  amqp_field_value_t table;
  table.kind = AMQP_FIELD_KIND_TABLE;
  table.value.table = {static_cast<int>(capabilities.size()), capabilities.data()};
  const std::string name = "capillaries " + std::string(purpose);
  std::array<amqp_table_entry_t, 2> entries = {TableEntry("capabilities", table),
                                               TableEntry("connection_name", Text(name))};
  const amqp_table_t properties = {static_cast<int>(entries.size()), entries.data()};
  const amqp_rpc_reply_t reply = amqp_login_with_properties(
      connection_, address.virtual_host.c_str(), 0, kFrameMax,
      static_cast<int>(options.heartbeat_seconds), &properties, AMQP_SASL_METHOD_PLAIN,
      address.user.c_str(), address.password.c_str());
  CAPI_RETURN_NOT_OK(ErrorOfReply(reply, "cannot log in as " + address.user));
  ReadServerProperties();
  amqp_channel_open(connection_, kChannel);
  CAPI_RETURN_NOT_OK(LastReply("cannot open a channel"));
  usable_ = true;
  last_input_nanos_ = env_->MonotonicNanos();
  return Status::OK();
}

void RabbitMqConnection::ReadServerProperties() {
  std::string version;
  const amqp_table_t* properties = amqp_get_server_properties(connection_);
  for (int i = 0; i < properties->num_entries; ++i) {
    const amqp_table_entry_t& entry = properties->entries[i];
    if (entry.value.kind != AMQP_FIELD_KIND_UTF8) continue;
    if (View(entry.key) == "product") product_ = View(entry.value.value.bytes);
    if (View(entry.key) == "version") version = View(entry.value.value.bytes);
  }
  server_ = product_ + " " + version;
  const char* const end = version.data() + version.size();
  const auto [point, error] = std::from_chars(version.data(), end, major_);
  if (error == std::errc() && point != end) std::from_chars(point + 1, end, minor_);
}

bool RabbitMqConnection::IsAtLeast(int major, int minor) const {
  return product_ == "RabbitMQ" && std::pair(major_, minor_) >= std::pair(major, minor);
}

Status RabbitMqConnection::LastReply(std::string_view what, amqp_rpc_reply_t* reply) {
  const amqp_rpc_reply_t last = amqp_get_rpc_reply(connection_);
  if (reply != nullptr) *reply = last;
  // librabbitmq has read while it waited for the answer, perhaps heartbeats too.
  if (last.reply_type != AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    last_input_nanos_ = env_->MonotonicNanos();
  }
  return ErrorOfReply(last, what);
}

Status RabbitMqConnection::Sent(int status, std::string_view what) {
  return status == AMQP_STATUS_OK ? Status::OK() : LibraryError(status, what);
}

Status RabbitMqConnection::LibraryError(int code, std::string_view what) {
  usable_ = false;
  const std::string message =
      "broker at " + peer_ + ": " + std::string(what) + ": " + amqp_error_string2(code);
  switch (code) {
    case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED:
      return EnvironmentError(message + " (the server's certificate is for another host)");
    case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
      return EnvironmentError(message + " (no known authority has signed it)");
    case AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD:
      return UserError("broker_unauthorized", message);
    default:
      return UnavailableError(message);
  }
}

Status RabbitMqConnection::ErrorOfReply(const amqp_rpc_reply_t& reply, std::string_view what) {
  switch (reply.reply_type) {
    case AMQP_RESPONSE_NORMAL:
      return Status::OK();
    case AMQP_RESPONSE_SERVER_EXCEPTION: {
      const Status error = ErrorOfMethod(reply.reply);
      return error.ok() ? UnavailableError("broker at " + peer_ + ": " + std::string(what))
                        : Prefixed(error, std::string(what) + ": ");
    }
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
      return LibraryError(reply.library_error, what);
    case AMQP_RESPONSE_NONE:
      break;
  }
  return LibraryError(AMQP_STATUS_SOCKET_CLOSED, what);
}

Status RabbitMqConnection::ErrorOfMethod(const amqp_method_t& method) {
  int code = 0;
  std::string text;
  if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_channel_close_t*>(method.decoded);
    code = close->reply_code;
    text = View(close->reply_text);
  } else if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    const auto* close = static_cast<const amqp_connection_close_t*>(method.decoded);
    code = close->reply_code;
    text = View(close->reply_text);
    // The server waits for the answer before it closes; it need not arrive.
    amqp_connection_close_ok_t ok = {};
    (void)amqp_send_method(connection_, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    usable_ = false;
  } else {
    return Status::OK();
  }
  return ServerError(code, text,
                     "broker at " + peer_ + " says " + std::to_string(code) + " " + text);
}

Result<bool> RabbitMqConnection::NextFrame(amqp_frame_t* frame) {
  const timeval at_once = {0, 0};
  const int status = amqp_simple_wait_frame_noblock(connection_, frame, &at_once);
  if (status == AMQP_STATUS_TIMEOUT) return false;
  CAPI_RETURN_NOT_OK(Sent(status, "connection lost"));
  last_input_nanos_ = env_->MonotonicNanos();
  return true;
}

Status RabbitMqConnection::Wait(const WakeEvent& wake, int64_t timeout_ms) {
  std::array<pollfd, 2> sources = {pollfd{amqp_get_sockfd(connection_), POLLIN, 0},
                                   pollfd{wake.descriptor(), POLLIN, 0}};
  if (heartbeat_nanos_ > 0) {
    timeout_ms = std::min(timeout_ms, heartbeat_nanos_ / kNanosPerMilli / 2);
  }
  const int ready = poll(sources.data(), sources.size(), static_cast<int>(timeout_ms));
  if (ready > 0 && sources[1].revents != 0) wake.Clear();
  // librabbitmq swallows heartbeats, and looks for missing ones only while it waits itself.
  if (ready > 0 && sources[0].revents != 0) last_input_nanos_ = env_->MonotonicNanos();
  if (heartbeat_nanos_ > 0 &&
      env_->MonotonicNanos() - last_input_nanos_ > heartbeat_nanos_ * 5 / 2) {
    return LibraryError(AMQP_STATUS_HEARTBEAT_TIMEOUT, "connection lost");
  }
  return Status::OK();
}

}  // namespace capi::queue
