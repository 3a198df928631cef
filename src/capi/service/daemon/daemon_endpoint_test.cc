#include "capi/service/daemon/daemon_endpoint.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "capi/service/daemon/daemon_metrics.h"

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
  daemon_.cache.hits = 13;
  Set([](DaemonStatus* status) {
    status->cluster.retries = 17;
    status->broker = RetriableError("no broker");
    status->keyspaces.resize(2);
    status->keyspaces[0].runs.resize(1);
    status->keyspaces[0].runs[0].batches_in_hand = 3;
  });
  const std::string text = Body("/metrics");
  for (const char* line :
       {"capi_build_info{version=\"1.2.3\"} 1", "capi_batches_total{outcome=\"success\"} 2",
        "capi_batches_total{outcome=\"released\"} 5", "capi_batches_total{outcome=\"fenced\"} 0",
        "capi_batch_duration_seconds_count{node_type=\"table_file\",result=\"success\"} 1",
        "capi_batch_duration_seconds_bucket{node_type=\"file_table\",result=\"success\","
        "le=\"0.001\"} 0",
        "capi_batch_duration_seconds_bucket{node_type=\"file_table\",result=\"success\","
        "le=\"+Inf\"} 1",
        "capi_node_finish_duration_seconds_count{result=\"success\"} 1", "capi_rows_read_total 7",
        "capi_bytes_written_total{to=\"table\"} 11", "capi_table_cache_hits_total 13",
        "capi_db_retries_total 17", "capi_broker_connected 0", "capi_keyspaces 2",
        "capi_batches_in_hand 3", "# TYPE capi_batch_duration_seconds histogram",
        "# TYPE capi_daemon_msg_ack_count counter"}) {
    EXPECT_NE(("\n" + text).find("\n" + std::string(line) + "\n"), std::string::npos)
        << line << "\n"
        << text;
  }
  const std::string answer = Ask("GET", "/metrics");
  EXPECT_NE(answer.find("Content-Type: text/plain; version=0.0.4"), std::string::npos) << answer;
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
