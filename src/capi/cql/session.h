#pragma once

// The one connection pool of the process to a Cassandra cluster, used by state and store. Behaviour
// towards the server: spec/storage.md 1 (authentication, consistency, time-outs), D9 and D10 of
// spec/guarantees.md (idempotent writes repeated, many in flight, adaptive window).
//
// Errors by kind: kUser for what the server refuses for good (syntax, unknown table, wrong
// password: class "cql_invalid", "cql_unauthorized", "cql_unknown_table", "cql_unknown_keyspace",
// "cql_already_exists"); kRetriable when the cluster was not reachable or too slow and the call had
// no effect or may be repeated (class "cql_unavailable"); kRetriable with class "cql_uncertain"
// when a statement that may not be repeated (a conditional write, a change of the schema) was sent
// and no answer came: it may or may not have been applied. Read again then, after conditional
// writes with Consistency::kSerial. The message names the statement (its first 500 characters) and
// what the server said, never values or passwords.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/latency_histogram.h"
#include "capi/base/status.h"
#include "capi/cql/values.h"

namespace capi::cql {

struct TlsOptions {
  std::string certificate_path;  ///< of the client, PEM; "" = none
  std::string key_path;
  /// Roots, a PEM file: the server's certificate must be signed by one of them.
  std::string ca_path;
  /// The certificate must also be for the server's address or for the name of a contact point;
  /// without ca_path the system's roots count. False and no ca_path: any certificate will do.
  bool verify_host = false;
};

struct SessionOptions {
  std::vector<std::string> hosts;  ///< contact points, "host" or "host:port"
  int64_t port = 9042;
  std::string username;  ///< "" = no authentication
  std::string password;
  /// Of all requests that name none: ANY, ONE, TWO, THREE, QUORUM, ALL, LOCAL_ONE, LOCAL_QUORUM,
  /// EACH_QUORUM.
  std::string consistency = "QUORUM";
  /// Of one request, repetitions not included. Changes of the schema have a minute at least.
  int64_t timeout_ms = 5000;
  int64_t connect_timeout_ms = 1000;
  int64_t connections_per_host = 2;
  /// Only the given hosts are used, as they are written (cassandra.disable_initial_host_lookup).
  bool only_contact_points = false;
  bool use_tls = false;
  TlsOptions tls;
  /// Requests and bytes of values under way at once; further callers wait. The window of requests
  /// shrinks when the server answers with overload or time-outs and grows back slowly.
  int64_t max_requests_in_flight = 512;
  int64_t max_bytes_in_flight = int64_t{16} << 20;
  /// How long a request is repeated (with growing pauses, 10 ms to 2 s) before it fails: an
  /// idempotent one after every passing error, others only when they certainly had no effect.
  int64_t retry_budget_ms = 60000;
};

enum class Consistency : uint8_t {
  kDefault,
  kOne,
  kQuorum,
  kLocalQuorum,
  kAll,
  kSerial,
  kLocalSerial
};

/// A prepared statement. Belongs to its session; thread-safe.
class Statement {
 public:
  virtual ~Statement() = default;
  virtual const std::string& cql() const = 0;
};
using StatementPtr = std::shared_ptr<const Statement>;

struct Request {
  StatementPtr statement;
  Values values;
  Consistency consistency = Consistency::kDefault;
};

enum class RequestKind : uint8_t { kRead, kWrite, kConditional, kPrepare, kSchema };
constexpr size_t kNumRequestKinds = 5;
/// "read", "write", "conditional", "prepare", "schema".
std::string_view RequestKindName(RequestKind kind);

/// What a window of requests and the servers did since the session began.
struct SessionCounters {
  int64_t requests = 0;
  int64_t retries = 0;
  int64_t errors = 0;
  int64_t bytes_written = 0;
  int64_t bytes_read = 0;
  int64_t in_flight = 0;
  int64_t window = 0;
  /// Since a server last did what was asked.
  int64_t since_answer_ms = 0;
  /// By kind: of requests that ended, from their admission to the window to the last answer,
  /// repetitions and pages included (ExecutePaged: each page is a request).
  std::array<LatencyHistogram::Snapshot, kNumRequestKinds> latencies;
};

/// Thread-safe.
class Session {
 public:
  static Result<std::unique_ptr<Session>> Connect(const SessionOptions& options);
  /// Waits for requests under way; not called from one of their callbacks.
  virtual ~Session() = default;

  /// Statements of the same text are prepared once. `idempotent`: may be repeated by the session
  /// (every SELECT; plain INSERT, UPDATE and DELETE that do not read). Conditional statements are
  /// not.
  virtual Result<StatementPtr> Prepare(const std::string& cql, bool idempotent) = 0;

  /// Prepared statements are kept as long as the session unless they are forgotten here, which
  /// those of tables that come with every run should be. Requests and holders of it go on.
  virtual void Forget(const Statement& statement) = 0;

  /// Executes and reads all pages.
  virtual Result<Rows> Execute(const Request& request) = 0;

  /// Reads page by page; the next page is asked for while `consume` works on the former. A non-OK
  /// status of `consume` ends it.
  virtual Status ExecutePaged(const Request& request, int32_t page_rows,
                              const std::function<Status(const Rows&)>& consume) = 0;

  /// Begins a request that reads all pages, and returns; waits only while the window is full.
  /// `done` is called exactly once, from a thread of the session (or from this call), and must not
  /// block or call the session synchronously.
  virtual void Begin(Request request, std::function<void(Result<Rows>)> done) = 0;

  /// Begin of several plain writes as one unlogged batch, which costs a round trip and a slot of
  /// the window once. All of them are repeated together, if all are idempotent. The rows may be of
  /// several partitions: each is then written for itself, and after an error some may be there. The
  /// consistency of the first one counts. Servers warn of batches over 5 KiB or of more than 10
  /// partitions and refuse those over 640 KiB (their default settings).
  virtual void BeginBatch(std::vector<Request> writes, std::function<void(Status)> done) = 0;

  /// A conditional write (a single statement, or several of one partition as one batch): applied
  /// wholly or not at all.
  struct Outcome {
    bool applied = false;
    /// Not applied: the present values of the condition's columns (several statements: of all rows
    /// named in them, with their key columns), as the server tells them, after a column
    /// "[applied]". Empty when the server tells none, because there is no such row.
    Rows current;
  };
  /// The consistency of the first statement counts; kSerial (the default) and kLocalSerial choose
  /// among whom the condition is agreed.
  virtual Result<Outcome> ExecuteConditional(const std::vector<Request>& statements) = 0;

  /// CREATE, DROP, ALTER: returns when all reachable nodes agree on the schema. Not prepared.
  virtual Status ExecuteSchema(const std::string& cql) = 0;

  virtual SessionCounters counters() const = 0;

  /// For a process that must end although no server answers: all requests under way end now, later
  /// ones at once, with the errors of a cluster that is not reachable. Closing the session does not
  /// wait then.
  virtual void GiveUp() = 0;
};

/// Many idempotent writes, in any order, as fast as the session lets them go. One thread at a time
/// adds.
class BulkWriter {
 public:
  explicit BulkWriter(Session* session);
  ~BulkWriter();  ///< waits for writes under way
  BulkWriter(const BulkWriter&) = delete;
  BulkWriter& operator=(const BulkWriter&) = delete;
  /// The first error of an earlier write, if any; then nothing is added.
  Status Add(Request request);
  /// Several as one batch (Session::BeginBatch); nothing is done for none.
  Status AddBatch(std::vector<Request> writes);
  /// Waits for all writes; the first error.
  Status Finish();

 private:
  struct Shared;
  /// Counts a write that is about to begin.
  Status BeginWrite();
  static void EndWrite(Shared* shared, const Status& status);

  Session* const session_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace capi::cql
