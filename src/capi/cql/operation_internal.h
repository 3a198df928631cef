#pragma once

// One request from its admission to its last answer: repetitions, pages, counters.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "capi/cql/driver_internal.h"
#include "capi/cql/errors_internal.h"
#include "capi/cql/session.h"
#include "capi/cql/window_internal.h"

namespace capi::cql {

class PreparedStatement final : public Statement {
 public:
  PreparedStatement(std::string cql, bool idempotent, CapiCqlStatement* handle)
      : cql_(std::move(cql)),
        idempotent_(idempotent),
        kind_(cql_.starts_with("SELECT") ? RequestKind::kRead : RequestKind::kWrite),
        handle_(handle) {}
  ~PreparedStatement() override { capi_cql_statement_free(handle_); }
  PreparedStatement(const PreparedStatement&) = delete;
  PreparedStatement& operator=(const PreparedStatement&) = delete;

  const std::string& cql() const override { return cql_; }
  bool idempotent() const { return idempotent_; }
  /// kRead or kWrite.
  RequestKind kind() const { return kind_; }
  const CapiCqlStatement* handle() const { return handle_; }

 private:
  const std::string cql_;
  const bool idempotent_;
  const RequestKind kind_;
  CapiCqlStatement* const handle_;
};

/// What the operations of a session share.
struct Link {
  explicit Link(const SessionOptions& options_in)
      : options(options_in), window(options.max_requests_in_flight, options.max_bytes_in_flight) {}
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void BeginOperation();
  void EndOperation();
  /// Waits until no operation is left.
  void AwaitIdle();

  const SessionOptions options;
  Window window;
  CapiCqlDriver* driver = nullptr;

  std::atomic<int64_t> requests{0};
  std::atomic<int64_t> retries{0};
  std::atomic<int64_t> errors{0};
  std::atomic<int64_t> bytes_written{0};
  std::atomic<int64_t> bytes_read{0};
  std::atomic<Clock::time_point> last_answer{Clock::now()};
  std::array<LatencyHistogram, kNumRequestKinds> latencies;
  std::atomic<bool> given_up{false};

 private:
  std::mutex mutex_;
  std::condition_variable idle_;
  int64_t operations_ = 0;
};

struct Answer {
  Rows rows;
  std::string paging_state;               ///< "": there are no more pages
  CapiCqlStatement* statement = nullptr;  ///< of kPrepare; the receiver's
};

/// Destroys itself after its callback.
class Operation {
 public:
  enum class Kind : uint8_t { kExecute, kPrepare, kSchema };
  enum class Pages : uint8_t { kOne, kAll };

  struct Task {
    Kind kind = Kind::kExecute;
    RequestKind counted_as = RequestKind::kWrite;
    std::shared_ptr<const std::vector<Request>> requests;  ///< kExecute
    std::string cql;                                       ///< others
    Repeat repeat = Repeat::kOnce;
    bool idempotent_statement = false;  ///< kPrepare
    Pages pages = Pages::kAll;
    int32_t page_rows = 0;
    std::string paging_state;
    int32_t serial_consistency = 0;
    int32_t consistency = -1;
  };
  using Done = std::function<void(Result<Answer>)>;

  /// Waits for room in the window.
  static void Start(Link* link, Task task, Done done);
  /// Waits for the answer too.
  static Result<Answer> Run(Link* link, Task task);

 private:
  Operation(Link* link, Task task, Done done);
  static void OnReply(void* self, const CapiCqlReply* reply);
  void Send(int64_t delay_ms);
  void Receive(const CapiCqlReply& reply);
  void ReceiveError(const CapiCqlReply& reply);
  void Fail(int32_t code, std::string_view message);
  /// -1: not any more.
  int64_t NextPauseMs(int32_t code);
  /// Conditional writes also take long because others want the same row.
  bool TellsLoad() const {
    return task_.kind == Kind::kExecute && task_.repeat == Repeat::kIdempotent;
  }
  std::string_view Subject() const;
  void Finish(Result<Answer> result);

  Link* const link_;
  Task task_;
  Done done_;
  std::vector<const CapiCqlStatement*> statements_;
  std::vector<CapiCqlText> values_;
  int64_t bytes_ = 0;
  Answer answer_;
  int attempts_ = 0;  // of the present page
  Clock::time_point admitted_;
  Clock::time_point begun_;  // of the present page
  Clock::time_point sent_;
  // The driver hands an operation from thread to thread in ways that ThreadSanitizer cannot see.
  std::atomic<int> handed_over_{0};
};

}  // namespace capi::cql
