#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "capi/files/address_internal.h"
#include "capi/files/s3_protocol_internal.h"
#include "capi/files/sha256.h"

namespace capi::files {

namespace {

std::string ReplaceEntities(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
      {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
  std::string result;
  for (size_t i = 0; i < text.size();) {
    bool replaced = false;
    for (const auto& [entity, character] : kEntities) {
      if (text.substr(i).starts_with(entity)) {
        result += character;
        i += entity.size();
        replaced = true;
        break;
      }
    }
    if (replaced) continue;
    if (text.substr(i).starts_with("&#")) {
      const size_t end = text.find(';', i);
      const bool hex = i + 2 < text.size() && text[i + 2] == 'x';
      if (end != std::string_view::npos) {
        const std::string digits(text.substr(i + (hex ? 3 : 2), end - i - (hex ? 3 : 2)));
        const unsigned long code = std::strtoul(digits.c_str(), nullptr, hex ? 16 : 10);
        if (code < 0x80) {
          result += static_cast<char>(code);
          i = end + 1;
          continue;
        }
      }
    }
    result += text[i++];
  }
  return result;
}

std::string Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

}  // namespace

std::string EnvironmentVariable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string CanonicalQuery(const S3Query& query) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : query) {
    parts.push_back(PercentEncoded(name, false) + "=" + PercentEncoded(value, false));
  }
  std::sort(parts.begin(), parts.end());
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "&") + part;
  return text;
}

Status SignS3Request(const AwsCredentials& credentials, const std::string& region,
                     int64_t now_seconds, HttpRequest* request) {
  CAPI_ASSIGN_OR_RETURN(RemoteAddress address, ParseRemote(request->url));
  // The usual port is not sent in the header Host.
  if (address.port == (address.scheme == Scheme::kHttps ? 443 : 80)) address.port = 0;
  const auto seconds = static_cast<time_t>(now_seconds);
  tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 24> stamp{};
  std::strftime(stamp.data(), stamp.size(), "%Y%m%dT%H%M%SZ", &parts);
  const std::string time = stamp.data();
  const std::string date = time.substr(0, 8);

  const std::string payload_hash = Sha256Hex(request->body);
  std::vector<std::pair<std::string, std::string>> headers = {
      {"host", address.Authority()},
      {"x-amz-content-sha256", payload_hash},
      {"x-amz-date", time},
  };
  if (!credentials.session_token.empty()) {
    headers.emplace_back("x-amz-security-token", credentials.session_token);
  }
  std::string canonical_headers;
  std::string signed_names;
  for (const auto& [name, value] : headers) {
    canonical_headers += name + ":" + value + "\n";
    signed_names += (signed_names.empty() ? "" : ";") + name;
    if (name != "host") request->headers.push_back(name + ": " + value);
  }
  const std::string canonical =
      request->method + "\n" + (address.path.empty() ? "/" : address.path) + "\n" + address.query +
      "\n" + canonical_headers + "\n" + signed_names + "\n" + payload_hash;
  const std::string scope = date + "/" + region + "/s3/aws4_request";
  const std::string text = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + Sha256Hex(canonical);
  std::string key = "AWS4" + credentials.secret_key;
  for (const std::string& step : {date, region, std::string("s3"), std::string("aws4_request")}) {
    key = HmacSha256(key, step);
  }
  request->headers.push_back(
      "Authorization: AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + scope +
      ", SignedHeaders=" + signed_names + ", Signature=" + HexOf(HmacSha256(key, text)));
  return Status::OK();
}

std::vector<std::string_view> XmlElements(std::string_view xml, std::string_view tag) {
  const std::string open = "<" + std::string(tag) + ">";
  const std::string close = "</" + std::string(tag) + ">";
  std::vector<std::string_view> elements;
  size_t at = 0;
  while ((at = xml.find(open, at)) != std::string_view::npos) {
    at += open.size();
    const size_t end = xml.find(close, at);
    if (end == std::string_view::npos) break;
    elements.push_back(xml.substr(at, end - at));
    at = end + close.size();
  }
  return elements;
}

std::optional<std::string> XmlText(std::string_view xml, std::string_view tag) {
  const std::vector<std::string_view> elements = XmlElements(xml, tag);
  if (elements.empty()) return std::nullopt;
  return ReplaceEntities(elements.front());
}

std::string ConfiguredS3Region() {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (const std::string region = EnvironmentVariable(name); !region.empty()) return region;
  }
  std::string path = EnvironmentVariable("AWS_CONFIG_FILE");
  if (path.empty()) path = EnvironmentVariable("HOME") + "/.aws/config";
  std::string profile = EnvironmentVariable("AWS_PROFILE");
  if (profile.empty()) profile = "default";
  std::ifstream file(path);
  std::string line;
  bool inside = false;
  while (std::getline(file, line)) {
    line = Trimmed(line);
    if (line.starts_with('[')) {
      const std::string name = Trimmed(line.substr(1, line.find(']') - 1));
      inside = name == profile || name == "profile " + profile;
    } else if (inside && line.starts_with("region")) {
      const size_t equals = line.find('=');
      if (equals != std::string::npos && Trimmed(line.substr(0, equals)) == "region") {
        return Trimmed(line.substr(equals + 1));
      }
    }
  }
  return "";
}

}  // namespace capi::files
