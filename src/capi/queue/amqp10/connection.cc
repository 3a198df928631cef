#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <proton/connection.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/ssl.h>
#include <proton/terminus.h>
#include <proton/transport.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "capi/queue/amqp10/connection_internal.h"
#include "capi/queue/broker_errors_internal.h"

namespace capi::queue {

namespace {

constexpr int64_t kLeaveMillis = 1000;

/// Connects without blocking beyond the deadline. -1: failed, errno is set.
int Connect(const addrinfo& target, int64_t timeout_ms) {
  const int descriptor =
      socket(target.ai_family, target.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  int error = connect(descriptor, target.ai_addr, target.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd writable = {descriptor, POLLOUT, 0};
    socklen_t size = sizeof(error);
    if (poll(&writable, 1, static_cast<int>(std::max<int64_t>(timeout_ms, 0))) != 1) {
      error = ETIMEDOUT;
    } else if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  if (error != 0) {
    close(descriptor);
    errno = error;
    return -1;
  }
  const int one = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return descriptor;
}

std::string_view Text(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

Amqp10Connection::Amqp10Connection(Env* env, const Amqp10Options& options,
                                   const AmqpAddress& address)
    : env_(env),
      connect_timeout_ms_(options.connect_timeout_ms),
      deadline_ms_(env->MonotonicNanos() / 1000000 + options.connect_timeout_ms),
      peer_(address.host + ":" + std::to_string(address.port)) {}

Amqp10Connection::~Amqp10Connection() {
  if (usable_) {
    pn_connection_close(driver_.connection);
    const int64_t deadline = NowMillis() + kLeaveMillis;
    // Until the server has answered, it may not have read everything.
    for (bool answered = false; !answered && NowMillis() < deadline;) {
      Exchange();
      while (!answered) {
        pn_event_t* const event = pn_connection_driver_next_event(&driver_);
        if (event == nullptr) break;
        const pn_event_type_t type = pn_event_type(event);
        answered = type == PN_CONNECTION_REMOTE_CLOSE || type == PN_TRANSPORT_CLOSED;
      }
      answered = answered || pn_connection_driver_read_closed(&driver_);
      if (!answered) Wait(nullptr, deadline - NowMillis());
    }
  }
  if (driver_.connection != nullptr) pn_connection_driver_destroy(&driver_);
  if (socket_ >= 0) close(socket_);
}

Result<std::unique_ptr<Amqp10Connection>> Amqp10Connection::Open(Env* env,
                                                                 const Amqp10Options& options,
                                                                 const AmqpAddress& address,
                                                                 std::string_view purpose) {
  std::unique_ptr<Amqp10Connection> opened(new Amqp10Connection(env, options, address));
  CAPI_RETURN_NOT_OK(opened->OpenSocket(address));
  if (pn_connection_driver_init(&opened->driver_, nullptr, nullptr) != 0) {
    return EnvironmentError("broker: out of memory");
  }
  if (options.heartbeat_seconds > 0) {
    // Half of it is told to the server.
    pn_transport_set_idle_timeout(opened->driver_.transport,
                                  static_cast<pn_millis_t>(options.heartbeat_seconds * 2500));
  }
  if (address.tls) CAPI_RETURN_NOT_OK(opened->SetUpTls(options.tls, address));
  CAPI_RETURN_NOT_OK(opened->LogIn(address, purpose));
  return opened;
}

Status Amqp10Connection::OpenSocket(const AmqpAddress& address) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status =
      getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  const std::string what = "broker at " + peer_ + ": cannot connect: ";
  if (status != 0) return UnavailableError(what + gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> targets(found, &freeaddrinfo);
  for (const addrinfo* target = found; target != nullptr && socket_ < 0; target = target->ai_next) {
    socket_ = Connect(*target, deadline_ms_ - NowMillis());
  }
  return socket_ >= 0 ? Status::OK() : UnavailableError(what + std::strerror(errno));
}

Status Amqp10Connection::SetUpTls(const AmqpTlsOptions& tls, const AmqpAddress& address) {
  const std::unique_ptr<pn_ssl_domain_t, decltype(&pn_ssl_domain_free)> domain(
      pn_ssl_domain(PN_SSL_MODE_CLIENT), &pn_ssl_domain_free);
  if (domain == nullptr) return EnvironmentError("broker: out of memory");
  const auto wrong = [](const std::string& what, const std::string& path) {
    return EnvironmentError("broker: cannot read " + what + ": " + path);
  };
  if (!tls.ca_path.empty() &&
      pn_ssl_domain_set_trusted_ca_db(domain.get(), tls.ca_path.c_str()) != 0) {
    return wrong("certificates of authorities", tls.ca_path);
  }
  if (!tls.certificate_path.empty() &&
      pn_ssl_domain_set_credentials(domain.get(), tls.certificate_path.c_str(),
                                    tls.key_path.c_str(), nullptr) != 0) {
    return wrong("the client's certificate and key", tls.certificate_path + ", " + tls.key_path);
  }
  pn_ssl_t* const ssl = pn_ssl(driver_.transport);
  if (pn_ssl_domain_set_peer_authentication(
          domain.get(), tls.verify_host ? PN_SSL_VERIFY_PEER_NAME : PN_SSL_VERIFY_PEER, nullptr) !=
          0 ||
      pn_ssl_domain_set_protocols(domain.get(), "TLSv1.2 TLSv1.3") != 0 ||
      pn_ssl_init(ssl, domain.get(), nullptr) != 0 ||
      pn_ssl_set_peer_hostname(ssl, address.host.c_str()) != 0) {
    return EnvironmentError("broker: cannot set up TLS");
  }
  return Status::OK();
}

Status Amqp10Connection::LogIn(const AmqpAddress& address, std::string_view purpose) {
  pn_sasl_t* const sasl = pn_sasl(driver_.transport);
  pn_sasl_allowed_mechs(sasl, "PLAIN");
  // A password in plain text over an address without TLS is the user's choice, as with AMQP 0.9.1.
  pn_sasl_set_allow_insecure_mechs(sasl, true);
  pn_connection_t* const connection = driver_.connection;
  const std::string container =
      "capillaries " + std::string(purpose) + " " + std::to_string(env_->Random());
  pn_connection_set_container(connection, container.c_str());
  const std::string host =
      address.virtual_host == "/" ? address.host : "vhost:" + address.virtual_host;
  pn_connection_set_hostname(connection, host.c_str());
  pn_connection_set_user(connection, address.user.c_str());
  pn_connection_set_password(connection, address.password.c_str());
  pn_connection_open(connection);
  CAPI_RETURN_NOT_OK(Await(PN_CONNECTION_REMOTE_OPEN, "cannot log in as " + address.user));
  session_ = pn_session(connection);
  pn_session_open(session_);
  usable_ = true;
  return Status::OK();
}

Result<pn_link_t*> Amqp10Connection::OpenSender(const std::string& address) {
  pn_link_t* const link = pn_sender(session_, "sender");
  pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
  pn_terminus_set_address(pn_link_target(link), address.c_str());
  pn_data_put_symbol(pn_terminus_capabilities(pn_link_target(link)), pn_bytes(5, "queue"));
  return Attach(link);
}

Result<pn_link_t*> Amqp10Connection::OpenReceiver(const std::string& address) {
  pn_link_t* const link = pn_receiver(session_, "receiver");
  pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
  pn_terminus_set_address(pn_link_source(link), address.c_str());
  pn_data_put_symbol(pn_terminus_capabilities(pn_link_source(link)), pn_bytes(5, "queue"));
  return Attach(link);
}

Result<pn_link_t*> Amqp10Connection::Attach(pn_link_t* link) {
  pn_link_open(link);
  const std::string address(Text(pn_terminus_get_address(
      pn_link_is_sender(link) ? pn_link_target(link) : pn_link_source(link))));
  const std::string what = "cannot use queue " + address;
  CAPI_RETURN_NOT_OK(Await(PN_LINK_REMOTE_OPEN, what));
  // A refusal begins with the attachment to nothing; its reason follows.
  pn_terminus_t* const terminus =
      pn_link_is_sender(link) ? pn_link_remote_target(link) : pn_link_remote_source(link);
  if (pn_terminus_get_type(terminus) == PN_UNSPECIFIED) {
    CAPI_RETURN_NOT_OK(Await(PN_LINK_REMOTE_CLOSE, what));
  }
  return link;
}

Status Amqp10Connection::Await(pn_event_type_t type, const std::string& what) {
  const int64_t deadline = usable_ ? NowMillis() + connect_timeout_ms_ : deadline_ms_;
  while (true) {
    Exchange();
    while (true) {
      auto event = NextEvent();
      if (!event.ok()) return Prefixed(event.status(), what + ": ");
      if (*event == nullptr) break;
      if (pn_event_type(*event) == type) return Status::OK();
    }
    const int64_t left = deadline - NowMillis();
    if (left <= 0) {
      usable_ = false;
      return UnavailableError("broker at " + peer_ + ": " + what + ": no answer within " +
                              std::to_string(connect_timeout_ms_) + " ms");
    }
    Wait(nullptr, left);
  }
}

void Amqp10Connection::Exchange() {
  // Reading may make answers, writing may end the connection: written last, so that a server that
  // has closed it can still be heard.
  Read();
  next_tick_ms_ = pn_transport_tick(driver_.transport, NowMillis());
  Write();
}

void Amqp10Connection::Write() {
  while (!pn_connection_driver_write_closed(&driver_)) {
    const pn_bytes_t pending = pn_connection_driver_write_buffer(&driver_);
    if (pending.size == 0) return;
    const ssize_t count = send(socket_, pending.start, pending.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      pn_connection_driver_write_done(&driver_, static_cast<size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      socket_error_ = std::strerror(errno);
      pn_connection_driver_write_close(&driver_);
    }
  }
}

void Amqp10Connection::Read() {
  while (!pn_connection_driver_read_closed(&driver_)) {
    const pn_rwbytes_t room = pn_connection_driver_read_buffer(&driver_);
    if (room.size == 0) return;
    const ssize_t count = recv(socket_, room.start, room.size, MSG_DONTWAIT);
    if (count > 0) {
      pn_connection_driver_read_done(&driver_, static_cast<size_t>(count));
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return;
    } else if (count == 0 || errno != EINTR) {
      socket_error_ = count == 0 ? "closed by the server" : std::strerror(errno);
      pn_connection_driver_read_close(&driver_);
    }
  }
}

Result<pn_event_t*> Amqp10Connection::NextEvent() {
  pn_event_t* const event = pn_connection_driver_next_event(&driver_);
  Status error;
  if (event == nullptr) {
    // Proton does not call it an error in all states.
    if (!pn_connection_driver_read_closed(&driver_)) return event;
    usable_ = false;
    return ErrorOf(pn_transport_condition(driver_.transport), "connection lost");
  }
  switch (pn_event_type(event)) {
    case PN_CONNECTION_REMOTE_CLOSE:
      error = ErrorOf(pn_connection_remote_condition(driver_.connection), "connection closed");
      break;
    case PN_SESSION_REMOTE_CLOSE:
      error = ErrorOf(pn_session_remote_condition(session_), "session closed");
      break;
    case PN_LINK_REMOTE_CLOSE:
    case PN_LINK_REMOTE_DETACH:
      error = ErrorOf(pn_link_remote_condition(pn_event_link(event)), "link closed");
      break;
    case PN_TRANSPORT_ERROR:
    case PN_TRANSPORT_CLOSED:
      error = ErrorOf(pn_transport_condition(driver_.transport), "connection lost");
      break;
    default:
      return event;
  }
  usable_ = false;
  return error;
}

void Amqp10Connection::Wait(const WakeEvent* wake, int64_t timeout_ms) {
  if (pn_connection_driver_has_event(&driver_)) return;
  if (next_tick_ms_ > 0) timeout_ms = std::min(timeout_ms, next_tick_ms_ - NowMillis());
  const bool unsent = !pn_connection_driver_write_closed(&driver_) &&
                      pn_connection_driver_write_buffer(&driver_).size > 0;
  std::array<pollfd, 2> sources = {
      pollfd{socket_, static_cast<int16_t>(unsent ? POLLIN | POLLOUT : POLLIN), 0},
      pollfd{wake == nullptr ? -1 : wake->descriptor(), POLLIN, 0}};
  poll(sources.data(), sources.size(), static_cast<int>(std::max<int64_t>(timeout_ms, 0)));
  if (wake != nullptr && sources[1].revents != 0) wake->Clear();
}

Status Amqp10Connection::ErrorOf(pn_condition_t* condition, std::string_view what) const {
  const std::string_view name = Text(pn_condition_get_name(condition));
  const std::string_view description = Text(pn_condition_get_description(condition));
  std::string message = "broker at " + peer_ + ": " + std::string(what);
  if (!name.empty()) message += ": " + std::string(name);
  if (!description.empty()) message += ": " + std::string(description);
  if (!socket_error_.empty()) message += " (" + socket_error_ + ")";
  // Artemis calls a missing right to create the queue an internal error.
  if (name == "amqp:unauthorized-access" ||
      description.find("does not have permission") != std::string_view::npos) {
    return UserError("broker_unauthorized", message);
  }
  if (name == "amqp:not-found") {
    return UserError(session_ == nullptr ? "broker_unknown_vhost" : "broker_no_queue", message);
  }
  const bool certificate = description.find("certificate") != std::string_view::npos &&
                           description.find("SSL") != std::string_view::npos;
  return certificate ? EnvironmentError(message) : UnavailableError(message);
}

}  // namespace capi::queue
