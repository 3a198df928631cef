#pragma once

// The JSON texts that the state store keeps.

#include <cstdint>
#include <string>
#include <vector>

#include "capi/base/status.h"
#include "capi/store/segment/segment_files_internal.h"
#include "capi/store/table_store.h"

namespace capi::store {

/// Where the bytes of an attempt or of a table's directory are.
struct Manifest {
  enum class Kind { kAttempt, kTable };
  Kind kind = Kind::kAttempt;
  /// Container (attempt) or table file. 0: an attempt without rows, which has no bytes.
  uint64_t file = 0;
  int64_t offset = 0;     ///< of the attempt in the container; 0 for tables
  int64_t length = 0;     ///< of the attempt, or of the table file
  int64_t directory = 0;  ///< position of the directory from `offset`; it reaches to the end
  uint64_t checksum = 0;  ///< of the directory
  int64_t batch = 0;      ///< attempts
  int64_t rows = 0;
  // Of shared stores, else 0: who wrote the file, and the pieces it is cut into.
  int64_t owner = 0;
  int32_t piece_bytes = 0;
  TableId table;
  std::vector<TableId> references;

  FileRef Ref() const {
    return owner == 0 ? FileRef{file} : FileRef{file, table.run_id, owner, piece_bytes};
  }
  void SetRef(const FileRef& ref) {
    file = ref.id;
    owner = ref.owner;
    piece_bytes = ref.piece_bytes;
  }

  std::string ToText() const;
  static Result<Manifest> Parse(const std::string& text);
};

/// 16 hex digits.
std::string HexId(uint64_t id);

}  // namespace capi::store
