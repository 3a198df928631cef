#include "capi/state/cassandra/test_place.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/log.h"
#include "capi/state/test_stores.h"

namespace capi::state {

namespace {

Status Lost() {
  ErrorInfo info;
  info.kind = ErrorKind::kRetriable;
  info.error_class = "cql_uncertain";
  return MakeError(std::move(info), "no answer to a conditional write");
}

Status Gone() {
  ErrorInfo info;
  info.kind = ErrorKind::kRetriable;
  info.error_class = "cql_unavailable";
  return MakeError(std::move(info), "no server");
}

class ForwardingSession : public cql::Session {
 public:
  explicit ForwardingSession(cql::Session* session) : session_(session) {}

  Result<cql::StatementPtr> Prepare(const std::string& cql, bool idempotent) override {
    return session_->Prepare(cql, idempotent);
  }
  void Forget(const cql::Statement& statement) override { session_->Forget(statement); }
  Result<cql::Rows> Execute(const cql::Request& request) override {
    return session_->Execute(request);
  }
  Status ExecutePaged(const cql::Request& request, int32_t page_rows,
                      const std::function<Status(const cql::Rows&)>& consume) override {
    return session_->ExecutePaged(request, page_rows, consume);
  }
  void Begin(cql::Request request, std::function<void(Result<cql::Rows>)> done) override {
    session_->Begin(std::move(request), std::move(done));
  }
  void BeginBatch(std::vector<cql::Request> writes, std::function<void(Status)> done) override {
    session_->BeginBatch(std::move(writes), std::move(done));
  }
  Result<Outcome> ExecuteConditional(const std::vector<cql::Request>& statements) override {
    return session_->ExecuteConditional(statements);
  }
  Status ExecuteSchema(const std::string& cql) override { return session_->ExecuteSchema(cql); }
  cql::SessionCounters counters() const override { return session_->counters(); }
  void GiveUp() override { session_->GiveUp(); }

 protected:
  cql::Session* const session_;
};

class LossySession final : public ForwardingSession {
 public:
  using ForwardingSession::ForwardingSession;
  ~LossySession() override {
    for (std::thread& thread : late_) thread.join();
  }

  Result<Outcome> ExecuteConditional(const std::vector<cql::Request>& statements) override {
    constexpr uint32_t kFates = 9;
    uint32_t fate = 0;
    {
      const std::lock_guard lock(mutex_);
      fate = static_cast<uint32_t>(random_() % kFates);
    }
    if (fate == 0) return Lost();
    if (fate == 1) {
      const Status applied = session_->ExecuteConditional(statements).status();
      return applied.ok() ? Lost() : applied;
    }
    if (fate == 2) {
      const std::lock_guard lock(mutex_);
      late_.emplace_back([session = session_, statements, pause = random_() % 20] {
        std::this_thread::sleep_for(std::chrono::milliseconds(pause));
        (void)session->ExecuteConditional(statements);
      });
      return Lost();
    }
    return session_->ExecuteConditional(statements);
  }

 private:
  std::mutex mutex_;
  std::mt19937 random_{20240607};
  std::vector<std::thread> late_;
};

class OutageSession final : public ForwardingSession {
 public:
  OutageSession(cql::Session* session, Outage* outage)
      : ForwardingSession(session), outage_(outage) {}

  Result<cql::Rows> Execute(const cql::Request& request) override {
    if (outage_->lasts) return Gone();
    return session_->Execute(request);
  }
  void Begin(cql::Request request, std::function<void(Result<cql::Rows>)> done) override {
    if (outage_->lasts) return done(Gone());
    session_->Begin(std::move(request), std::move(done));
  }
  Result<Outcome> ExecuteConditional(const std::vector<cql::Request>& statements) override {
    if (outage_->lasts) return Gone();
    if (!outage_->begins.exchange(false)) return session_->ExecuteConditional(statements);
    const Status applied = session_->ExecuteConditional(statements).status();
    outage_->lasts = true;
    return applied.ok() ? Lost() : applied;
  }

 private:
  Outage* const outage_;
};

/// A place of the keyspace of the test server; its stores have a session each.
class CassandraPlace final : public TestPlace {
 public:
  explicit CassandraPlace(bool lossy) : lossy_(lossy) {}

  Result<std::unique_ptr<StateStore>> Open() override {
    CassandraStoreOptions options;
    options.keyspace = CassandraTestServer::Instance().keyspace();
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<cql::Session> session, CassandraTestServer::Connect());
    sessions_.push_back(std::move(session));
    if (lossy_) sessions_.push_back(NewLossySession(sessions_.back().get()));
    return OpenCassandraStore(Env::Default(), sessions_.back().get(), options);
  }
  ~CassandraPlace() override {
    while (!sessions_.empty()) sessions_.pop_back();  // a lossy one before that below it
  }

 private:
  const bool lossy_;
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
  options.connect_timeout_ms = 10000;
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

std::unique_ptr<cql::Session> NewLossySession(cql::Session* session) {
  return std::make_unique<LossySession>(session);
}

std::unique_ptr<cql::Session> NewOutageSession(cql::Session* session, Outage* outage) {
  return std::make_unique<OutageSession>(session, outage);
}

std::unique_ptr<TestPlace> NewCassandraPlace(bool lossy) {
  if (!CassandraTestServer::IsThere()) return nullptr;
  return std::make_unique<CassandraPlace>(lossy);
}

}  // namespace capi::state
