#pragma once

// Addresses of AMQP brokers, of both protocol versions (spec/config.md 3, amqp.url and amqp10.url).

#include <cstdint>
#include <string>
#include <string_view>

#include "capi/base/status.h"

namespace capi::queue {

struct AmqpAddress {
  bool tls = false;
  std::string host;
  int64_t port = 5672;
  std::string user = "guest";
  std::string password = "guest";
  /// Of RabbitMQ. "/" also where the address ends with the slash behind the host, as the original
  /// reads "amqp://guest:guest@127.0.0.1/".
  std::string virtual_host = "/";
  bool operator==(const AmqpAddress&) const = default;
};

/// amqp[s]://[user[:password]@]host[:port][/virtual host]; user, password and virtual host may be
/// percent-encoded, an IPv6 host stands in brackets. kUser error "bad_address" without the
/// password.
Result<AmqpAddress> ParseAmqpAddress(std::string_view url);

/// For TLS (amqps). Files in PEM format.
struct AmqpTlsOptions {
  std::string ca_path;  ///< roots: a file, or a directory as made by c_rehash; "" = system's
  std::string certificate_path;  ///< of the client, "" = none
  std::string key_path;          ///< of the client
  /// False: the certificate must come from a known authority, but may be for another host.
  bool verify_host = true;
};

}  // namespace capi::queue
