#include "capi/service/connectivity.h"

#include <algorithm>

#include "capi/base/redact.h"
#include "capi/service/keyspace.h"

namespace capi::service {

namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Connectivity Embedded(std::string note) {
  Connectivity result;
  result.endpoint = "embedded";
  result.note = std::move(note);
  return result;
}

}  // namespace

Result<Connectivity> CheckDatabase(const config::Config& config) {
  if (!UsesCluster(config)) {
    return Embedded(
        "the embedded engine needs no database; cassandra.hosts (CAPI_CASSANDRA_HOSTS) would "
        "configure one");
  }
  std::string hosts;
  for (const std::string& host : config.cassandra.hosts) hosts += (hosts.empty() ? "" : " ") + host;
  return EnvironmentError("this version has no client for Cassandra and cannot connect to [" +
                          hosts + "] (cassandra.hosts)");
}

Result<Connectivity> CheckQueue(const config::Config& config) {
  const std::string url = QueueUrlOf(config);
  if (!url.empty()) {
    return EnvironmentError("this version has no client for message queues and cannot connect to " +
                            RedactUrl(url));
  }
  if (UsesCluster(config)) {
    return UserError("no_queue",
                     "a cluster is configured (cassandra.hosts), but no queue for it: amqp.url "
                     "(CAPI_AMQP_URL), or amqp10.url with amqp10.address, is missing");
  }
  return Embedded(
      "the embedded engine needs no message queue; amqp.url (CAPI_AMQP_URL), or amqp10.url with "
      "amqp10.address, would configure one");
}

std::string QueueUrlOf(const config::Config& config) {
  const std::string type = Lower(config.mq_type);
  if (type == "capimq") return config.capimq_client.url;
  const std::string amqp10 = config.amqp10.address.empty() ? "" : config.amqp10.url;
  if (type == "amqp10") return amqp10;
  if (type == "amqp") return config.amqp.url;
  if (!amqp10.empty()) return amqp10;
  return config.amqp.url.empty() ? config.capimq_client.url : config.amqp.url;
}

}  // namespace capi::service
