#pragma once

// The Cassandra of the unit tests: CAPI_TEST_CASSANDRA=host:port.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/log.h"
#include "capi/cql/session.h"
#include "capi/state/cassandra/cassandra_store.h"

namespace capi::state {

inline constexpr const char* kTestReplication =
    "{'class': 'NetworkTopologyStrategy', 'datacenter1': 1}";

/// One keyspace with our tables for all tests of the process, because making one takes seconds.
class CassandraTestServer {
 public:
  static CassandraTestServer& Instance();
  static bool IsThere();
  static Result<std::unique_ptr<cql::Session>> Connect();

  const std::string& keyspace() const { return keyspace_; }
  cql::Session* session() { return session_.get(); }

 private:
  CassandraTestServer();
  ~CassandraTestServer();

  const std::string keyspace_;
  const std::unique_ptr<cql::Session> session_;
};

}  // namespace capi::state
