#include "capi/queue/amqp_address.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "capi/base/redact.h"

namespace capi::queue {

namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

/// Host and port of the part between '@' and the path; false when malformed.
bool SplitHost(std::string_view text, AmqpAddress* address) {
  size_t colon = text.rfind(':');
  if (!text.empty() && text.front() == '[') {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return false;
    address->host = text.substr(1, bracket - 1);
    text.remove_prefix(bracket + 1);
    if (!text.empty() && text.front() != ':') return false;
    colon = text.empty() ? std::string_view::npos : 0;
  } else {
    address->host = text.substr(0, colon);
    if (address->host.find(':') != std::string::npos) return false;
  }
  if (address->host.empty()) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address->port);
  return error == std::errc() && end == port.data() + port.size() && address->port > 0 &&
         address->port < 65536;
}

}  // namespace

Result<AmqpAddress> ParseAmqpAddress(std::string_view url) {
  const auto bad = [url](std::string_view what) {
    return UserError("bad_address", "broker address: " + std::string(what) + ": \"" +
                                        RedactUrl(url) +
                                        "\" (amqp[s]://user:password@host:port/virtual_host)");
  };
  AmqpAddress address;
  std::string_view rest = url;
  constexpr std::string_view kPlain = "amqp://";
  constexpr std::string_view kTls = "amqps://";
  if (rest.starts_with(kTls)) {
    address.tls = true;
    address.port = 5671;
    rest.remove_prefix(kTls.size());
  } else if (rest.starts_with(kPlain)) {
    rest.remove_prefix(kPlain.size());
  } else {
    return bad("it begins neither with amqp:// nor with amqps://");
  }
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return bad("it has arguments behind a question mark or number sign");
  }
  if (std::any_of(rest.begin(), rest.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= ' '; })) {
    return bad("it contains a blank or control character");
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    const auto name = Decoded(rest.substr(slash + 1));
    if (!name) return bad("the virtual host is not percent-encoded well");
    if (!name->empty()) address.virtual_host = *name;
    rest = rest.substr(0, slash);
  }
  const size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view login = rest.substr(0, at);
    const size_t colon = login.find(':');
    const auto user = Decoded(login.substr(0, colon));
    const auto password = colon == std::string_view::npos ? std::optional<std::string>("")
                                                          : Decoded(login.substr(colon + 1));
    if (!user || !password) return bad("user or password is not percent-encoded well");
    if (user->empty()) return bad("it has a password but no user");
    address.user = *user;
    address.password = *password;
    rest.remove_prefix(at + 1);
  }
  if (!SplitHost(rest, &address)) return bad("host or port is wrong");
  return address;
}

}  // namespace capi::queue
