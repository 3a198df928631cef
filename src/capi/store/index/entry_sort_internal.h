#pragma once

// Hashing keys for indexes, and sorting index entries.

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow/type_fwd.h"
#include "capi/base/status.h"
#include "capi/data/key.h"
#include "capi/data/types.h"
#include "capi/exec/task_pool.h"
#include "capi/store/segment/format_internal.h"

namespace capi::store {

/// Of the hash of a key, the first part of an index entry.
inline constexpr int kHashBits = 64;

/// data::HashKeys, as used by all indexes.
Status HashIndexKeys(const std::vector<data::KeyComponent>& components,
                     const std::vector<std::shared_ptr<arrow::Array>>& columns, int64_t num_rows,
                     uint64_t* hashes);

/// Only the highest `bits` bits of hashes are used from now on (64: all), so that tests meet keys
/// that differ and hash alike.
void SetIndexHashBitsForTesting(int bits);

/// Hashes of rows that follow one another.
struct HashedRows {
  data::RowId first_row = 0;
  std::vector<uint64_t> hashes;
};

/// Entries of all pieces, ascending by hash, then row. `pool` may be null.
Result<std::unique_ptr<IndexEntry[]>> SortedEntries(const std::vector<HashedRows>& pieces,
                                                    int64_t count, exec::TaskPool* pool);

/// Sorts entries in place (by hash, then row), with `scratch` of the same size.
void SortEntries(IndexEntry* entries, int64_t count, IndexEntry* scratch);

}  // namespace capi::store
