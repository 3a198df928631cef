#include "capi/state/cassandra/test_place.h"

#include <unistd.h>

#include <cstdlib>

#include "capi/state/test_stores.h"

namespace capi::state {

namespace {

/// A place of the keyspace below; its stores have a session each.
class CassandraPlace final : public TestPlace {
 public:
  Result<std::unique_ptr<StateStore>> Open() override {
    const CassandraTestServer& server = CassandraTestServer::Instance();
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<cql::Session> session, server.Connect());
    CassandraStoreOptions options;
    options.keyspace = server.keyspace();
    auto store = OpenCassandraStore(Env::Default(), session.get(), options);
    sessions_.push_back(std::move(session));
    return store;
  }

 private:
  std::vector<std::unique_ptr<cql::Session>> sessions_;
};

}  // namespace

CassandraTestServer& CassandraTestServer::Instance() {
  static CassandraTestServer server;
  return server;
}

bool CassandraTestServer::IsThere() { return std::getenv("CAPI_TEST_CASSANDRA") != nullptr; }

Result<std::unique_ptr<cql::Session>> CassandraTestServer::Connect() {
  cql::SessionOptions options;
  options.hosts = {std::getenv("CAPI_TEST_CASSANDRA")};
  options.timeout_ms = 20000;  // the machine may be busy
  return cql::Session::Connect(options);
}

CassandraTestServer::CassandraTestServer()
    : keyspace_("capi_state_test_" + std::to_string(getpid())), session_(*Connect()) {
  CassandraStoreOptions options;
  options.keyspace = keyspace_;
  options.replication = kTestReplication;
  options.create = true;
  const Status created = OpenCassandraStore(Env::Default(), session_.get(), options).status();
  if (!created.ok()) created.Abort();
}

CassandraTestServer::~CassandraTestServer() {
  const Status dropped = DropCassandraKeyspace(session_.get(), keyspace_);
  if (!dropped.ok()) LogError(Describe(dropped));
}

std::unique_ptr<TestPlace> NewCassandraPlace() {
  if (!CassandraTestServer::IsThere()) return nullptr;
  return std::make_unique<CassandraPlace>();
}

}  // namespace capi::state
