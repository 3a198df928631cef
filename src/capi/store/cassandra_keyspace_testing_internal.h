#pragma once

// The keyspace of a test program on the Cassandra of CAPI_TEST_CASSANDRA=host:port.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "capi/base/status.h"
#include "capi/store/blob_store.h"
#ifdef CAPI_WITH_CLUSTER
#include "capi/cql/session.h"
#include "capi/store/cassandra/cassandra_blob_store.h"
#endif

namespace capi::store {

/// Made when it is first needed, dropped at the end of the program.
class CassandraKeyspace {
 public:
#ifdef CAPI_WITH_CLUSTER
  static bool Available() { return std::getenv("CAPI_TEST_CASSANDRA") != nullptr; }

  static std::unique_ptr<BlobStore> OpenBlobs() {
    return OpenCassandraBlobStore(Get().session_.get(), Get().name_).ValueOrDie();
  }
  static cql::Session* session() { return Get().session_.get(); }
  static const std::string& name() { return Get().name_; }

 private:
  class Drop : public testing::Environment {
   public:
    void TearDown() override {
      const Status status = session()->ExecuteSchema("DROP KEYSPACE IF EXISTS " + name());
      EXPECT_TRUE(status.ok()) << status.ToString();
      Get().session_.reset();
    }
  };

  CassandraKeyspace() : name_("capi_store_test_" + std::to_string(getpid())) {
    cql::SessionOptions options;
    options.hosts = {std::getenv("CAPI_TEST_CASSANDRA")};
    options.consistency = "ONE";
    options.timeout_ms = 20000;
    options.connect_timeout_ms = 10000;
    session_ = cql::Session::Connect(options).ValueOrDie();
    Must("CREATE KEYSPACE IF NOT EXISTS " + name_ +
         " WITH REPLICATION = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}");
    for (int twice = 0; twice < 2; ++twice) {
      const Status created = CreateBlockTable(session_.get(), name_);
      if (!created.ok()) created.Abort();
    }
  }
  void Must(const std::string& cql) {
    const Status status = session_->ExecuteSchema(cql);
    if (!status.ok()) status.Abort();
  }
  static CassandraKeyspace& Get() {
    // Never destroyed: the session ends with the tests.
    static CassandraKeyspace* const keyspace = [] {
      auto* made = new CassandraKeyspace;
      testing::AddGlobalTestEnvironment(new Drop);
      return made;
    }();
    return *keyspace;
  }

  const std::string name_;
  std::unique_ptr<cql::Session> session_;
#else
  static bool Available() { return false; }
  static std::unique_ptr<BlobStore> OpenBlobs() { return nullptr; }
#endif
};

}  // namespace capi::store
