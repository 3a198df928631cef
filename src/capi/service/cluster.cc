#include "capi/service/cluster.h"

#include <utility>

#include "capi/service/cassandra/cassandra_cluster.h"

namespace capi::service {

bool UsesCluster(const config::Config& config) { return !config.cassandra.hosts.empty(); }

Result<std::shared_ptr<Cluster>> Cluster::Connect([[maybe_unused]] Env* env,
                                                  [[maybe_unused]] const config::Config& config) {
#ifdef CAPI_WITH_CLUSTER
  return ConnectToCassandra(env, config.cassandra);
#else
  ErrorInfo info;
  info.kind = ErrorKind::kEnvironment;
  info.error_class = "no_cluster_support";
  return MakeError(std::move(info),
                   "a cluster is configured (cassandra.hosts), but this program was built without "
                   "the cluster back ends");
#endif
}

}  // namespace capi::service
