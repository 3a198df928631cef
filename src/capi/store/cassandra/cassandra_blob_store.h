#pragma once

// A BlobStore in one table of a Cassandra keyspace: a row for each piece, 64 pieces to a partition.

#include <memory>
#include <string>

#include "capi/base/status.h"
#include "capi/cql/session.h"
#include "capi/store/blob_store.h"

namespace capi::store {

/// Name of the table.
inline constexpr char kBlockTable[] = "wf_capi_block";
/// Pieces of a file that share a partition: 64 MiB when pieces have the most bytes they may have.
constexpr int64_t kPiecesPerPartition = 64;

/// Creates the table of a keyspace, if it is missing. The keyspace exists.
Status CreateBlockTable(cql::Session* session, const std::string& keyspace);

/// The table exists; `session` outlives the store and every table opened through it. Bytes under
/// way are bounded by the session too. Missing keyspaces and tables are kUser as in cql/session.h.
Result<std::unique_ptr<BlobStore>> OpenCassandraBlobStore(cql::Session* session,
                                                          const std::string& keyspace);

}  // namespace capi::store
