#pragma once

// The servers of a cluster as the settings name them: one connection to Cassandra for the whole
// process, and the message broker. Only this room chooses back ends.

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/base/env.h"
#include "capi/base/latency_histogram.h"
#include "capi/base/status.h"
#include "capi/config/config.h"
#include "capi/state/state_store.h"
#include "capi/store/blob_store.h"
#include "capi/store/rows/row_publisher.h"

namespace capi::service {

/// A cluster is configured: cassandra.hosts.
bool UsesCluster(const config::Config& config);

/// What the connections to the database did since they were made.
struct ClusterCounters {
  int64_t requests = 0;
  int64_t retries = 0;
  int64_t errors = 0;
  int64_t bytes_written = 0;
  int64_t bytes_read = 0;
  int64_t in_flight = 0;
  int64_t window = 0;           ///< of requests in flight, as the servers' load allows now
  int64_t since_answer_ms = 0;  ///< since a server last did what was asked
  /// By kind of request: until the last answer, repetitions included.
  std::vector<std::pair<std::string_view, LatencyHistogram::Snapshot>> latencies;
};

/// The database. Thread-safe; outlives what was opened through it. Errors besides those said: as
/// in cql/session.h.
class Cluster {
 public:
  /// kRetriable if no server answers; kEnvironment "no_cluster_support" if this program was built
  /// without the cluster back ends.
  static Result<std::shared_ptr<Cluster>> Connect(Env* env, const config::Config& config);
  virtual ~Cluster() = default;

  /// The contact points for messages: "host1 host2".
  virtual const std::string& address() const = 0;
  /// `create`: makes the keyspace and our tables, those of OpenBlobs too, unless they exist. Else a
  /// missing keyspace is the kUser error "unknown_keyspace".
  virtual Result<std::unique_ptr<state::StateStore>> OpenState(const std::string& keyspace,
                                                               bool create) = 0;
  virtual Result<std::unique_ptr<store::BlobStore>> OpenBlobs(const std::string& keyspace) = 0;
  /// For the rows of finished tables; null unless cassandra.table_layout is rows.
  virtual std::unique_ptr<store::RowPublisher> OpenRows(const std::string& keyspace) = 0;
  /// Those with workflow tables, sorted.
  virtual Result<std::vector<std::string>> Keyspaces() = 0;
  /// Asks for as little as can be asked for.
  virtual Status Check() = 0;
  virtual ClusterCounters counters() const = 0;
  /// Ends all requests under way, and later ones at once, with kRetriable errors: for a process
  /// that must end although no server answers.
  virtual void GiveUp() = 0;
  /// Returns when it is gone. kUser error "unknown_keyspace".
  virtual Status Drop(const std::string& keyspace) = 0;
};

}  // namespace capi::service
