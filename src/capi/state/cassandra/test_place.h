#pragma once

// The Cassandra of the unit tests: CAPI_TEST_CASSANDRA=host:port.

#include <atomic>
#include <memory>
#include <string>

#include "capi/base/status.h"
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

/// Passes everything on to `session` (which outlives it), but loses the answers of some conditional
/// writes: some of these were applied, some were not, and some are applied a little later, when the
/// caller may have tried again.
std::unique_ptr<cql::Session> NewLossySession(cql::Session* session);

/// While `begins` is set, the next conditional write is applied, but its answer is lost, and
/// everything after it fails until `lasts` is cleared.
struct Outage {
  std::atomic<bool> begins{false};
  std::atomic<bool> lasts{false};
};
std::unique_ptr<cql::Session> NewOutageSession(cql::Session* session, Outage* outage);

}  // namespace capi::state
