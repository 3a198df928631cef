#pragma once

// Work that may be claimed: a hint, never the truth (architecture P3). Losing, doubling or
// reordering messages costs time only; the state store decides who executes a batch.

#include <cstdint>
#include <optional>
#include <string>

#include "capi/base/status.h"

namespace capi::queue {

/// Batches [begin, end) of a ready node. One message for a whole node is usual.
struct Message {
  int64_t run_id = 0;
  int64_t node_index = 0;
  int64_t depth = 0;  ///< order hint: nodes nearer to the inputs first
  int64_t begin = 0;
  int64_t end = 0;
};

/// Thread-safe.
class Queue {
 public:
  virtual ~Queue() = default;

  /// `delay_ms`: not to be delivered before (retries).
  virtual Status Enqueue(const Message& message, int64_t delay_ms) = 0;
  /// At most max_batches batches of one message; the rest stays queued. Lower depth first, then
  /// batch index. nullopt: nothing deliverable now. A delivered message is gone: what is not
  /// finished is enqueued again by its receiver or by the reconciler.
  virtual Result<std::optional<Message>> Take(int64_t max_batches) = 0;
  /// Drops queued batches of a node from `begin` on.
  virtual Status Discard(int64_t run_id, int64_t node_index, int64_t begin) = 0;
  virtual Status Purge() = 0;
  /// Milliseconds until the next delayed message is deliverable; nullopt if there is none.
  virtual Result<std::optional<int64_t>> NextDelay() = 0;
};

}  // namespace capi::queue
