#include "capi/cql/session.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "capi/cql/driver_internal.h"
#include "capi/cql/errors_internal.h"
#include "capi/cql/operation_internal.h"

namespace capi::cql {
namespace {

constexpr int32_t kPageRows = 5000;  // spec/storage.md 1

// Numbers of the native protocol v4, section 3.
constexpr int32_t kSessionDefault = -1;
constexpr int32_t kSerialNumber = 8;
constexpr int32_t kLocalSerialNumber = 9;
constexpr std::array<std::pair<std::string_view, int32_t>, 9> kConsistencies{{{"ANY", 0},
                                                                              {"ONE", 1},
                                                                              {"TWO", 2},
                                                                              {"THREE", 3},
                                                                              {"QUORUM", 4},
                                                                              {"ALL", 5},
                                                                              {"LOCAL_QUORUM", 6},
                                                                              {"EACH_QUORUM", 7},
                                                                              {"LOCAL_ONE", 10}}};

int32_t NumberOf(Consistency consistency) {
  switch (consistency) {
    case Consistency::kDefault:
      return kSessionDefault;
    case Consistency::kOne:
      return 1;
    case Consistency::kQuorum:
      return 4;
    case Consistency::kAll:
      return 5;
    case Consistency::kLocalQuorum:
      return 6;
    case Consistency::kSerial:
      return kSerialNumber;
    case Consistency::kLocalSerial:
      return kLocalSerialNumber;
  }
  return kSessionDefault;
}

Result<int32_t> NumberOf(std::string_view name) {
  for (const auto& [known, number] : kConsistencies) {
    if (known == name) return number;
  }
  return UserError("cql_invalid", "unknown consistency level: " + std::string(name));
}

/// "host" and "::1" get the port, "host:1234" and "[::1]:1234" have one.
std::string WithPort(const std::string& host, int64_t port) {
  const auto colons = std::count(host.begin(), host.end(), ':');
  const std::string suffix = ":" + std::to_string(port);
  if (host.starts_with('[')) return host.ends_with(']') ? host + suffix : host;
  if (colons > 1) return "[" + host + "]" + suffix;
  return colons == 1 ? host : host + suffix;
}

Status CheckRequest(const Request& request) {
  return request.statement == nullptr ? BugError("a CQL request without a statement")
                                      : Status::OK();
}

Repeat RepeatOf(const Request& request) {
  return static_cast<const PreparedStatement&>(*request.statement).idempotent()
             ? Repeat::kIdempotent
             : Repeat::kOnce;
}

/// At least one request.
Operation::Task TaskOf(std::vector<Request> requests) {
  Operation::Task task;
  task.repeat = Repeat::kIdempotent;
  task.counted_as = static_cast<const PreparedStatement&>(*requests.front().statement).kind();
  for (const Request& request : requests) {
    if (RepeatOf(request) == Repeat::kOnce) task.repeat = Repeat::kOnce;
  }
  task.page_rows = kPageRows;
  task.consistency = NumberOf(requests.front().consistency);
  task.serial_consistency = kSerialNumber;
  task.requests = std::make_shared<const std::vector<Request>>(std::move(requests));
  return task;
}

Operation::Task TaskOf(Request request) {
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  return TaskOf(std::move(requests));
}

Operation::Task TaskOf(Operation::Kind kind, RequestKind counted_as, std::string cql) {
  Operation::Task task;
  task.kind = kind;
  task.counted_as = counted_as;
  task.cql = std::move(cql);
  return task;
}

class SessionImpl final : public Session {
 public:
  explicit SessionImpl(const SessionOptions& options) : link_(options) {}

  Status Open();
  Result<StatementPtr> Prepare(const std::string& cql, bool idempotent) override;
  void Forget(const Statement& statement) override;
  Result<Rows> Execute(const Request& request) override;
  Status ExecutePaged(const Request& request, int32_t page_rows,
                      const std::function<Status(const Rows&)>& consume) override;
  void Begin(Request request, std::function<void(Result<Rows>)> done) override;
  void BeginBatch(std::vector<Request> writes, std::function<void(Status)> done) override;
  Result<Outcome> ExecuteConditional(const std::vector<Request>& statements) override;
  Status ExecuteSchema(const std::string& cql) override;
  SessionCounters counters() const override;
  void GiveUp() override;

 private:
  struct Slot {
    std::mutex mutex;  // held while the statement is prepared
    StatementPtr statement;
  };

  std::mutex mutex_;
  std::map<std::pair<std::string, bool>, std::shared_ptr<Slot>> statements_;
  Link link_;  // last: waits for its operations before the rest goes
};

Status SessionImpl::Open() {
  const SessionOptions& options = link_.options;
  if (options.hosts.empty()) return UserError("cql_invalid", "no Cassandra hosts are given");
  std::vector<std::string> hosts;
  std::vector<CapiCqlText> host_texts;
  for (const std::string& host : options.hosts) hosts.push_back(WithPort(host, options.port));
  for (const std::string& host : hosts) host_texts.push_back({host.data(), host.size()});
  const auto text = [](const std::string& value) {
    return CapiCqlText{value.data(), value.size()};
  };
  CapiCqlConfig config{};
  config.hosts = host_texts.data();
  config.num_hosts = host_texts.size();
  config.username = text(options.username);
  config.password = text(options.password);
  config.certificate_path = text(options.tls.certificate_path);
  config.key_path = text(options.tls.key_path);
  config.ca_path = text(options.tls.ca_path);
  config.timeout_ms = options.timeout_ms;
  config.connect_timeout_ms = options.connect_timeout_ms;
  config.connections_per_host = options.connections_per_host;
  // One thread sends some fifty thousand requests a second; the rest is the pool's of `exec`.
  config.threads = std::clamp<int64_t>(std::thread::hardware_concurrency() / 4, 1, 4);
  CAPI_ASSIGN_OR_RETURN(config.consistency, NumberOf(options.consistency));
  config.authenticate = !options.username.empty();
  config.only_contact_points = options.only_contact_points;
  config.use_tls = options.use_tls;
  config.verify_host = options.tls.verify_host;

  std::string subject;
  for (const std::string& host : hosts) subject += (subject.empty() ? "" : ", ") + host;
  struct Opening {
    std::string_view subject;
    Status status;
  } opening{subject, Status::OK()};
  link_.driver = capi_cql_connect(&config, &opening, [](void* context, const CapiCqlReply* reply) {
    auto* const result = static_cast<Opening*>(context);
    if (reply->code != kCqlOk) {
      result->status = MakeCqlError(reply->code, {reply->message.data, reply->message.size},
                                    result->subject, Repeat::kIdempotent);
    }
  });
  return opening.status;
}

Result<StatementPtr> SessionImpl::Prepare(const std::string& cql, bool idempotent) {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Slot>& known = statements_[{cql, idempotent}];
    if (known == nullptr) known = std::make_shared<Slot>();
    slot = known;
  }
  const std::lock_guard lock(slot->mutex);
  if (slot->statement != nullptr) return slot->statement;
  Operation::Task task = TaskOf(Operation::Kind::kPrepare, RequestKind::kPrepare, cql);
  task.repeat = Repeat::kIdempotent;
  task.idempotent_statement = idempotent;
  CAPI_ASSIGN_OR_RETURN(const Answer answer, Operation::Run(&link_, std::move(task)));
  slot->statement = std::make_shared<PreparedStatement>(cql, idempotent, answer.statement);
  return slot->statement;
}

void SessionImpl::Forget(const Statement& statement) {
  const bool idempotent = static_cast<const PreparedStatement&>(statement).idempotent();
  std::shared_ptr<Slot> forgotten;  // freed after the lock
  const std::lock_guard lock(mutex_);
  const auto found = statements_.find({statement.cql(), idempotent});
  if (found == statements_.end()) return;
  forgotten = std::move(found->second);
  statements_.erase(found);
}

Result<Rows> SessionImpl::Execute(const Request& request) {
  CAPI_RETURN_NOT_OK(CheckRequest(request));
  CAPI_ASSIGN_OR_RETURN(Answer answer, Operation::Run(&link_, TaskOf(request)));
  return std::move(answer.rows);
}

void SessionImpl::Begin(Request request, std::function<void(Result<Rows>)> done) {
  if (const Status status = CheckRequest(request); !status.ok()) {
    done(status);
    return;
  }
  Operation::Start(&link_, TaskOf(std::move(request)),
                   [done = std::move(done)](Result<Answer> answer) {
                     if (answer.ok()) {
                       done(std::move(answer->rows));
                     } else {
                       done(answer.status());
                     }
                   });
}

void SessionImpl::BeginBatch(std::vector<Request> writes, std::function<void(Status)> done) {
  Status status = writes.empty() ? BugError("a batch without a write") : Status::OK();
  for (const Request& write : writes) {
    if (status.ok()) status = CheckRequest(write);
  }
  if (!status.ok()) {
    done(status);
    return;
  }
  Operation::Start(
      &link_, TaskOf(std::move(writes)),
      [done = std::move(done)](const Result<Answer>& answer) { done(answer.status()); });
}

Status SessionImpl::ExecutePaged(const Request& request, int32_t page_rows,
                                 const std::function<Status(const Rows&)>& consume) {
  CAPI_RETURN_NOT_OK(CheckRequest(request));
  if (page_rows <= 0) return BugError("pages must have at least one row");
  // Belongs to the page under way too, which may come after this call has ended.
  struct Shared {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Result<Answer>> next;
  };
  const auto shared = std::make_shared<Shared>();
  Operation::Task task = TaskOf(request);
  task.pages = Operation::Pages::kOne;
  task.page_rows = page_rows;
  const auto ask = [&](std::string paging_state) {
    task.paging_state = std::move(paging_state);
    Operation::Start(&link_, task, [shared](Result<Answer> answer) {
      const std::lock_guard lock(shared->mutex);
      shared->next = std::move(answer);
      shared->ready.notify_one();
    });
  };
  ask("");
  while (true) {
    std::unique_lock lock(shared->mutex);
    shared->ready.wait(lock, [&] { return shared->next.has_value(); });
    CAPI_ASSIGN_OR_RETURN(Answer page, std::move(*shared->next));
    shared->next.reset();
    lock.unlock();
    const bool last = page.paging_state.empty();
    if (!last) ask(std::move(page.paging_state));
    CAPI_RETURN_NOT_OK(consume(page.rows));
    if (last) return Status::OK();
  }
}

Result<Session::Outcome> SessionImpl::ExecuteConditional(const std::vector<Request>& statements) {
  if (statements.empty()) return BugError("a conditional write without a statement");
  for (const Request& request : statements) CAPI_RETURN_NOT_OK(CheckRequest(request));
  Operation::Task task;
  task.requests = std::make_shared<std::vector<Request>>(statements);
  task.repeat = Repeat::kOnce;
  task.counted_as = RequestKind::kConditional;
  task.page_rows = kPageRows;
  const int32_t number = NumberOf(statements.front().consistency);
  const bool serial = number == kSerialNumber || number == kLocalSerialNumber;
  task.serial_consistency = serial ? number : kSerialNumber;
  task.consistency = serial ? kSessionDefault : number;
  CAPI_ASSIGN_OR_RETURN(Answer answer, Operation::Run(&link_, std::move(task)));
  const int applied = answer.rows.ColumnIndex("[applied]");
  if (applied < 0 || answer.rows.empty()) {
    return BugError("not a conditional statement: " + statements.front().statement->cql());
  }
  Outcome outcome;
  outcome.applied = answer.rows.Boolean(0, applied);
  if (!outcome.applied && answer.rows.columns().size() > 1)
    outcome.current = std::move(answer.rows);
  return outcome;
}

Status SessionImpl::ExecuteSchema(const std::string& cql) {
  return Operation::Run(&link_, TaskOf(Operation::Kind::kSchema, RequestKind::kSchema, cql))
      .status();
}

SessionCounters SessionImpl::counters() const {
  SessionCounters counters;
  counters.requests = link_.requests.load(std::memory_order_relaxed);
  counters.retries = link_.retries.load(std::memory_order_relaxed);
  counters.errors = link_.errors.load(std::memory_order_relaxed);
  counters.bytes_written = link_.bytes_written.load(std::memory_order_relaxed);
  counters.bytes_read = link_.bytes_read.load(std::memory_order_relaxed);
  counters.in_flight = link_.window.in_flight();
  counters.window = link_.window.size();
  counters.since_answer_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                 Clock::now() - link_.last_answer.load(std::memory_order_relaxed))
                                 .count();
  for (size_t i = 0; i < kNumRequestKinds; ++i) {
    counters.latencies[i] = link_.latencies[i].snapshot();
  }
  return counters;
}

void SessionImpl::GiveUp() {
  link_.given_up = true;  // before the driver answers, so that nothing is repeated
  capi_cql_give_up(link_.driver);
}

}  // namespace

std::string_view RequestKindName(RequestKind kind) {
  switch (kind) {
    case RequestKind::kRead:
      return "read";
    case RequestKind::kWrite:
      return "write";
    case RequestKind::kConditional:
      return "conditional";
    case RequestKind::kPrepare:
      return "prepare";
    case RequestKind::kSchema:
      return "schema";
  }
  return "";
}

Result<std::unique_ptr<Session>> Session::Connect(const SessionOptions& options) {
  auto session = std::make_unique<SessionImpl>(options);
  CAPI_RETURN_NOT_OK(session->Open());
  return session;
}

}  // namespace capi::cql
