#include "capi/service/cassandra/cassandra_cluster.h"

#include <algorithm>
#include <utility>

#include "capi/cql/session.h"
#include "capi/state/cassandra/cassandra_store.h"
#include "capi/store/cassandra/cassandra_blob_store.h"
#include "capi/store/cassandra/cassandra_row_publisher.h"

namespace capi::service {

namespace {

cql::SessionOptions SessionOptionsOf(const config::CassandraSettings& settings) {
  cql::SessionOptions options;
  options.hosts = settings.hosts;
  options.port = settings.port;
  options.username = settings.username;
  options.password = settings.password;
  options.consistency = settings.consistency;
  options.timeout_ms = settings.timeout_ms;
  options.connect_timeout_ms = settings.connect_timeout_ms;
  options.connections_per_host = settings.num_conns;
  options.only_contact_points = settings.disable_initial_host_lookup;
  options.use_tls = !settings.certificate_path.empty() || !settings.key_path.empty() ||
                    !settings.ca_path.empty() || settings.enable_host_verification;
  options.tls.certificate_path = settings.certificate_path;
  options.tls.key_path = settings.key_path;
  options.tls.ca_path = settings.ca_path;
  options.tls.verify_host = settings.enable_host_verification;
  return options;
}

class CassandraCluster final : public Cluster {
 public:
  CassandraCluster(Env* env, const config::CassandraSettings& settings,
                   std::unique_ptr<cql::Session> session)
      : env_(env),
        replication_(settings.keyspace_replication_config),
        rows_(settings.table_layout == "rows"),
        session_(std::move(session)) {
    for (const std::string& host : settings.hosts) {
      address_ += (address_.empty() ? "" : " ") + host;
    }
  }

  const std::string& address() const override { return address_; }

  Result<std::unique_ptr<state::StateStore>> OpenState(const std::string& keyspace,
                                                       bool create) override {
    state::CassandraStoreOptions options;
    options.keyspace = keyspace;
    options.replication = replication_;
    options.create = create;
    CAPI_ASSIGN_OR_RETURN(std::unique_ptr<state::StateStore> state,
                          state::OpenCassandraStore(env_, session_.get(), options));
    if (create) CAPI_RETURN_NOT_OK(store::CreateBlockTable(session_.get(), keyspace));
    return state;
  }

  Result<std::unique_ptr<store::BlobStore>> OpenBlobs(const std::string& keyspace) override {
    return store::OpenCassandraBlobStore(session_.get(), keyspace);
  }

  std::unique_ptr<store::RowPublisher> OpenRows(const std::string& keyspace) override {
    return rows_ ? store::NewCassandraRowPublisher(session_.get(), keyspace) : nullptr;
  }

  Result<std::vector<std::string>> Keyspaces() override {
    return state::ListCassandraKeyspaces(session_.get());
  }

  Status Check() override {
    cql::Request request;
    CAPI_ASSIGN_OR_RETURN(request.statement,
                          session_->Prepare("SELECT key FROM system.local", /*idempotent=*/true));
    request.consistency = cql::Consistency::kOne;
    return session_->Execute(request).status();
  }

  ClusterCounters counters() const override {
    const cql::SessionCounters session = session_->counters();
    ClusterCounters counters;
    counters.requests = session.requests;
    counters.retries = session.retries;
    counters.errors = session.errors;
    counters.bytes_written = session.bytes_written;
    counters.bytes_read = session.bytes_read;
    counters.in_flight = session.in_flight;
    counters.window = session.window;
    counters.since_answer_ms = session.since_answer_ms;
    for (size_t i = 0; i < cql::kNumRequestKinds; ++i) {
      counters.latencies.emplace_back(cql::RequestKindName(static_cast<cql::RequestKind>(i)),
                                      session.latencies[i]);
    }
    return counters;
  }

  void GiveUp() override { session_->GiveUp(); }

  Status Drop(const std::string& keyspace) override {
    // Others' keyspaces are none of our business.
    CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> known, Keyspaces());
    if (std::find(known.begin(), known.end(), keyspace) == known.end()) {
      return UserError("unknown_keyspace", "no such keyspace: " + keyspace);
    }
    return state::DropCassandraKeyspace(session_.get(), keyspace);
  }

 private:
  Env* const env_;
  const std::string replication_;
  const bool rows_;
  std::string address_;
  const std::unique_ptr<cql::Session> session_;
};

}  // namespace

Result<std::shared_ptr<Cluster>> ConnectToCassandra(Env* env,
                                                    const config::CassandraSettings& settings) {
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<cql::Session> session,
                        cql::Session::Connect(SessionOptionsOf(settings)));
  return std::make_shared<CassandraCluster>(env, settings, std::move(session));
}

}  // namespace capi::service
