#include <algorithm>
#include <charconv>

#include "capi/base/redact.h"
#include "capi/files/address_internal.h"

namespace capi::files {

namespace {

constexpr std::string_view kSchemeEnd = "://";

bool IsSchemeCharacter(char c, bool first) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter || (!first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return Lower(c); });
  return lower;
}

/// Scheme in lower case, "" when the text is a plain path.
std::string SchemeText(std::string_view url) {
  const size_t end = url.find(kSchemeEnd);
  if (end == std::string_view::npos) return "";
  for (size_t i = 0; i < end; ++i) {
    if (!IsSchemeCharacter(url[i], i == 0)) return "";
  }
  return Lower(url.substr(0, end));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

Status BadAddress(std::string_view why, const std::string& url) {
  return UserError("bad_address", std::string(why) + ": " + Redacted(url));
}

/// "s3", "s3-eu-west-1", "s3.eu-west-1" and the like before ".amazonaws.com"; *bucket is what
/// stands before it.
bool SplitAmazonHost(std::string_view host, std::string* bucket) {
  for (const std::string_view suffix : {".amazonaws.com", ".amazonaws.com.cn"}) {
    if (!host.ends_with(suffix)) continue;
    const std::string_view front = host.substr(0, host.size() - suffix.size());
    // The service is the last label that begins with "s3", but a region may follow it.
    for (size_t begin = front.size(); begin != std::string_view::npos;) {
      const size_t dot = begin == 0 ? std::string_view::npos : front.rfind('.', begin - 1);
      const size_t label_begin = dot == std::string_view::npos ? 0 : dot + 1;
      const std::string_view label = front.substr(label_begin, begin - label_begin);
      if (label == "s3" || label.starts_with("s3-")) {
        *bucket = label_begin == 0 ? "" : std::string(front.substr(0, label_begin - 1));
        return true;
      }
      begin = dot;
    }
  }
  return false;
}

std::string WithoutLeadingSlashes(std::string_view text) {
  const size_t begin = text.find_first_not_of('/');
  return begin == std::string_view::npos ? "" : std::string(text.substr(begin));
}

}  // namespace

Scheme SchemeOf(const std::string& url) {
  const std::string scheme = SchemeText(url);
  if (scheme.empty() || scheme == "file") return Scheme::kLocal;
  if (scheme == "http") return Scheme::kHttp;
  if (scheme == "https") return Scheme::kHttps;
  if (scheme == "sftp") return Scheme::kSftp;
  if (scheme == "s3") return Scheme::kS3;
  return Scheme::kOther;
}

std::string LocalPath(const std::string& url) {
  const std::string scheme = SchemeText(url);
  return scheme == "file" ? url.substr(scheme.size() + kSchemeEnd.size()) : url;
}

std::string Redacted(const std::string& url) {
  const std::string scheme = SchemeText(url);
  if (scheme.empty() || scheme == "file") return url;
  std::string text = RedactPassword(url);
  // Queries carry tokens and signatures.
  const size_t query = text.find('?');
  if ((scheme == "http" || scheme == "https") && query != std::string::npos) {
    text.replace(query + 1, std::string::npos, kRedacted);
  }
  return text;
}

std::string RedactedText(std::string_view text) {
  std::string result;
  size_t at = 0;
  while (true) {
    const size_t end = text.find(kSchemeEnd, at);
    if (end == std::string_view::npos) break;
    size_t begin = end;
    while (begin > at && IsSchemeCharacter(text[begin - 1], false)) --begin;
    const size_t url_end = std::min(text.find_first_of(" \t\n\"'<>", end), text.size());
    result += text.substr(at, begin - at);
    result += Redacted(std::string(text.substr(begin, url_end - begin)));
    at = url_end;
  }
  return result + std::string(text.substr(at));
}

Result<std::string> RequireLocal(const std::string& url, std::string_view activity) {
  switch (SchemeOf(url)) {
    case Scheme::kLocal:
      break;
    case Scheme::kHttp:
    case Scheme::kHttps:
    case Scheme::kSftp:
    case Scheme::kS3:
      return UserError("unsupported_scheme",
                       std::string(activity) + " " + SchemeText(url) +
                           " addresses is not possible here: " + Redacted(url));
    case Scheme::kOther:
      return UserError("unsupported_scheme", "address has an unknown scheme: " + Redacted(url));
  }
  std::string path = LocalPath(url);
  if (path.empty()) return UserError("bad_address", "file address is empty");
  return path;
}

std::string RemoteAddress::Authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == 0 ? text : text + ":" + std::to_string(port);
}

Result<RemoteAddress> ParseRemote(const std::string& url) {
  RemoteAddress address;
  address.scheme = SchemeOf(url);
  const std::string scheme = SchemeText(url);
  if (scheme.empty()) return BadAddress("address has no scheme", url);
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x1F || c == 0x7F) {
      return BadAddress("address has a control character", url);
    }
  }
  const size_t begin = scheme.size() + kSchemeEnd.size();
  const bool is_web = address.scheme == Scheme::kHttp || address.scheme == Scheme::kHttps;
  size_t end = url.size();
  if (is_web) end = std::min(end, url.find('#', begin));
  const size_t authority_end = std::min(url.find_first_of("/?#", begin), end);
  std::string authority = url.substr(begin, authority_end - begin);
  const size_t at = authority.rfind('@');
  if (at != std::string::npos) {
    const std::string login = authority.substr(0, at);
    const size_t colon = login.find(':');
    address.user = PercentDecoded(login.substr(0, colon));
    if (colon != std::string::npos) address.password = PercentDecoded(login.substr(colon + 1));
    authority.erase(0, at + 1);
  }
  size_t host_end = authority.size();
  if (authority.starts_with('[')) {
    host_end = authority.find(']');
    if (host_end == std::string::npos) return BadAddress("address has an unclosed [", url);
    address.host = Lower(authority.substr(1, host_end - 1));
    ++host_end;
  } else {
    host_end = std::min(authority.find(':'), authority.size());
    address.host = Lower(authority.substr(0, host_end));
  }
  if (address.host.empty()) return BadAddress("address has no host", url);
  if (host_end < authority.size()) {
    const char* const first = authority.data() + host_end + 1;
    const char* const last = authority.data() + authority.size();
    const auto parsed = std::from_chars(first, last, address.port);
    if (authority[host_end] != ':' || parsed.ec != std::errc() || parsed.ptr != last ||
        address.port < 1 || address.port > 65535) {
      return BadAddress("address has a bad port", url);
    }
  }
  const size_t query = is_web ? url.find('?', authority_end) : std::string::npos;
  address.path = url.substr(authority_end, std::min(query, end) - authority_end);
  if (query < end) address.query = url.substr(query + 1, end - query - 1);
  return address;
}

bool IsS3(const std::string& url) {
  const Scheme scheme = SchemeOf(url);
  if (scheme == Scheme::kS3) return true;
  if (scheme != Scheme::kHttps) return false;
  const Result<RemoteAddress> address = ParseRemote(url);
  std::string bucket;
  return address.ok() && address->query.empty() && address->port == 0 && address->user.empty() &&
         SplitAmazonHost(address->host, &bucket);
}

Result<S3Address> ParseS3(const std::string& url) {
  CAPI_ASSIGN_OR_RETURN(const RemoteAddress address, ParseRemote(url));
  S3Address result;
  if (address.scheme == Scheme::kS3) {
    result.bucket = address.host;
    // Keys of s3:// addresses are not encoded.
    result.key = WithoutLeadingSlashes(address.path);
  } else {
    std::string path = PercentDecoded(WithoutLeadingSlashes(address.path));
    SplitAmazonHost(address.host, &result.bucket);
    if (result.bucket.empty()) {
      const size_t slash = path.find('/');
      result.bucket = path.substr(0, slash);
      path = slash == std::string::npos ? "" : path.substr(slash + 1);
    }
    result.key = std::move(path);
  }
  const bool usable = !result.bucket.empty() &&
                      result.bucket.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") ==
                          std::string::npos;
  if (!usable || !address.user.empty() || address.port != 0) {
    return BadAddress("address names no bucket", url);
  }
  if (result.key.empty()) return BadAddress("address names a bucket but no object", url);
  return result;
}

Scheme HandlerOf(const std::string& url) { return IsS3(url) ? Scheme::kS3 : SchemeOf(url); }

std::string PercentDecoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      result += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string PercentEncoded(std::string_view text, bool keep_slash) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
    if (plain) {
      result += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      result += '%';
      result += kHex[byte >> 4];
      result += kHex[byte & 0xF];
    }
  }
  return result;
}

}  // namespace capi::files
