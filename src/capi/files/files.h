#pragma once

// The door to files of all kinds: local, http(s), sftp, S3 (spec/formats.md 9), for scripts,
// parameters, tag criteria, Python sources, inputs and outputs alike.

#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/fetcher.h"
#include "capi/base/status.h"
#include "capi/files/files_options.h"
#include "capi/files/input.h"
#include "capi/files/sink.h"
#include "capi/files/source.h"

namespace capi::files {

/// Thread-safe. Keeps connections; one per process and access policy is usual. Outlives what it
/// opens. Errors of all calls: kUser "unsupported_scheme", "bad_address", "address_refused",
/// "access_denied", "untrusted_server", "unknown_host_key", "host_key_changed", "no_private_key";
/// kRetriable after some tries when a server cannot be reached. Messages never show passwords.
class Files : public Fetcher {
 public:
  /// kUser "bad_ca_path", "bad_access_policy".
  static Result<std::unique_ptr<Files>> Make(Env* env, const FilesOptions& options);

  /// Small text files, whole (Fetcher).
  Result<std::string> Fetch(const std::string& url) override = 0;

  // ---- Inputs

  /// The address itself, or, when a local, sftp or s3 address has "*" or "?", those of the files it
  /// matches, sorted bytewise. kUser "no_match" when there are none. A local file whose name is the
  /// pattern itself is not a pattern.
  virtual Result<std::vector<std::string>> Expand(const std::string& url) = 0;
  /// kUser "file_not_found", "not_a_file".
  virtual Result<Fingerprint> FingerprintOf(const std::string& url) = 0;
  /// kUser "input_changed" when the file is not the expected one any more (also later).
  virtual Result<std::unique_ptr<InputText>> OpenText(const std::string& url,
                                                      const Fingerprint& expected) = 0;
  virtual Result<std::unique_ptr<RandomAccessInput>> OpenRandomAccess(
      const std::string& url, const Fingerprint& expected) = 0;

  // ---- Outputs (see sink.h for their life)

  /// Chooses where the bytes go first, has it recorded (before anything is created, and for S3
  /// again when the upload has its id) and opens it. *plan is what was recorded last. Missing
  /// directories are made on sftp only. kUser "directory_not_found", "target_not_a_file".
  virtual Result<std::unique_ptr<Sink>> CreateSink(const std::string& url, const RecordPlan& record,
                                                   SinkPlan* plan) = 0;
  /// Idempotent.
  virtual Status Publish(const SinkPlan& plan, int64_t size) = 0;
  virtual Status Discard(const SinkPlan& plan) = 0;
};

}  // namespace capi::files
