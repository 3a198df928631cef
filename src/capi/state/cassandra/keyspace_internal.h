#pragma once

#include <string>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/cql/session.h"

namespace capi::state {

/// Makes what is missing; safe when several processes do it at once.
Status CreateCassandraSchema(Env* env, cql::Session* session, const std::string& keyspace,
                             const std::string& replication);
/// OK if all tables are there with all columns; errors as OpenCassandraStore.
Status CheckCassandraSchema(cql::Session* session, const std::string& keyspace);

}  // namespace capi::state
