#pragma once

// Ways of sending requests: many reads or writes at once, conditional writes until it is known
// whether they were applied.

#include <cstdint>
#include <functional>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/cql/session.h"

namespace capi::state {

/// All at once; results in the order of the requests, or the first error.
Result<std::vector<cql::Rows>> ReadMany(cql::Session* session, std::vector<cql::Request> requests);
/// Idempotent writes, all at once.
Status WriteMany(cql::Session* session, std::vector<cql::Request> requests);

/// Calls body(0) ... body(count - 1) in several threads at once; for calls that wait for a server.
void ForEachAtOnce(size_t count, const std::function<void(size_t)>& body);

/// True for an error that leaves open whether a conditional write was applied.
bool IsUncertain(const Status& status);

/// Waits before a conditional write is tried again: longer each time, and not as long as others do.
class Backoff {
 public:
  explicit Backoff(Env* env);
  /// False when it took too long altogether.
  bool Wait();

 private:
  Env* const env_;
  const int64_t deadline_ns_;
  int64_t pause_ms_;
};

/// What a look at the row after an uncertain write tells.
enum class Seen : uint8_t {
  kOurs,   ///< the write was applied
  kReady,  ///< it was not, and its condition holds: write again
  kOther,  ///< it was not, and its condition does not hold
};

/// A conditional write of one row (or of several that stand or fall together). `look` reads the row
/// with the given consistency. True: applied. False: refused. An error says that nothing could be
/// found out.
Result<bool> WriteIf(Env* env, cql::Session* session, const std::vector<cql::Request>& statements,
                     const std::function<Result<Seen>(cql::Consistency)>& look);

/// A conditional write that says the same whoever makes it: repeated until it is known to be there,
/// applied now or before.
Status WriteOnce(Env* env, cql::Session* session, const std::vector<cql::Request>& statements);

}  // namespace capi::state
