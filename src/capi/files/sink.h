#pragma once

// Output files that appear whole or not at all (architecture P6). files.h is the door for all
// schemes; the functions here are its local part.
//
// Life of a sink: plan (choose where the bytes go first) -> the caller records the plan in the
// state store -> open, Append*, Seal (write, sync, close) -> the caller commits the attempt as
// "publish pending" -> publish (rename, sync directory) -> the caller records "published". After a
// crash: publish again for committed attempts (idempotent), discard for the others.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "capi/base/env.h"
#include "capi/base/status.h"

namespace capi::files {

struct SinkPlan {
  std::string target;  ///< final path or address, without password
  /// Where the bytes are until they are published. Local and sftp: a file in the same directory.
  /// S3: the target with "?uploadId=" of the multipart upload behind it, or "?planned=" and the
  /// other uploads of the same object while ours does not exist yet.
  std::string temp_path;
};

/// Records a plan so that a crash finds it; may be called again with a more precise one.
using RecordPlan = std::function<Status(const SinkPlan&)>;

/// Target directory must exist (kUser "directory_not_found" otherwise), the target must not be a
/// directory, device or pipe (kUser "target_not_a_file"). Creates nothing.
Result<SinkPlan> PlanSink(Env* env, const std::string& url);

/// Written by one thread at a time. Writes behind in large blocks.
class Sink {
 public:
  static Result<std::unique_ptr<Sink>> Open(Env* env, const SinkPlan& plan);
  virtual ~Sink() = default;
  virtual Status Append(std::string_view bytes) = 0;
  /// All bytes and the temp file's name durable, the file closed; returns the size.
  virtual Result<int64_t> Seal() = 0;
};

/// Makes the sealed temp file appear at its target. A missing temp file is fine if the target
/// exists and has `size` bytes (already published), else a kEnvironment error of class
/// "output_lost".
Status Publish(Env* env, const SinkPlan& plan, int64_t size);
/// The error of a sealed output whose bytes are gone: kEnvironment, "output_lost".
Status OutputLost(const SinkPlan& plan);
/// Removes the temp file for good, so that its plan may be forgotten. Missing is fine.
Status Discard(Env* env, const SinkPlan& plan);

}  // namespace capi::files
