#pragma once

// Batch messages between the processes of a cluster, through a broker: a hint, never the truth
// (architecture P3). Losing, doubling or reordering messages costs time only. Brokers and
// topologies: spec/broker.md.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::queue {

/// node_index of a message that only says that a run has begun; its begin is -1.
constexpr int64_t kNoNode = -1;

/// Batches [begin, end) of a ready node (begin -1: its finish task).
struct BatchMessage {
  std::string keyspace;
  int64_t run_id = 0;
  int64_t node_index = 0;
  int64_t begin = 0;
  int64_t end = 0;
  bool operator==(const BatchMessage&) const = default;
};

/// JSON object {"v":1,"ks":...,"run":...,"node":...,"begin":...,"end":...}.
std::string ToJson(const BatchMessage& message);
/// Longer ones are no batch messages: brokers neither keep nor parse them.
constexpr size_t kMaxMessageBytes = 65536;
/// kUser error "bad_message"; unknown members are ignored. Numbers are whole, begin < end unless
/// begin is -1.
Result<BatchMessage> BatchMessageFromJson(std::string_view json);

struct Delivery {
  BatchMessage message;
  uint64_t tag = 0;          ///< for Settle
  bool redelivered = false;  ///< the broker says that it was delivered before
};

enum class Verdict : uint8_t {
  kDone,   ///< never to be delivered again
  kAgain,  ///< to be delivered to anyone at once
};

/// Thread-safe. Reconnects by itself, with growing pauses: while the broker is away calls fail with
/// kRetriable, class "broker_unavailable", and deliveries that were not settled come again to
/// anyone.
class Broker {
 public:
  virtual ~Broker() = default;

  /// Returns when the broker has taken responsibility for all messages (persistent, confirmed).
  /// kRetriable errors: some of them may have been taken.
  virtual Status Publish(const std::vector<BatchMessage>& messages) = 0;

  /// Waits for a message at most `timeout_ms`; nullopt: none came. A message that cannot be read is
  /// logged and settled by the broker object itself. Not more than the prefetch number of messages
  /// are unsettled at once.
  virtual Result<std::optional<Delivery>> Receive(int64_t timeout_ms) = 0;

  /// A tag of a connection that was lost meanwhile is ignored: the broker redelivers the message.
  virtual Status Settle(uint64_t tag, Verdict verdict) = 0;

  /// How many messages this process may hold unsettled. 0 stops consuming: prefetched messages that
  /// nobody received go back to the queue.
  virtual Status SetPrefetch(int64_t messages) = 0;

  /// Opens and closes a connection; for check_queue_connectivity. The address with its password
  /// masked.
  virtual Result<std::string> Check() = 0;

  /// Removes all ready messages.
  virtual Status Purge() = 0;
};

}  // namespace capi::queue
