#include "capi/base/redact.h"

#include <algorithm>
#include <array>

namespace capi {

namespace {

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

bool IsSecretArgument(std::string_view name) {
  constexpr std::array<std::string_view, 9> kParts = {"signature", "token",      "password",
                                                      "passwd",    "secret",     "credential",
                                                      "apikey",    "access_key", "api_key"};
  const std::string lower = LowerCase(name);
  return lower == "sig" || lower == "key" ||
         std::any_of(kParts.begin(), kParts.end(), [&lower](std::string_view part) {
           return lower.find(part) != std::string::npos;
         });
}

/// Query and fragment, from the question mark on.
std::string RedactQuery(std::string_view query) {
  std::string shown;
  while (!query.empty()) {
    const size_t end = std::min(query.find_first_of("&;#", 1), query.size());
    const std::string_view argument = query.substr(0, end);
    const size_t equals = argument.find('=');
    const bool secret =
        equals != std::string_view::npos && IsSecretArgument(argument.substr(1, equals - 1));
    shown += secret ? argument.substr(0, equals + 1) : argument;
    if (secret) shown += kRedacted;
    query.remove_prefix(end);
  }
  return shown;
}

/// True for "host" and "host:port", where the port is a number.
bool IsHostAndPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find(']', colon) != std::string_view::npos) {
    return true;
  }
  return text.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
}

}  // namespace

std::string RedactPassword(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const size_t begin = scheme + 3;
  const size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  size_t at = url.substr(0, end).rfind('@');
  if ((at == std::string_view::npos || at < begin) &&
      !IsHostAndPort(url.substr(begin, end - begin))) {
    at = url.rfind('@');
  }
  if (at == std::string_view::npos || at < begin) return std::string(url);
  const size_t colon = url.find(':', begin);
  if (colon > at) return std::string(url);
  return std::string(url.substr(0, colon + 1)) + std::string(kRedacted) +
         std::string(url.substr(at));
}

std::string RedactUrl(std::string_view url) {
  const std::string shown = RedactPassword(url);
  const size_t scheme = shown.find("://");
  if (scheme == std::string::npos) return shown;
  const size_t query = std::min(shown.find('?', scheme), shown.size());
  return shown.substr(0, query) + RedactQuery(std::string_view(shown).substr(query));
}

}  // namespace capi
