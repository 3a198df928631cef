#pragma once

// Cassandra as the database of a cluster. Defined only with the cluster back ends.

#include <memory>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/service/cluster.h"

namespace capi::service {

Result<std::shared_ptr<Cluster>> ConnectToCassandra(Env* env,
                                                    const config::CassandraSettings& settings);

}  // namespace capi::service
