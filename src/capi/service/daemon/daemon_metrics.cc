#include "capi/service/daemon/daemon_metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "capi/script/model.h"
#include "capi/service/daemon/process_metrics.h"

namespace capi::service {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using workflow::BatchOutcome;
using workflow::ExecutionCounters;

namespace {

constexpr double kMillisPerSecond = 1000;

using Labels = std::vector<ClientMetric::Label>;

class Families {
 public:
  void Counter(const std::string& name, const std::string& help, int64_t value) {
    Begin(name, help, MetricType::Counter);
    Sample({}, value);
  }
  void Seconds(const std::string& name, const std::string& help, double value) {
    Begin(name, help, MetricType::Counter);
    Last({}).counter.value = value;
  }
  void Histogram(const std::string& name, const std::string& help,
                 const LatencyHistogram::Snapshot& snapshot) {
    Begin(name, help, MetricType::Histogram);
    Sample({}, snapshot);
  }
  void Gauge(const std::string& name, const std::string& help, double value) {
    Begin(name, help, MetricType::Gauge);
    Last({}).gauge.value = value;
  }
  void Info(const std::string& name, const std::string& help, Labels labels) {
    Begin(name, help, MetricType::Gauge);
    Last(std::move(labels)).gauge.value = 1;
  }
  /// Of several samples, which follow.
  void Begin(const std::string& name, const std::string& help, MetricType type) {
    families_.push_back({name, help, type, {}});
  }
  void Sample(Labels labels, int64_t value) {
    Last(std::move(labels)).counter.value = static_cast<double>(value);
  }
  void Sample(Labels labels, const LatencyHistogram::Snapshot& snapshot) {
    ClientMetric::Histogram& histogram = Last(std::move(labels)).histogram;
    uint64_t cumulative = 0;
    for (size_t i = 0; i < LatencyHistogram::kBounds.size(); ++i) {
      cumulative += static_cast<uint64_t>(snapshot.buckets[i]);
      histogram.bucket.push_back({cumulative, LatencyHistogram::kBounds[i]});
    }
    histogram.sample_count = static_cast<uint64_t>(snapshot.count);
    histogram.sample_sum = snapshot.seconds;
  }
  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  ClientMetric& Last(Labels labels) {
    ClientMetric metric;
    metric.label = std::move(labels);
    families_.back().metric.push_back(std::move(metric));
    return families_.back().metric.back();
  }
  std::vector<MetricFamily> families_;
};

std::string NameOf(BatchOutcome outcome) {
  return std::string(workflow::BatchOutcomeName(outcome));
}

void AddBatches(const ExecutionCounters& execution, Families* families) {
  std::array<int64_t, workflow::kNumBatchOutcomes> totals{};
  // Read once, so that totals and histograms agree.
  std::vector<std::pair<Labels, LatencyHistogram::Snapshot>> histograms;
  for (size_t type = 0; type < ExecutionCounters::kNumNodeTypes; ++type) {
    for (size_t i = 0; i < workflow::kNumBatchOutcomes; ++i) {
      const LatencyHistogram::Snapshot snapshot = execution.batches[type][i].snapshot();
      totals[i] += snapshot.count;
      if (snapshot.count == 0) continue;
      const auto node_type = static_cast<script::NodeType>(type);
      histograms.push_back({{{"node_type", std::string(script::NodeTypeName(node_type))},
                             {"result", NameOf(static_cast<BatchOutcome>(i))}},
                            snapshot});
    }
  }
  totals[static_cast<size_t>(BatchOutcome::kReleased)] += execution.not_begun.load();
  families->Begin("capi_batches_total", "Batches by what became of them", MetricType::Counter);
  for (size_t i = 0; i < totals.size(); ++i) {
    families->Sample({{"outcome", NameOf(static_cast<BatchOutcome>(i))}}, totals[i]);
  }
  families->Begin("capi_batch_duration_seconds", "Execution of batches, without the commit",
                  MetricType::Histogram);
  for (auto& [labels, snapshot] : histograms) families->Sample(std::move(labels), snapshot);
  families->Begin("capi_node_finish_duration_seconds",
                  "Execution of finish tasks, which make the table of a node readable",
                  MetricType::Histogram);
  for (size_t i = 0; i < workflow::kNumBatchOutcomes; ++i) {
    const LatencyHistogram::Snapshot snapshot = execution.finishes[i].snapshot();
    if (snapshot.count == 0) continue;
    families->Sample({{"result", NameOf(static_cast<BatchOutcome>(i))}}, snapshot);
  }
  families->Gauge("capi_active_batches", "Batches and finish tasks executed now",
                  static_cast<double>(execution.executing.load()));
}

void AddProcess(Families* families) {
  const std::optional<ProcessUsage> usage = ReadProcessUsage();
  if (!usage) return;
  families->Gauge("process_resident_memory_bytes", "Resident memory size in bytes",
                  static_cast<double>(usage->resident_bytes));
  families->Gauge("process_virtual_memory_bytes", "Virtual memory size in bytes",
                  static_cast<double>(usage->virtual_bytes));
  families->Seconds("process_cpu_seconds_total", "User and system CPU time spent in seconds",
                    usage->cpu_seconds);
  families->Gauge("process_start_time_seconds", "Start of the process in seconds since 1970 UTC",
                  usage->start_seconds);
  families->Gauge("process_open_fds", "Open file descriptors",
                  static_cast<double>(usage->open_files));
  if (usage->max_files) {
    families->Gauge("process_max_fds", "Limit of open file descriptors",
                    static_cast<double>(*usage->max_files));
  }
}

int64_t BatchesInHand(const DaemonStatus& status) {
  int64_t batches = 0;
  for (const KeyspaceWorkerStatus& keyspace : status.keyspaces) {
    for (const KeyspaceWorkerStatus::Run& run : keyspace.runs) batches += run.batches_in_hand;
  }
  return batches;
}

nlohmann::ordered_json ProblemOf(const Status& status) {
  return status.ok() ? nlohmann::ordered_json() : nlohmann::ordered_json(Describe(status));
}

nlohmann::ordered_json JsonOf(const workflow::NodeSnapshot& node) {
  nlohmann::ordered_json json;
  json["name"] = node.name;
  json["type"] = node.type;
  json["phase"] = NameOf(node.phase);
  json["status"] = state::NodeStatusName(node.status);
  json["batches_done"] = node.batches_done;
  json["batches_total"] = node.batches_total;
  json["rows_in"] = node.rows_in;
  json["rows_out"] = node.rows_out;
  json["rows_per_second"] = node.elapsed_ms <= 0
                                ? 0.0
                                : static_cast<double>(node.rows_in) * kMillisPerSecond /
                                      static_cast<double>(node.elapsed_ms);
  json["error"] =
      node.error.text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(node.error.text);
  return json;
}

nlohmann::ordered_json JsonOf(const KeyspaceWorkerStatus& keyspace) {
  nlohmann::ordered_json json;
  json["name"] = keyspace.name;
  json["problem"] = ProblemOf(keyspace.problem);
  json["runs"] = nlohmann::ordered_json::array();
  for (const KeyspaceWorkerStatus::Run& run : keyspace.runs) {
    nlohmann::ordered_json entry;
    entry["run_id"] = run.snapshot.run_id;
    entry["batches_in_hand"] = run.batches_in_hand;
    entry["problem"] = ProblemOf(run.problem);
    entry["nodes"] = nlohmann::ordered_json::array();
    for (const workflow::NodeSnapshot& node : run.snapshot.nodes) {
      entry["nodes"].push_back(JsonOf(node));
    }
    json["runs"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace

std::string MetricsText(const DaemonStatus& status, const ExecutionCounters& execution,
                        const store::CacheCounters& cache, const std::string& version) {
  Families all;
  all.Info("capi_build_info", "The version of the program", {{"version", version}});
  AddBatches(execution, &all);
  all.Counter("capi_rows_read_total", "Rows read by successful batches", execution.rows_read);
  all.Counter("capi_rows_written_total", "Rows written by successful batches",
              execution.rows_written);
  all.Begin("capi_bytes_written_total", "Bytes written by successful batches", MetricType::Counter);
  all.Sample({{"to", "table"}}, execution.table_bytes);
  all.Sample({{"to", "file"}}, execution.file_bytes);

  all.Counter("capi_daemon_node_dep_go_count", "Verdicts: the node may start",
              execution.dependency_go);
  all.Counter("capi_daemon_node_dep_wait_count", "Verdicts: the node waits",
              execution.dependency_wait);
  all.Counter("capi_daemon_node_dep_nogo_count", "Verdicts: the node cannot start",
              execution.dependency_nogo);
  all.Counter("capi_daemon_node_dep_none_count",
              "Verdicts: no rule of the policy matches, the node waits", execution.dependency_none);
  all.Histogram("capi_daemon_node_dep_ready_get_duration",
                "Seconds to find out whether a node may start",
                execution.dependency_checks.snapshot());
  all.Histogram("capi_http_config_file_get_duration",
                "Seconds of downloads of scripts and parameters by HTTP",
                execution.http_downloads.snapshot());
  all.Histogram("capi_s3_config_file_get_duration",
                "Seconds of downloads of scripts and parameters from S3",
                execution.s3_downloads.snapshot());
  all.Histogram("capi_sftp_config_file_get_duration",
                "Seconds of downloads of scripts and parameters by SFTP",
                execution.sftp_downloads.snapshot());
  all.Histogram("capi_pycalc_seconds", "Execution of Python formulas for a set of rows",
                status.python_latencies);

  all.Counter("capi_daemon_msg_received_count", "Messages received from the broker",
              status.messages_received);
  all.Counter("capi_daemon_msg_published_count", "Messages that the broker has taken",
              status.messages_published);
  all.Counter("capi_daemon_msg_ack_count", "Messages acknowledged", status.messages_done);
  all.Counter("capi_daemon_msg_retry_count", "Messages given back to the broker",
              status.messages_returned);
  all.Gauge("capi_broker_connected", "1: the broker can be reached", status.broker.ok() ? 1 : 0);

  const ClusterCounters& cluster = status.cluster;
  all.Counter("capi_db_requests_total", "Requests to Cassandra", cluster.requests);
  all.Counter("capi_db_retries_total", "Requests to Cassandra that were repeated", cluster.retries);
  all.Counter("capi_db_errors_total", "Requests to Cassandra that failed", cluster.errors);
  all.Counter("capi_db_bytes_written_total", "Bytes of values sent to Cassandra",
              cluster.bytes_written);
  all.Counter("capi_db_bytes_read_total", "Bytes of values received from Cassandra",
              cluster.bytes_read);
  all.Begin("capi_db_request_seconds", "Requests to Cassandra, repetitions included",
            MetricType::Histogram);
  for (const auto& [kind, snapshot] : cluster.latencies) {
    all.Sample({{"kind", std::string(kind)}}, snapshot);
  }
  all.Gauge("capi_db_requests_in_flight", "Requests under way",
            static_cast<double>(cluster.in_flight));
  all.Gauge("capi_db_request_window", "Requests that may be under way at once, adapted to load",
            static_cast<double>(cluster.window));
  all.Gauge("capi_db_seconds_since_answer", "Since Cassandra last did what was asked",
            static_cast<double>(cluster.since_answer_ms) / kMillisPerSecond);
  all.Counter("capi_lease_renewals_total", "Renewals of leases in keyspaces",
              execution.lease_renewals);

  all.Gauge("capi_table_cache_bytes", "Bytes of tables kept on this machine",
            static_cast<double>(cache.bytes.load()));
  all.Counter("capi_table_cache_hits_total", "Reads of tables that found all on this machine",
              cache.hits);
  all.Counter("capi_table_cache_misses_total", "Reads of tables that waited for Cassandra",
              cache.misses);

  all.Gauge("capi_memory_reserved_bytes", "Memory reserved by batches",
            static_cast<double>(status.memory_reserved_bytes));
  all.Gauge("capi_memory_limit_bytes", "Bound of what batches reserve",
            static_cast<double>(status.memory_limit_bytes));
  all.Gauge("capi_threads", "Batches that can be executed at once",
            static_cast<double>(status.threads));
  all.Gauge("capi_keyspaces", "Keyspaces that the daemon works in",
            static_cast<double>(status.keyspaces.size()));
  all.Gauge("capi_batches_in_hand", "Batches claimed and not ended",
            static_cast<double>(BatchesInHand(status)));
  all.Gauge("capi_draining", "1: the daemon takes no more work", status.draining ? 1 : 0);
  AddProcess(&all);
  return all.Text();
}

std::string StatusJson(const DaemonStatus& status) {
  nlohmann::ordered_json json;
  json["draining"] = status.draining;
  json["looked"] = status.looked;
  json["threads"] = status.threads;
  json["batches_in_hand"] = BatchesInHand(status);
  json["memory"] = {{"reserved_bytes", status.memory_reserved_bytes},
                    {"limit_bytes", status.memory_limit_bytes}};
  json["broker"] = {{"problem", ProblemOf(status.broker)},
                    {"messages_received", status.messages_received},
                    {"messages_published", status.messages_published}};
  json["cassandra"] = {{"since_answer_ms", status.cluster.since_answer_ms},
                       {"requests_in_flight", status.cluster.in_flight},
                       {"request_window", status.cluster.window}};
  json["keyspaces"] = nlohmann::ordered_json::array();
  for (const KeyspaceWorkerStatus& keyspace : status.keyspaces) {
    json["keyspaces"].push_back(JsonOf(keyspace));
  }
  // Names and messages may hold any bytes.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace capi::service
