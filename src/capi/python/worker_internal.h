#pragma once

// One interpreter process and the exchange of frames with it (docs/design/python.md).

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"
#include "capi/exec/cancel.h"
#include "capi/python/program.h"
#include "capi/python/spawner_internal.h"

namespace capi::python {

enum class FrameKind : uint8_t {
  kLoad = 'L',      ///< to the worker: JSON of a program
  kBatch = 'B',     ///< to the worker: columns
  kExplain = 'X',   ///< to the worker: JSON, describe a result that we refuse
  kReady = 'R',     ///< answer to kLoad
  kColumns = 'C',   ///< answer to kBatch
  kProgress = 'P',  ///< before an answer: rows done
  kFailure = 'E',   ///< answer: JSON
};

struct Answer {
  FrameKind kind = FrameKind::kFailure;
  std::string frame;
  /// The frame without its header.
  std::string_view payload() const;
};

/// Used by one thread at a time.
class Worker {
 public:
  /// The worker program is sent, but no Program yet.
  static Result<std::unique_ptr<Worker>> Start(Spawner* spawner, const PoolOptions& options);
  /// Kills the process and all it started.
  ~Worker();

  /// Sends one frame and waits for the answer. The limit counts from the start and from every sign
  /// of progress; when it has passed, the formula is interrupted, and a little later killed. After
  /// an error the worker is of no use: class python_timeout, python_died, python_protocol, or
  /// kCancelled.
  Result<Answer> Exchange(FrameKind kind, const std::vector<std::string_view>& payload,
                          int64_t limit_ms, const exec::CancelToken& cancel);

  /// Lives, and has nothing to say.
  bool idle_and_well();
  /// The last of what formulas printed since the last call, "" if nothing.
  std::string TakeOutput();

 private:
  Worker() = default;
  enum class Io { kDone, kAgain, kClosed };
  /// Sends what is left of to_send_.
  Io Send();
  Io Receive();
  void ReadOutput();
  Status Died();
  Status OutOfStep(const std::string& what);
  void Kill();
  /// Takes a whole frame off the received bytes. False: not all of it is there yet.
  Result<bool> TakeFrame(Answer* answer);

  Spawned process_;
  bool reaped_ = false;
  int exit_status_ = 0;
  uint32_t exchange_ = 0;
  std::string start_;  // the worker program, until it is sent
  std::deque<std::string_view> to_send_;
  std::unique_ptr<char[]> buffer_;
  std::string received_;
  std::string output_;
  int64_t output_bytes_ = 0;
  int64_t memory_limit_ = 0;
};

}  // namespace capi::python
