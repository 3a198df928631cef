#pragma once

// Sessions and keyspaces for the unit tests that need a real Cassandra. Its address is given by
// CAPI_TEST_CASSANDRA=host:port; without it the tests are skipped.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "capi/cql/session.h"

#define CAPI_ASSERT_OK(expr)                                          \
  do {                                                                \
    const ::capi::Status capi_status_ = (expr);                       \
    ASSERT_TRUE(capi_status_.ok()) << ::capi::Describe(capi_status_); \
  } while (false)

namespace capi::cql {

inline std::string CassandraAddress() {
  const char* const address = std::getenv("CAPI_TEST_CASSANDRA");
  return address == nullptr ? "" : address;
}

/// For a busy machine: what is slow here must not fail.
inline SessionOptions TestOptions() {
  SessionOptions options;
  options.hosts = {CassandraAddress()};
  options.consistency = "ONE";
  options.timeout_ms = 20000;
  options.connect_timeout_ms = 10000;
  return options;
}

/// A session and a keyspace of its own for one test suite.
class CassandraTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (CassandraAddress().empty()) return;
    auto session = Session::Connect(TestOptions());
    ASSERT_TRUE(session.ok()) << Describe(session.status());
    session_ = session->release();
    keyspace_ = "cqltest_" + std::to_string(getpid());
    CAPI_ASSERT_OK(session_->ExecuteSchema(
        "CREATE KEYSPACE IF NOT EXISTS " + keyspace_ +
        " WITH REPLICATION = {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}"));
  }
  static void TearDownTestSuite() {
    if (session_ == nullptr) return;
    const Status status = session_->ExecuteSchema("DROP KEYSPACE IF EXISTS " + keyspace_);
    EXPECT_TRUE(status.ok()) << Describe(status);
    delete session_;
    session_ = nullptr;
  }
  void SetUp() override {
    if (CassandraAddress().empty()) GTEST_SKIP() << "CAPI_TEST_CASSANDRA is not set";
    ASSERT_NE(session_, nullptr);
  }

  static std::string Table(const std::string& name) { return keyspace_ + "." + name; }
  static void CreateTable(const std::string& name, const std::string& columns) {
    CAPI_ASSERT_OK(session_->ExecuteSchema("CREATE TABLE IF NOT EXISTS " + Table(name) + " (" +
                                           columns + ")"));
  }
  static StatementPtr Prepare(const std::string& cql, bool idempotent = true) {
    auto statement = session_->Prepare(cql, idempotent);
    EXPECT_TRUE(statement.ok()) << Describe(statement.status());
    return statement.ValueOr(nullptr);
  }
  static Rows Execute(const std::string& cql, Values values = {}) {
    auto rows = session_->Execute({Prepare(cql), std::move(values), Consistency::kDefault});
    EXPECT_TRUE(rows.ok()) << Describe(rows.status());
    return rows.ValueOr(Rows());
  }

  static inline Session* session_ = nullptr;
  static inline std::string keyspace_;
};

}  // namespace capi::cql
