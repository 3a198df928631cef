#include "capi/service/connectivity.h"

#include <memory>
#include <utility>

#include "capi/service/cluster.h"
#include "capi/service/message_broker.h"

namespace capi::service {

namespace {

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
  CAPI_ASSIGN_OR_RETURN(const std::shared_ptr<Cluster> cluster,
                        Cluster::Connect(Env::Default(), config));
  Connectivity result;
  result.needed = true;
  result.endpoint = "[" + cluster->address() + "]";
  return result;
}

Result<Connectivity> CheckQueue(const config::Config& config) {
  if (QueueUrlOf(config).empty() && !UsesCluster(config)) {
    return Embedded(
        "the embedded engine needs no message queue; amqp.url (CAPI_AMQP_URL), or amqp10.url with "
        "amqp10.address, would configure one");
  }
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<queue::Broker> broker,
                        OpenBrokerOf(Env::Default(), config));
  Connectivity result;
  result.needed = true;
  CAPI_ASSIGN_OR_RETURN(result.endpoint, broker->Check());
  return result;
}

}  // namespace capi::service
