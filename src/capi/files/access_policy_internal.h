#pragma once

// Decides which addresses may be used: when an address is looked at, and again when a socket is
// about to be connected, because only then it is known where a name leads.

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/files/files_options.h"

namespace capi::files {

/// Immutable, thread-safe.
class AccessPolicy {
 public:
  /// kUser "bad_access_policy" for an entry that cannot be understood.
  static Result<AccessPolicy> Make(const AccessPolicyOptions& options);

  /// kUser "address_refused". Links are followed as far as the path exists.
  Status CheckPath(const std::string& path) const;
  /// A host as it stands in an address. kUser "address_refused".
  Status CheckHost(const std::string& host) const;
  /// What the host was resolved to (AF_INET or AF_INET6). kUser "address_refused".
  Status CheckSocketAddress(const std::string& host, const sockaddr* address) const;
  bool refuses_local_addresses() const { return refuse_local_; }

 private:
  /// IPv4 as IPv4-mapped IPv6.
  using Bytes = std::array<uint8_t, 16>;
  struct Network {
    Bytes bytes{};
    int prefix_bits = 0;
    bool Contains(const Bytes& address) const;
  };
  bool IsAllowedName(const std::string& host) const;
  static std::optional<Network> ParseNetwork(const std::string& text);

  std::vector<std::string> roots_;
  std::vector<std::string> names_;
  std::vector<Network> networks_;
  bool all_hosts_ = true;
  bool refuse_local_ = false;
};

}  // namespace capi::files
