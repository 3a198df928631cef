#pragma once

// Where the files of a store are kept when several machines share it. A file is cut into pieces of
// one size (the last one is shorter); each piece is stored once, by the file's only writer, and
// never changed. What a piece holds is the business of store/shared (FORMAT.md, "Pieces").
//
// Implementations: store/directory (a directory that all processes see; also the reference for
// tests) and store/cassandra.

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "capi/base/status.h"

namespace capi::store {

/// What identifies a file. Runs and owners come from the caller, file ids are random.
struct BlobId {
  int64_t run_id = 0;
  int64_t owner = 0;  ///< the process that wrote it, never 0
  uint64_t file = 0;
  auto operator<=>(const BlobId&) const = default;
};

/// A file as it is listed.
struct BlobFile {
  BlobId id;
  int64_t num_pieces = 0;  ///< no piece has this number or a higher one
};

/// Thread-safe. Errors: kRetriable when the store cannot be reached (repeated already for as long
/// as that makes sense), kEnvironment when it is broken.
class BlobStore {
 public:
  /// Not before `done` of every call was called, nor from inside of one.
  virtual ~BlobStore() = default;

  /// Begins to store a piece and returns; `done` is called exactly once, when the piece is durable
  /// or cannot be stored, from any thread or from this call. It must not block. Storing the same
  /// piece again is allowed.
  virtual void BeginPut(const BlobId& id, int64_t piece, std::string bytes,
                        std::function<void(Status)> done) = 0;

  /// Begins to read a piece; `done` as above. A piece that is not there is DamagedPiece: only what
  /// was stored is ever asked for.
  virtual void BeginGet(const BlobId& id, int64_t piece,
                        std::function<void(Result<std::string>)> done) = 0;

  /// All files that have a piece, also those whose writing ended in the middle. Files that are
  /// being written or removed at the same time may be missing.
  virtual Result<std::vector<BlobFile>> List() = 0;

  /// Removes files. One that is not there, or is being removed by somebody else too, is no error.
  virtual Status Remove(const std::vector<BlobFile>& files) = 0;
};

/// "run 5, file <owner>-<file>", for messages.
std::string DescribeBlob(const BlobId& id);

/// "table data is damaged: <reason>: run 5, file <owner>-<file>, piece 3", kEnvironment.
Status DamagedPiece(const BlobId& id, int64_t piece, std::string_view reason);

}  // namespace capi::store
