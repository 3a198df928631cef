#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "capi/files/access_policy_internal.h"

namespace capi::files {

namespace {

constexpr int kMappedBits = 96;

/// What a script from the network has no business with. Clouds keep credentials at link-local and
/// some other well-known addresses.
constexpr std::array kRefusedNetworks = {
    "0.0.0.0/8",            // this network
    "127.0.0.0/8",          // loopback
    "169.254.0.0/16",       // link-local, metadata services
    "100.100.100.200",      // metadata service of Alibaba
    "192.0.0.192",          // metadata service of Oracle
    "168.63.129.16",        // host services of Azure
    "224.0.0.0/4",          // multicast
    "255.255.255.255",      // broadcast
    "::",                   // unspecified
    "::1",                  // loopback
    "fe80::/10",            // link-local
    "ff00::/8",             // multicast
    "fd00:ec2::/32",        // metadata service of Amazon
    "64:ff9b::7f00:0/104",  // loopback behind NAT64
    "64:ff9b::a9fe:0/112",  // link-local behind NAT64
};

Status Refused(const std::string& what) {
  return UserError("address_refused", "the access policy does not allow this address: " + what);
}

std::string LowerText(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

Result<std::string> Canonical(const std::string& path) {
  std::error_code error;
  std::filesystem::path canonical = std::filesystem::absolute(path, error);
  if (!error) canonical = std::filesystem::weakly_canonical(canonical, error);
  if (error) return UserError("address_refused", "cannot follow the path: " + path);
  std::string text = canonical.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

bool AccessPolicy::Network::Contains(const Bytes& address) const {
  for (int bit = 0; bit < prefix_bits; bit += 8) {
    const int rest = std::min(8, prefix_bits - bit);
    const int mask = 0xFF00 >> rest & 0xFF;
    if (((bytes[static_cast<size_t>(bit / 8)] ^ address[static_cast<size_t>(bit / 8)]) & mask) !=
        0) {
      return false;
    }
  }
  return true;
}

std::optional<AccessPolicy::Network> AccessPolicy::ParseNetwork(const std::string& text) {
  Network network;
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  int offset = 0;
  if (inet_pton(AF_INET6, address.c_str(), network.bytes.data()) != 1) {
    network.bytes = {};
    network.bytes[10] = 0xFF;
    network.bytes[11] = 0xFF;
    if (inet_pton(AF_INET, address.c_str(), network.bytes.data() + 12) != 1) return std::nullopt;
    offset = kMappedBits;
  }
  network.prefix_bits = 128;
  if (slash != std::string::npos) {
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + slash + 1, end, network.prefix_bits);
    network.prefix_bits += offset;
    if (parsed.ec != std::errc() || parsed.ptr != end || network.prefix_bits < offset ||
        network.prefix_bits > 128) {
      return std::nullopt;
    }
  }
  return network;
}

Result<AccessPolicy> AccessPolicy::Make(const AccessPolicyOptions& options) {
  AccessPolicy policy;
  policy.refuse_local_ = options.refuse_local_addresses;
  for (const std::string& root : options.roots) {
    CAPI_ASSIGN_OR_RETURN(std::string canonical, Canonical(root));
    policy.roots_.push_back(std::move(canonical));
  }
  policy.all_hosts_ = options.hosts.empty();
  for (const std::string& entry : options.hosts) {
    std::string host = LowerText(entry);
    if (host.size() > 1 && host.starts_with('[') && host.ends_with(']')) {
      host = host.substr(1, host.size() - 2);
    }
    if (const std::optional<Network> network = ParseNetwork(host)) {
      policy.networks_.push_back(*network);
      continue;
    }
    const std::string name = host.starts_with("*.") ? host.substr(1) : host;
    if (name.empty() || name.find_first_of("*/:@ ") != std::string::npos) {
      return UserError("bad_access_policy",
                       "an allowed host must be a name, an address or a network: " + entry);
    }
    if (host == "localhost") {
      for (const char* loopback : {"127.0.0.0/8", "::1"}) {
        policy.networks_.push_back(*ParseNetwork(loopback));
      }
    }
    policy.names_.push_back(std::move(host));
  }
  return policy;
}

Status AccessPolicy::CheckPath(const std::string& path) const {
  if (roots_.empty()) return Status::OK();
  CAPI_ASSIGN_OR_RETURN(const std::string canonical, Canonical(path));
  for (const std::string& root : roots_) {
    if (root == "/" || canonical == root || canonical.starts_with(root + "/")) {
      return Status::OK();
    }
  }
  return Refused(path);
}

bool AccessPolicy::IsAllowedName(const std::string& host) const {
  const std::string name = LowerText(host);
  return std::any_of(names_.begin(), names_.end(), [&name](const std::string& entry) {
    return entry.starts_with("*.") ? name.ends_with(entry.substr(1)) : name == entry;
  });
}

Status AccessPolicy::CheckHost(const std::string& host) const {
  if (const std::optional<Network> literal = ParseNetwork(host)) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    std::memcpy(&address.sin6_addr, literal->bytes.data(), literal->bytes.size());
    return CheckSocketAddress(host, reinterpret_cast<const sockaddr*>(&address));
  }
  // Whether a network that is allowed contains it is known when the name has been resolved.
  if (all_hosts_ || !networks_.empty() || IsAllowedName(host)) return Status::OK();
  return Refused(host);
}

Status AccessPolicy::CheckSocketAddress(const std::string& host, const sockaddr* address) const {
  if (all_hosts_ && !refuse_local_) return Status::OK();
  Bytes bytes{};
  if (address->sa_family == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
  } else if (address->sa_family == AF_INET) {
    bytes[10] = 0xFF;
    bytes[11] = 0xFF;
    std::memcpy(bytes.data() + 12, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
  } else {
    return Refused("address family " + std::to_string(address->sa_family));
  }
  for (const Network& network : networks_) {
    if (network.Contains(bytes)) return Status::OK();
  }
  if (!all_hosts_ && !IsAllowedName(host)) return Refused(host);
  if (!refuse_local_) return Status::OK();
  for (const char* refused : kRefusedNetworks) {
    if (!ParseNetwork(refused)->Contains(bytes)) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const bool mapped = ParseNetwork("0.0.0.0/0")->Contains(bytes);
    inet_ntop(mapped ? AF_INET : AF_INET6, bytes.data() + (mapped ? kMappedBits / 8 : 0),
              text.data(), text.size());
    return Refused(host == text.data() ? host : host + " (" + text.data() + ")");
  }
  return Status::OK();
}

}  // namespace capi::files
