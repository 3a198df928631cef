#pragma once

// The workflow state of one keyspace in Cassandra (cluster mode). Tables: schema.h; protocol:
// docs/design/workflow.md "On Cassandra".
//
// Differences from SQLite that a caller may notice: other processes work on the same records
// (IsShared); texts must be UTF-8 (in errors, comments and descriptions other bytes are replaced;
// elsewhere the server's refusal is a kUser error); events are numbered by time, see EventsAfter
// below. Errors of the session pass through; a kRetriable one of EndAttempts leaves it open which
// attempts are decided: the same call again finds out.
//
// EventsAfter: the numbers are (time in ms) << 20 | hash of the row's key. The times are those of
// the servers that took the writes, so the clocks of the servers order the events, and one may
// appear with a number below others already seen. A follower therefore asks from a few seconds
// before the last number and ignores what it knows. Each call reads the histories of all runs that
// go on or ended lately (a run of 100,000 batches: about a second on the server), so ask for much
// at once.

#include <memory>
#include <string>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/status.h"
#include "capi/cql/session.h"
#include "capi/state/state_store.h"

namespace capi::state {

struct CassandraStoreOptions {
  std::string keyspace;
  /// Literal of CREATE KEYSPACE, e.g. {'class': 'NetworkTopologyStrategy', 'datacenter1': 1}.
  std::string replication;
  bool create = false;  ///< makes keyspace and tables unless they exist
};

/// kUser "bad_keyspace_name": see IsKeyspaceName. Without `create` a keyspace that has not our
/// tables is the kUser error "unknown_keyspace". A keyspace whose workflow tables have another
/// layout (of an older original) is the kUser error "other_layout". `env` and `session` outlive the
/// store.
Result<std::unique_ptr<StateStore>> OpenCassandraStore(Env* env, cql::Session* session,
                                                       const CassandraStoreOptions& options);

/// Returns when the keyspace is gone; OK if there is none.
Status DropCassandraKeyspace(cql::Session* session, const std::string& keyspace);

/// Keyspaces with our workflow tables or those of the original, sorted.
Result<std::vector<std::string>> ListCassandraKeyspaces(cql::Session* session);

}  // namespace capi::state
