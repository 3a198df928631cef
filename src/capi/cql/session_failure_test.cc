#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "capi/base/status.h"
#include "capi/cql/cassandra_test.h"
#include "capi/cql/tcp_proxy_test.h"

namespace capi::cql {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

Status ConnectStatus(const SessionOptions& options) { return Session::Connect(options).status(); }

TEST(ConnectTest, WrongOptionsAreTheUsersErrors) {
  SessionOptions options;
  EXPECT_EQ(ErrorClassOf(ConnectStatus(options)), "cql_invalid");
  options.hosts = {"127.0.0.1"};
  options.consistency = "quorum";
  EXPECT_EQ(ErrorClassOf(ConnectStatus(options)), "cql_invalid");
  options.consistency = "SERIAL";
  EXPECT_EQ(ErrorClassOf(ConnectStatus(options)), "cql_invalid");
  options.consistency = "QUORUM";
  options.use_tls = true;
  options.tls.ca_path = "/nonexistent/ca.pem";
  const Status status = ConnectStatus(options);
  EXPECT_EQ(ErrorClassOf(status), "cql_invalid");
  EXPECT_NE(status.message().find("/nonexistent/ca.pem"), std::string::npos) << status.message();
  options.tls.ca_path = "";
  options.tls.certificate_path = "/nonexistent/cert.pem";
  EXPECT_EQ(ErrorClassOf(ConnectStatus(options)), "cql_invalid");
  options.tls.certificate_path = "";
  options.tls.key_path = "/nonexistent/key.pem";
  EXPECT_EQ(ErrorClassOf(ConnectStatus(options)), "cql_invalid");
}

TEST(ConnectTest, UnreachableServersMayComeLater) {
  SessionOptions options;
  options.hosts = {"127.0.0.1:1"};
  Status status = ConnectStatus(options);
  EXPECT_EQ(KindOf(status), ErrorKind::kRetriable);
  EXPECT_EQ(ErrorClassOf(status), "cql_unavailable");
  EXPECT_NE(status.message().find("127.0.0.1:1"), std::string::npos) << status.message();
  options.hosts = {"no-such-host.invalid"};
  status = ConnectStatus(options);
  EXPECT_EQ(ErrorClassOf(status), "cql_unavailable");
  EXPECT_NE(status.message().find("no-such-host.invalid:9042"), std::string::npos);
}

class FailureTest : public CassandraTest {
 protected:
  void SetUp() override {
    CassandraTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    CreateTable("failure", "k int PRIMARY KEY, v int");
    proxy_ = std::make_unique<TcpProxy>(CassandraAddress());
  }
  void Connect(int64_t timeout_ms, int64_t retry_budget_ms) {
    SessionOptions options = TestOptions();
    options.hosts = {proxy_->address()};
    // The server tells its own address; this keeps the way through the proxy.
    options.only_contact_points = true;
    options.timeout_ms = timeout_ms;
    options.retry_budget_ms = retry_budget_ms;
    auto session = Session::Connect(options);
    ASSERT_TRUE(session.ok()) << Describe(session.status());
    proxied_ = std::move(*session);
    insert_ = Proxied("INSERT INTO " + Table("failure") + " (k, v) VALUES (?, ?)", true);
    select_ = Proxied("SELECT v FROM " + Table("failure") + " WHERE k = ?", true);
    once_ = Proxied("UPDATE " + Table("failure") + " SET v = ? WHERE k = ? IF v = ?", false);
  }
  StatementPtr Proxied(const std::string& cql, bool idempotent) {
    auto statement = proxied_->Prepare(cql, idempotent);
    EXPECT_TRUE(statement.ok()) << Describe(statement.status());
    return statement.ValueOr(nullptr);
  }
  Status Write(int key, int value) {
    return proxied_->Execute({insert_, Values().Int(key).Int(value), {}}).status();
  }
  Result<Session::Outcome> CompareAndSet(int key, int from, int to) {
    return proxied_->ExecuteConditional({{once_, Values().Int(to).Int(key).Int(from), {}}});
  }
  /// Begins a request and gives what becomes of it.
  struct Later {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Status> status;
    Status Await() {
      std::unique_lock lock(mutex);
      ready.wait(lock, [&] { return status.has_value(); });
      return *status;
    }
  };
  std::shared_ptr<Later> Begin(Request request) {
    auto later = std::make_shared<Later>();
    proxied_->Begin(std::move(request), [later](Result<Rows> rows) {
      const std::lock_guard lock(later->mutex);
      later->status = rows.status();
      later->ready.notify_all();
    });
    return later;
  }
  template <typename Condition>
  static void AwaitUntil(Condition condition) {
    const auto end = steady_clock::now() + seconds(60);
    while (!condition()) {
      ASSERT_LT(steady_clock::now(), end);
      std::this_thread::sleep_for(milliseconds(2));
    }
  }

  std::unique_ptr<TcpProxy> proxy_;
  std::unique_ptr<Session> proxied_;
  StatementPtr insert_;
  StatementPtr select_;
  StatementPtr once_;
};

TEST_F(FailureTest, ASilentServerEndsTheBudgetOfIdempotentRequests) {
  Connect(1000, 4000);
  CAPI_ASSERT_OK(Write(1, 1));
  proxy_->Stall();
  const auto begun = steady_clock::now();
  const Status status = Write(1, 2);
  const auto took = steady_clock::now() - begun;
  EXPECT_EQ(KindOf(status), ErrorKind::kRetriable);
  EXPECT_EQ(ErrorClassOf(status), "cql_unavailable") << Describe(status);
  EXPECT_NE(status.message().find("INSERT INTO"), std::string::npos);
  EXPECT_GE(took, milliseconds(2000));
  EXPECT_GE(proxied_->counters().retries, 2);
  EXPECT_LT(proxied_->counters().window, TestOptions().max_requests_in_flight);
  EXPECT_EQ(proxied_->counters().in_flight, 0);
  proxy_->Resume();
  CAPI_ASSERT_OK(Write(1, 3));
}

TEST_F(FailureTest, IdempotentRequestsOutliveAStall) {
  Connect(1000, 60000);
  proxy_->Stall();
  const auto later = Begin({insert_, Values().Int(2).Int(7), {}});
  AwaitUntil([&] { return proxied_->counters().retries >= 2; });
  proxy_->Resume();
  CAPI_ASSERT_OK(later->Await());
  const Rows rows = Execute("SELECT v FROM " + Table("failure") + " WHERE k = 2");
  ASSERT_EQ(rows.size(), 1);
  EXPECT_EQ(rows.Integer(0, 0), 7);
}

TEST_F(FailureTest, AConditionalWriteWithoutAnAnswerIsUncertain) {
  Connect(3000, 60000);
  CAPI_ASSERT_OK(Write(3, 1));
  proxy_->SwallowAnswers();
  const int64_t retries = proxied_->counters().retries;
  const auto outcome = CompareAndSet(3, 1, 2);
  EXPECT_EQ(KindOf(outcome.status()), ErrorKind::kRetriable);
  EXPECT_EQ(ErrorClassOf(outcome.status()), "cql_uncertain") << Describe(outcome.status());
  EXPECT_EQ(proxied_->counters().retries, retries);
  // This one was applied; a serial read tells.
  const auto now = session_->Execute(
      {Prepare("SELECT v FROM " + Table("failure") + " WHERE k = 3"), {}, Consistency::kSerial});
  ASSERT_TRUE(now.ok());
  EXPECT_EQ(now->Integer(0, 0), 2);
}

TEST_F(FailureTest, AConditionalWriteWhoseConnectionBreaksIsUncertain) {
  Connect(20000, 60000);
  CAPI_ASSERT_OK(Write(4, 1));
  proxy_->SwallowAnswers();
  const auto later = Begin({once_, Values().Int(2).Int(4).Int(1), {}});
  AwaitUntil([&] {
    return Execute("SELECT v FROM " + Table("failure") + " WHERE k = 4").Integer(0, 0) == 2;
  });
  proxy_->Resume();
  proxy_->Cut();
  EXPECT_EQ(ErrorClassOf(later->Await()), "cql_uncertain");
}

TEST_F(FailureTest, CutConnectionsAreMadeAnew) {
  Connect(5000, 60000);
  for (int i = 0; i < 3; ++i) {
    std::vector<std::shared_ptr<Later>> all;
    for (int key = 100; key < 200; ++key)
      all.push_back(Begin({insert_, Values().Int(key).Int(i), {}}));
    proxy_->Cut();
    for (const auto& later : all) CAPI_ASSERT_OK(later->Await());
  }
  EXPECT_EQ(Execute("SELECT v FROM " + Table("failure") + " WHERE k = 150").Integer(0, 0), 2);
  EXPECT_EQ(proxied_->counters().errors, 0);
}

TEST_F(FailureTest, AServerThatComesBackIsFound) {
  Connect(1000, 60000);
  CAPI_ASSERT_OK(Write(5, 1));
  proxy_->Close();
  const auto later = Begin({insert_, Values().Int(5).Int(2), {}});
  AwaitUntil([&] { return proxied_->counters().retries >= 3; });
  proxy_->Reopen();
  CAPI_ASSERT_OK(later->Await());
  EXPECT_EQ(Execute("SELECT v FROM " + Table("failure") + " WHERE k = 5").Integer(0, 0), 2);
}

TEST_F(FailureTest, AConditionalWriteThatCannotBeSentIsRepeated) {
  Connect(1000, 60000);
  CAPI_ASSERT_OK(Write(6, 1));
  proxy_->Close();
  std::atomic<bool> applied{false};
  std::thread writer([&] {
    auto outcome = CompareAndSet(6, 1, 2);
    // Sent before the driver had noticed.
    while (ErrorClassOf(outcome.status()) == "cql_uncertain") outcome = CompareAndSet(6, 1, 2);
    EXPECT_TRUE(outcome.ok()) << Describe(outcome.status());
    applied = outcome.ok() && outcome->applied;
  });
  AwaitUntil([&] { return proxied_->counters().retries >= 3; });
  proxy_->Reopen();
  writer.join();
  EXPECT_TRUE(applied);
}

TEST_F(FailureTest, DestructionWaitsForRequestsUnderWay) {
  Connect(1000, 2000);
  proxy_->Stall();
  std::atomic<int> done{0};
  for (int i = 0; i < 50; ++i) {
    proxied_->Begin({select_, Values().Int(i), {}}, [&](Result<Rows> rows) {
      EXPECT_FALSE(rows.ok());
      ++done;
    });
  }
  proxied_.reset();
  EXPECT_EQ(done, 50);
}

TEST_F(FailureTest, GivingUpEndsWhatIsUnderWayAndWaits) {
  SessionOptions options = TestOptions();
  options.hosts = {proxy_->address()};
  options.only_contact_points = true;
  options.timeout_ms = 60000;
  options.retry_budget_ms = 120000;
  options.max_requests_in_flight = 3;
  auto session = Session::Connect(options);
  ASSERT_TRUE(session.ok()) << Describe(session.status());
  proxied_ = std::move(*session);
  insert_ = Proxied("INSERT INTO " + Table("failure") + " (k, v) VALUES (?, ?)", true);
  once_ = Proxied("UPDATE " + Table("failure") + " SET v = ? WHERE k = ? IF v = ?", false);
  proxy_->Stall();
  const auto begun = steady_clock::now();
  const auto later = Begin({insert_, Values().Int(7).Int(1), {}});
  std::vector<std::thread> writers;
  std::atomic<int> uncertain{0};
  std::atomic<int> unavailable{0};
  for (int i = 0; i < 8; ++i) {  // more than the window lets through
    writers.emplace_back([&] {
      const Status status = CompareAndSet(7, 1, 2).status();
      EXPECT_EQ(KindOf(status), ErrorKind::kRetriable) << Describe(status);
      ++(ErrorClassOf(status) == "cql_uncertain" ? uncertain : unavailable);
    });
  }
  AwaitUntil([&] { return proxied_->counters().in_flight == 3; });
  proxied_->GiveUp();
  proxied_->GiveUp();  // no harm
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(ErrorClassOf(later->Await()), "cql_unavailable");
  // What was sent may have been applied; the rest certainly was not.
  EXPECT_LE(uncertain, 2);
  EXPECT_EQ(uncertain + unavailable, 8);
  EXPECT_EQ(ErrorClassOf(CompareAndSet(7, 1, 2).status()), "cql_unavailable");
  EXPECT_EQ(ErrorClassOf(Write(7, 1)), "cql_unavailable");
  EXPECT_EQ(ErrorClassOf(proxied_->Prepare("SELECT key FROM system.local", true).status()),
            "cql_unavailable");
  EXPECT_EQ(ErrorClassOf(proxied_->ExecuteSchema("DROP TABLE " + Table("no_such_table"))),
            "cql_unavailable");
  proxied_.reset();
  EXPECT_LT(steady_clock::now() - begun, seconds(10));
}

TEST_F(FailureTest, GivingUpEndsThePausesBetweenRepetitions) {
  Connect(1000, 60000);
  proxy_->Close();
  const auto later = Begin({insert_, Values().Int(8).Int(1), {}});
  AwaitUntil([&] { return proxied_->counters().retries >= 5; });
  const auto begun = steady_clock::now();
  proxied_->GiveUp();
  EXPECT_EQ(ErrorClassOf(later->Await()), "cql_unavailable");
  EXPECT_EQ(proxied_->counters().in_flight, 0);
  proxied_.reset();
  EXPECT_LT(steady_clock::now() - begun, seconds(5));
}

}  // namespace
}  // namespace capi::cql
