#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "capi/base/status.h"
#include "capi/cql/cassandra_test.h"

namespace capi::cql {
namespace {

std::vector<std::string> Split(const char* text) {
  std::vector<std::string> parts;
  std::istringstream stream(text == nullptr ? "" : text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

/// Three nodes, of which some are stopped in their tracks (SIGSTOP): addresses and process ids in
/// CAPI_TEST_CASSANDRA_NODES and CAPI_TEST_CASSANDRA_PIDS, with commas.
class NodesTest : public testing::Test {
 protected:
  void SetUp() override {
    hosts_ = Split(std::getenv("CAPI_TEST_CASSANDRA_NODES"));
    for (const std::string& pid : Split(std::getenv("CAPI_TEST_CASSANDRA_PIDS"))) {
      pids_.push_back(std::atoi(pid.c_str()));
    }
    if (hosts_.empty()) GTEST_SKIP() << "CAPI_TEST_CASSANDRA_NODES and _PIDS are not set";
    ASSERT_EQ(hosts_.size(), 3U);
    ASSERT_EQ(pids_.size(), 3U);
    session_ = Connect(60000);
    CAPI_ASSERT_OK(
        session_->ExecuteSchema("CREATE KEYSPACE IF NOT EXISTS cqltest_nodes WITH REPLICATION = "
                                "{'class': 'NetworkTopologyStrategy', 'datacenter1': 3}"));
    CAPI_ASSERT_OK(session_->ExecuteSchema(
        "CREATE TABLE IF NOT EXISTS cqltest_nodes.t (k int PRIMARY KEY, v int)"));
  }
  void TearDown() override {
    for (const int pid : pids_) kill(pid, SIGCONT);
    if (session_ == nullptr) return;
    CAPI_ASSERT_OK(session_->ExecuteSchema("DROP KEYSPACE cqltest_nodes"));
  }
  std::unique_ptr<Session> Connect(int64_t retry_budget_ms) const {
    SessionOptions options;
    // Another node than the one that the tests leave running must be found.
    options.hosts = {hosts_[0]};
    options.timeout_ms = 3000;
    options.connect_timeout_ms = 10000;
    options.retry_budget_ms = retry_budget_ms;
    auto session = Session::Connect(options);
    EXPECT_TRUE(session.ok()) << Describe(session.status());
    return session.ok() ? std::move(*session) : nullptr;
  }
  StatementPtr Insert(Session* session) const {
    return *session->Prepare("INSERT INTO cqltest_nodes.t (k, v) VALUES (?, ?)", true);
  }
  StatementPtr Update(Session* session) const {
    return *session->Prepare("UPDATE cqltest_nodes.t SET v = ? WHERE k = ? IF v = ?", false);
  }

  std::vector<std::string> hosts_;
  std::vector<int> pids_;
  std::unique_ptr<Session> session_;
};

TEST_F(NodesTest, AQuorumIsEnough) {
  const StatementPtr insert = Insert(session_.get());
  const StatementPtr select = *session_->Prepare("SELECT v FROM cqltest_nodes.t WHERE k = ?", true);
  BulkWriter writer(session_.get());
  for (int key = 0; key < 300; ++key) {
    if (key == 100) kill(pids_[2], SIGSTOP);
    CAPI_ASSERT_OK(writer.Add({insert, Values().Int(key).Int(key), {}}));
  }
  CAPI_ASSERT_OK(writer.Finish());
  for (int key = 0; key < 300; key += 50) {
    const auto rows = session_->Execute({select, Values().Int(key), {}});
    ASSERT_TRUE(rows.ok()) << Describe(rows.status());
    ASSERT_EQ(rows->size(), 1);
    EXPECT_EQ(rows->Integer(0, 0), key);
  }
}

TEST_F(NodesTest, WithoutAQuorumNothingIsPromised) {
  const auto impatient = Connect(2000);
  ASSERT_NE(impatient, nullptr);
  const StatementPtr insert = Insert(impatient.get());
  const StatementPtr update = Update(impatient.get());
  CAPI_ASSERT_OK(impatient->Execute({insert, Values().Int(1).Int(1), {}}).status());
  kill(pids_[1], SIGSTOP);
  kill(pids_[2], SIGSTOP);
  const Status write = impatient->Execute({insert, Values().Int(2).Int(2), {}}).status();
  EXPECT_EQ(KindOf(write), ErrorKind::kRetriable);
  EXPECT_EQ(ErrorClassOf(write), "cql_unavailable") << Describe(write);
  // Until the nodes are known to be down it is sent and not decided; later it is refused at once.
  const auto outcome = impatient->ExecuteConditional({{update, Values().Int(2).Int(1).Int(1), {}}});
  EXPECT_EQ(KindOf(outcome.status()), ErrorKind::kRetriable);
  const std::string error_class = ErrorClassOf(outcome.status());
  EXPECT_TRUE(error_class == "cql_uncertain" || error_class == "cql_unavailable") << error_class;
  kill(pids_[1], SIGCONT);
  kill(pids_[2], SIGCONT);
  // The other session has patience.
  CAPI_ASSERT_OK(session_->Execute({Insert(session_.get()), Values().Int(3).Int(3), {}}).status());
  CAPI_ASSERT_OK(
      session_
          ->Execute(
              {*session_->Prepare("SELECT v FROM cqltest_nodes.t", true), {}, Consistency::kAll})
          .status());
}

TEST_F(NodesTest, RequestsWaitForAQuorum) {
  const StatementPtr insert = Insert(session_.get());
  kill(pids_[1], SIGSTOP);
  kill(pids_[2], SIGSTOP);
  std::thread waker([this] {
    while (session_->counters().retries == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill(pids_[1], SIGCONT);
  });
  const Status status = session_->Execute({insert, Values().Int(9).Int(9), {}}).status();
  waker.join();
  CAPI_ASSERT_OK(status);
}

}  // namespace
}  // namespace capi::cql
