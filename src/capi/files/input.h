#pragma once

// Inputs: their text from begin to end, or any part of their bytes.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capi/base/status.h"
#include "capi/exec/cancel.h"
#include "capi/files/source.h"

namespace capi::files {

/// What was read, for the history of a run.
struct InputRecord {
  std::string url;       ///< redacted
  int64_t size = 0;      ///< bytes as stored, before unpacking
  int64_t mtime_ns = 0;  ///< 0 = unknown
  std::string etag;      ///< of http(s) and S3
  std::string sha256;    ///< of the bytes as stored, 64 hex digits; "" when not all were read
};
/// JSON object with members url, size, mtime (ISO 8601), etag, sha256; unknown ones are left out.
std::string ToJson(const InputRecord& record);

/// The text of an input, unpacked if the file is compressed, as one range of addresses that fills
/// from its begin: a mapped file, where all is there at once, or a window that slides over a
/// download or over unpacked text. Used by one thread at a time, except that text between Release
/// and WaitFor may be read by any.
class InputText {
 public:
  virtual ~InputText() = default;
  virtual const char* data() const = 0;
  /// Waits until bytes [0, end) are there or the text has ended; returns how many are. Errors of
  /// reading and unpacking: kUser "input_changed", "corrupt_file", "file_not_found",
  /// kRetriable, ...; kCancelled.
  virtual Result<int64_t> WaitFor(int64_t end, const exec::CancelToken& cancel) = 0;
  /// Bytes before `begin` are not read any more.
  virtual void Release(int64_t begin) = 0;
  /// When all was read: an error if the input has changed meanwhile (kUser "input_changed").
  virtual Result<InputRecord> Finish(const exec::CancelToken& cancel) = 0;
  /// Length of the text if it is known, else of the bytes it is made of; for progress and memory.
  virtual int64_t expected_bytes() const = 0;
  /// Whether text that was released is still there.
  virtual bool keeps_text() const = 0;
};

/// Any bytes of an input, for formats that need random access (Parquet). The bytes are as stored.
/// Thread-safe.
class RandomAccessInput {
 public:
  virtual ~RandomAccessInput() = default;
  virtual int64_t size() const = 0;
  /// Exactly `length` bytes from `offset`, which must lie inside. Remote files: one request of a
  /// range each time, so that callers should read few and large pieces. Errors as InputText.
  virtual Status ReadAt(int64_t offset, int64_t length, char* out) = 0;
  /// The whole file if it is mapped (local files, and copies of remote ones); else empty.
  virtual std::string_view mapped() const = 0;
  /// An error if the input has changed since it was opened (kUser "input_changed"). sha256 is empty
  /// unless the file is mapped.
  virtual Result<InputRecord> Finish() = 0;
};

}  // namespace capi::files
