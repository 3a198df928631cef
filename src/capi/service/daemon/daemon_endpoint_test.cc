#include "capi/service/daemon/daemon_endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "capi/service/daemon/daemon_metrics.h"
#include "capi/service/daemon/process_metrics.h"
#include "capi/service/daemon/timed_fetcher.h"

namespace capi::service {
namespace {

/// In the state that the test gives it.
class StandingDaemon final : public Daemon {
 public:
  Status Run() override { return Status::OK(); }
  void Drain(const std::string&) override {}
  DaemonStatus status() const override {
    const std::lock_guard lock(mutex);
    return state;
  }
  const workflow::ExecutionCounters& counters() const override { return execution; }
  const store::CacheCounters& cache_counters() const override { return cache; }

  mutable std::mutex mutex;
  DaemonStatus state;
  workflow::ExecutionCounters execution;
  store::CacheCounters cache;
};

class DaemonEndpointTest : public testing::Test {
 protected:
  void SetUp() override {
    EndpointOptions options;
    options.lease_ms = 1000;
    options.version = "1.2.3";
    server_ = ServeDaemon(options, &daemon_).ValueOrDie();
  }

  std::string Ask(const std::string& method, const std::string& path) const {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    const std::string request = method + " " + path + " HTTP/1.1\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(::send(socket, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    std::array<char, 65536> buffer;
    ssize_t count = 0;
    while ((count = ::recv(socket, buffer.data(), buffer.size(), 0)) > 0) {
      answer.append(buffer.data(), static_cast<size_t>(count));
    }
    ::close(socket);
    return answer;
  }
  int Code(const std::string& path) const {
    return std::stoi(Ask("GET", path).substr(std::string("HTTP/1.1 ").size(), 3));
  }
  std::string Body(const std::string& path) const {
    const std::string answer = Ask("GET", path);
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }
  void Set(const std::function<void(DaemonStatus*)>& change) {
    const std::lock_guard lock(daemon_.mutex);
    change(&daemon_.state);
  }

  StandingDaemon daemon_;
  std::unique_ptr<http::Server> server_;
};

TEST_F(DaemonEndpointTest, IsReadyAfterTheFirstLookUntilItDrains) {
  EXPECT_EQ(Code("/ready"), 503);
  Set([](DaemonStatus* status) { status->looked = true; });
  EXPECT_EQ(Code("/ready"), 200);
  Set([](DaemonStatus* status) { status->draining = true; });
  EXPECT_EQ(Code("/ready"), 503);
  EXPECT_EQ(Body("/ready"), "draining\n");
  EXPECT_EQ(Code("/health"), 200);
}

TEST_F(DaemonEndpointTest, IsHealthyWhileCassandraAnswers) {
  Set([](DaemonStatus* status) { status->cluster.since_answer_ms = 1000; });
  EXPECT_EQ(Code("/health"), 200);
  Set([](DaemonStatus* status) { status->cluster.since_answer_ms = 1001; });
  EXPECT_EQ(Code("/health"), 503);
  EXPECT_EQ(Body("/health"), "Cassandra has not answered for 1001 ms\n");
  // A broker that is away costs time only.
  Set([](DaemonStatus* status) {
    status->cluster.since_answer_ms = 0;
    status->broker = RetriableError("no broker");
  });
  EXPECT_EQ(Code("/health"), 200);
}

TEST_F(DaemonEndpointTest, OtherPathsAndMethodsAreRefused) {
  for (const char* path : {"/", "/metric", "/metrics/", "/debug/pprof/", "/../metrics"}) {
    EXPECT_EQ(Code(path), 404) << path;
  }
  EXPECT_TRUE(Ask("POST", "/metrics").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(Ask("DELETE", "/status").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(Ask("HEAD", "/health").starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(Code("/metrics?x=y"), 200);
}

TEST_F(DaemonEndpointTest, MetricsAreWhatWasCounted) {
  constexpr int64_t kMilli = 1000000;
  workflow::ExecutionCounters& execution = daemon_.execution;
  execution.CountBatch(script::NodeType::kFileTable, workflow::BatchOutcome::kSuccess, 2 * kMilli);
  execution.CountBatch(script::NodeType::kTableFile, workflow::BatchOutcome::kSuccess, 5 * kMilli);
  execution.CountBatch(script::NodeType::kTableFile, workflow::BatchOutcome::kReleased, kMilli);
  execution.CountFinish(workflow::BatchOutcome::kSuccess, kMilli);
  execution.not_begun = 4;
  execution.rows_read = 7;
  execution.table_bytes = 11;
  execution.dependency_none = 19;
  execution.s3_downloads.Add(200 * kMilli);
  LatencyHistogram latency;
  latency.Add(2 * kMilli);
  daemon_.cache.hits = 13;
  Set([&latency](DaemonStatus* status) {
    status->cluster.retries = 17;
    status->cluster.latencies = {{"read", latency.snapshot()}, {"conditional", {}}};
    status->python_latencies = latency.snapshot();
    status->broker = RetriableError("no broker");
    status->keyspaces.resize(2);
    status->keyspaces[0].runs.resize(1);
    status->keyspaces[0].runs[0].batches_in_hand = 3;
  });
  const std::string text = Body("/metrics");
  const std::string bucket =
      R"(capi_batch_duration_seconds_bucket{node_type="file_table",result="success",)";
  for (const std::string& line : std::vector<std::string>{
           "capi_build_info{version=\"1.2.3\"} 1",
           "capi_batches_total{outcome=\"success\"} 2",
           "capi_batches_total{outcome=\"released\"} 5",
           "capi_batches_total{outcome=\"fenced\"} 0",
           "capi_batch_duration_seconds_count{node_type=\"table_file\",result=\"success\"} 1",
           bucket + "le=\"0.001\"} 0",
           bucket + "le=\"+Inf\"} 1",
           "capi_node_finish_duration_seconds_count{result=\"success\"} 1",
           "capi_rows_read_total 7",
           "capi_bytes_written_total{to=\"table\"} 11",
           "capi_table_cache_hits_total 13",
           "capi_db_retries_total 17",
           "capi_broker_connected 0",
           "capi_keyspaces 2",
           "capi_batches_in_hand 3",
           "capi_daemon_node_dep_none_count 19",
           "capi_s3_config_file_get_duration_bucket{le=\"0.1\"} 0",
           "capi_s3_config_file_get_duration_bucket{le=\"1\"} 1",
           "capi_http_config_file_get_duration_count 0",
           "capi_sftp_config_file_get_duration_count 0",
           "capi_db_request_seconds_bucket{kind=\"read\",le=\"0.003\"} 1",
           "capi_db_request_seconds_sum{kind=\"read\"} 0.002",
           "capi_db_request_seconds_count{kind=\"conditional\"} 0",
           "capi_pycalc_seconds_count 1",
           "# TYPE capi_db_request_seconds histogram",
           "# TYPE process_cpu_seconds_total counter",
           "# TYPE process_open_fds gauge",
           "# TYPE capi_batch_duration_seconds histogram",
           "# TYPE capi_daemon_msg_ack_count counter"}) {
    EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\n" << text;
  }
  const std::string answer = Ask("GET", "/metrics");
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4"), std::string::npos) << answer;
}

TEST(ProcessUsageTest, IsThatOfThisProcess) {
  const ProcessUsage before = ReadProcessUsage().value();
  EXPECT_GT(before.resident_bytes, 1 << 20);
  EXPECT_GE(before.virtual_bytes, before.resident_bytes);
  const auto now = static_cast<double>(std::time(nullptr));
  EXPECT_LE(before.start_seconds, now + 1);
  EXPECT_GT(before.start_seconds, now - 3600);
  EXPECT_GE(before.open_files, 3);
  EXPECT_GE(before.max_files.value_or(before.open_files), before.open_files);

  const int file = ::dup(STDERR_FILENO);
  std::vector<char> memory(64 << 20, 'x');
  // The clock of the scheduler goes in steps of up to 10 ms.
  const std::clock_t begun = std::clock();
  while (std::clock() - begun < CLOCKS_PER_SEC / 20) memory[static_cast<size_t>(begun) % 4096] ^= 1;
  const ProcessUsage after = ReadProcessUsage().value();
  EXPECT_EQ(after.open_files, before.open_files + 1);
  EXPECT_GE(after.resident_bytes, before.resident_bytes + (32 << 20));
  EXPECT_GT(after.cpu_seconds, before.cpu_seconds);
  EXPECT_LT(after.cpu_seconds, before.cpu_seconds + 10);
  EXPECT_EQ(after.start_seconds, before.start_seconds);
  ::close(file);
}

/// Knows each file.
class SameText final : public Fetcher {
 public:
  Result<std::string> Fetch(const std::string& url) override { return "text of " + url; }
};

TEST(TimedFetcherTest, CountsDownloadsByProtocol) {
  SameText files;
  workflow::ExecutionCounters counters;
  TimedFetcher fetcher(&files, &counters);
  for (const char* url : {"http://h/a", "https://h/a", "s3://b/a", "sftp://u@h/a", "/s3/http", "s3",
                          "file:///sftp"}) {
    EXPECT_EQ(fetcher.Fetch(url).ValueOrDie(), std::string("text of ") + url);
  }
  EXPECT_EQ(counters.http_downloads.snapshot().count, 2);
  EXPECT_EQ(counters.s3_downloads.snapshot().count, 1);
  EXPECT_EQ(counters.sftp_downloads.snapshot().count, 1);
  EXPECT_EQ(TimedFetcher(&files, nullptr).Fetch("s3://b/a").ValueOrDie(), "text of s3://b/a");
}

TEST_F(DaemonEndpointTest, StatusTellsWhatEachWorkerDoes) {
  Set([](DaemonStatus* status) {
    KeyspaceWorkerStatus keyspace;
    keyspace.name = "k";
    KeyspaceWorkerStatus::Run run;
    run.batches_in_hand = 2;
    run.problem = RetriableError("not UTF-8: \xff");
    run.snapshot.run_id = 5;
    workflow::NodeSnapshot node;
    node.name = "read";
    node.type = "file_table";
    node.phase = workflow::NodePhase::kRunning;
    node.rows_in = 100;
    node.elapsed_ms = 500;
    run.snapshot.nodes = {node, workflow::NodeSnapshot()};
    keyspace.runs = {run};
    status->keyspaces = {keyspace};
  });
  const nlohmann::json status = nlohmann::json::parse(Body("/status"));
  EXPECT_EQ(status["batches_in_hand"], 2);
  EXPECT_TRUE(status["broker"]["problem"].is_null());
  const nlohmann::json& keyspace = status["keyspaces"][0];
  EXPECT_EQ(keyspace["name"], "k");
  EXPECT_TRUE(keyspace["problem"].is_null());
  const nlohmann::json& run = keyspace["runs"][0];
  EXPECT_EQ(run["run_id"], 5);
  EXPECT_EQ(run["problem"], "not UTF-8: \xEF\xBF\xBD");
  EXPECT_EQ(run["nodes"][0]["phase"], "running");
  EXPECT_EQ(run["nodes"][0]["rows_per_second"], 200.0);
  EXPECT_EQ(run["nodes"][1]["rows_per_second"], 0.0);
}

}  // namespace
}  // namespace capi::service
