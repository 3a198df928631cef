#include "capi/config/keys.h"

#include "capi/base/redact.h"

namespace capi::config {

namespace {

constexpr int64_t kMostPort = 65535;
constexpr int64_t kHour = 3600000;

Key Declare(std::string_view path, std::string_view variable, std::string_view meaning,
            Target target) {
  Key key;
  key.path = path;
  key.variable = variable;
  key.meaning = meaning;
  key.target = target;
  return key;
}

Key Within(Key key, int64_t least, int64_t most) {
  key.least = least;
  key.most = most;
  return key;
}

Key Milliseconds(Key key, int64_t least, int64_t most) {
  key = Within(std::move(key), least, most);
  key.unit = Unit::kMilliseconds;
  return key;
}

Key Bytes(Key key) {
  key = Within(std::move(key), 0, INT64_MAX);
  key.unit = Unit::kBytes;
  return key;
}

Key Unlimited(Key key) {
  key.may_be_none = true;
  return key;
}

Key OneOf(Key key, std::vector<std::string_view> choices) {
  key.choices = std::move(choices);
  return key;
}

Key Hidden(Key key, Secrecy secrecy) {
  key.secrecy = secrecy;
  return key;
}

Key Also(Key key, std::string_view path, std::vector<std::string_view> variables) {
  key.other_path = path;
  key.other_variables = std::move(variables);
  return key;
}

void DeclarePrograms(std::vector<Key>* keys) {
  keys->push_back(Declare(
      "data_dir", "CAPI_DATA_DIR", "where keyspaces are kept (embedded)",
      +[](Config* c) { return &c->data_dir; }));
  keys->push_back(Within(Declare(
                             "threads", "CAPI_THREADS", "threads that compute; 0 = all cores",
                             +[](Config* c) { return &c->threads; }),
                         0, 1024));
  keys->push_back(Bytes(Declare(
      "memory_limit", "CAPI_MEMORY_LIMIT",
      "bound of the memory of a run; 0 = 70 % of the machine's",
      +[](Config* c) { return &c->memory_limit; })));
  keys->push_back(Declare(
      "ca_path", "CAPI_CA_PATH", "directory of PEM files for https; empty = the system's roots",
      +[](Config* c) { return &c->files.ca_path; }));
  keys->push_back(Declare(
      "private_keys", "CAPI_PRIVATE_KEYS", "sftp: user to key file",
      +[](Config* c) { return &c->files.private_keys; }));
  keys->push_back(Declare(
      "files.known_hosts", "CAPI_KNOWN_HOSTS",
      "sftp: file of host keys; empty = ~/.ssh/known_hosts",
      +[](Config* c) { return &c->files.known_hosts; }));
  const Key s3_endpoint = Declare(
      "files.s3_endpoint", "CAPI_S3_ENDPOINT", "S3 server; empty = Amazon",
      +[](Config* c) { return &c->files.s3_endpoint; });
  keys->push_back(
      Also(Hidden(s3_endpoint, Secrecy::kUrl), "", {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}));
  keys->push_back(Declare(
      "files.s3_region", "CAPI_S3_REGION", "S3 region; empty = as the AWS tools find it",
      +[](Config* c) { return &c->files.s3_region; }));
  keys->push_back(Declare(
      "files.allowed_roots", "CAPI_ALLOWED_ROOTS",
      "local directories that scripts may use; empty = all",
      +[](Config* c) { return &c->files.allowed_roots; }));
  keys->push_back(Declare(
      "files.allowed_hosts", "CAPI_ALLOWED_HOSTS", "hosts that scripts may use; empty = all",
      +[](Config* c) { return &c->files.allowed_hosts; }));
  keys->push_back(Milliseconds(
      Declare(
          "files.connect_timeout", "CAPI_FILES_CONNECT_TIMEOUT", "connecting to a file server",
          +[](Config* c) { return &c->files.connect_timeout_ms; }),
      1, kHour));
  keys->push_back(
      Milliseconds(Declare(
                       "files.timeout", "CAPI_FILES_TIMEOUT", "a transfer without any progress",
                       +[](Config* c) { return &c->files.timeout_ms; }),
                   1, kHour));
  const Key interpreter = Declare(
      "custom_processors.py_calc.python_interpreter_path", "CAPI_PYCALC_INTERPRETER_PATH",
      "Python interpreter for formulas", +[](Config* c) { return &c->py_calc.interpreter_path; });
  keys->push_back(Also(interpreter, "", {"CAPI_PYTHON"}));
  keys->push_back(Declare(
      "custom_processors.py_calc.python_interpreter_params", "CAPI_PYCALC_INTERPRETER_PARAMS",
      "its arguments", +[](Config* c) { return &c->py_calc.interpreter_params; }));
  keys->push_back(Milliseconds(
      Declare(
          "custom_processors.py_calc.execution_timeout", "CAPI_PYCALC_EXECUTION_TIMEOUT",
          "a formula call that takes longer fails its batch",
          +[](Config* c) { return &c->py_calc.execution_timeout_ms; }),
      1, 24 * kHour));
  const Key memory_limit = Declare(
      "custom_processors.py_calc.memory_limit", "CAPI_PYCALC_MEMORY_LIMIT",
      "address space of one interpreter; 0 = 4GiB, none = no limit",
      +[](Config* c) { return &c->py_calc.memory_limit; });
  keys->push_back(Unlimited(Bytes(memory_limit)));
  keys->push_back(Declare(
      "custom_processors.py_calc.sandbox", "CAPI_PYCALC_SANDBOX",
      "formulas have no network and cannot write, as far as the kernel can see to it",
      +[](Config* c) { return &c->py_calc.sandbox; }));
  keys->push_back(Declare(
      "custom_processors.py_calc.passed_variables", "CAPI_PYCALC_PASSED_VARIABLES",
      "environment variables that formulas may see",
      +[](Config* c) { return &c->py_calc.passed_variables; }));
  keys->push_back(
      Also(OneOf(Declare(
                     "log.level", "CAPI_LOG_LEVEL", "what is logged",
                     +[](Config* c) { return &c->log.level; }),
                 {"debug", "info", "warn", "warning", "error", "dpanic", "panic", "fatal", "off"}),
           "", {"CAPI_LOG"}));
  keys->push_back(Declare(
      "log.log_file", "CAPI_LOG_FILE", "log file of a daemon, besides standard output",
      +[](Config* c) { return &c->log.file; }));
  keys->push_back(Within(Declare(
                             "log.prometheus_exporter_port", "CAPI_PROMETHEUS_EXPORTER_PORT",
                             "port of a daemon for /metrics, /health, /ready and /status; 0 = off",
                             +[](Config* c) { return &c->log.prometheus_exporter_port; }),
                         0, kMostPort));
  keys->push_back(Declare(
      "handler_executable_type", "", "name of the program kind in log lines",
      +[](Config* c) { return &c->handler_executable_type; }));
  keys->push_back(Also(Within(Declare(
                                  "daemon.thread_pool_size", "CAPI_THREAD_POOL_SIZE",
                                  "batches a daemon processes at once",
                                  +[](Config* c) { return &c->daemon_thread_pool_size; }),
                              1, 1024),
                       "thread_pool_size", {}));
  keys->push_back(Milliseconds(Declare(
                                   "daemon.lease_time", "CAPI_DAEMON_LEASE_TIME",
                                   "a daemon that shows no sign of life for this long is given up",
                                   +[](Config* c) { return &c->lease_time_ms; }),
                               1000, kHour));
  keys->push_back(Bytes(Declare(
      "daemon.cache_size", "CAPI_DAEMON_CACHE_SIZE",
      "table data on a daemon's disk for each keyspace; what is in use stays",
      +[](Config* c) { return &c->daemon_cache_size; })));
  keys->push_back(Declare(
      "daemon.listen_address", "CAPI_DAEMON_LISTEN_ADDRESS",
      "IP address of that port; 0.0.0.0 = all of the machine",
      +[](Config* c) { return &c->daemon_listen_address; }));
  keys->push_back(Within(Declare(
                             "webapi.webapi_port", "CAPI_WEBAPI_PORT", "port of the web API",
                             +[](Config* c) { return &c->webapi_port; }),
                         1, kMostPort));
  keys->push_back(Declare(
      "webapi.access_control_allow_origin", "CAPI_WEBAPI_ACCESS_CONTROL_ALLOW_ORIGIN",
      "origins that may call the web API, separated by commas; * = all",
      +[](Config* c) { return &c->webapi_access_control_allow_origin; }));
}

void DeclareCassandra(std::vector<Key>* keys) {
  keys->push_back(Declare(
      "cassandra.hosts", "CAPI_CASSANDRA_HOSTS", "contact points",
      +[](Config* c) { return &c->cassandra.hosts; }));
  keys->push_back(Within(Declare(
                             "cassandra.port", "CAPI_CASSANDRA_PORT", "",
                             +[](Config* c) { return &c->cassandra.port; }),
                         1, kMostPort));
  keys->push_back(Declare(
      "cassandra.username", "CAPI_CASSANDRA_USERNAME", "",
      +[](Config* c) { return &c->cassandra.username; }));
  keys->push_back(Hidden(Declare(
                             "cassandra.password", "CAPI_CASSANDRA_PASSWORD", "",
                             +[](Config* c) { return &c->cassandra.password; }),
                         Secrecy::kSecret));
  keys->push_back(Declare(
      "cassandra.keyspace_replication_config", "CAPI_CASSANDRA_KEYSPACE_REPLICATION_CONFIG",
      "CQL map behind WITH REPLICATION =", +[](Config* c) {
        return &c->cassandra.keyspace_replication_config;
      }));
  keys->push_back(Within(
      Declare(
          "cassandra.writer_workers", "CAPI_CASSANDRA_WRITER_WORKERS",
          "parallel writers of a batch", +[](Config* c) { return &c->cassandra.writer_workers; }),
      1, 1000));
  keys->push_back(
      Within(Declare(
                 "cassandra.num_conns", "CAPI_CASSANDRA_NUM_CONNS", "connections to each host",
                 +[](Config* c) { return &c->cassandra.num_conns; }),
             1, 1000));
  keys->push_back(Milliseconds(Declare(
                                   "cassandra.timeout", "CAPI_CASSANDRA_TIMEOUT", "one query",
                                   +[](Config* c) { return &c->cassandra.timeout_ms; }),
                               1, kHour));
  keys->push_back(Milliseconds(Declare(
                                   "cassandra.connect_timeout", "CAPI_CASSANDRA_CONNECT_TIMEOUT",
                                   "", +[](Config* c) { return &c->cassandra.connect_timeout_ms; }),
                               1, kHour));
  keys->push_back(OneOf(
      Declare(
          "cassandra.consistency", "CAPI_CASSANDRA_CONSISTENCY", "",
          +[](Config* c) { return &c->cassandra.consistency; }),
      {"ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE"}));
  keys->push_back(Declare(
      "cassandra.disable_initial_host_lookup", "CAPI_CASSANDRA_DISABLE_INITIAL_HOST_LOOKUP",
      "use the given hosts only",
      +[](Config* c) { return &c->cassandra.disable_initial_host_lookup; }));
  keys->push_back(OneOf(Declare(
                            "cassandra.table_layout", "CAPI_CASSANDRA_TABLE_LAYOUT",
                            "rows: tables are also published as one CQL row per record",
                            +[](Config* c) { return &c->cassandra.table_layout; }),
                        {"blocks", "rows"}));
  keys->push_back(Within(Declare(
                             "cassandra.min_inserter_rate", "CAPI_CASSANDRA_MIN_INSERTER_RATE",
                             "rows per second below which a batch of release 1.1 fails",
                             +[](Config* c) { return &c->cassandra.min_inserter_rate; }),
                         0, INT64_MAX));
  keys->push_back(Declare(
      "cassandra.ssl_opts.cert_path", "CAPI_CASSANDRA_CERT_PATH", "client certificate",
      +[](Config* c) { return &c->cassandra.certificate_path; }));
  keys->push_back(Declare(
      "cassandra.ssl_opts.key_path", "CAPI_CASSANDRA_KEY_PATH", "its private key",
      +[](Config* c) { return &c->cassandra.key_path; }));
  keys->push_back(Declare(
      "cassandra.ssl_opts.ca_path", "CAPI_CASSANDRA_CA_PATH", "roots, a file",
      +[](Config* c) { return &c->cassandra.ca_path; }));
  keys->push_back(Declare(
      "cassandra.ssl_opts.enable_host_verification", "CAPI_CASSANDRA_ENABLE_HOST_VERIFICATION", "",
      +[](Config* c) { return &c->cassandra.enable_host_verification; }));
}

void DeclareQueues(std::vector<Key>* keys) {
  keys->push_back(
      OneOf(Declare(
                "mq_type", "CAPI_MQ_TYPE", "the queue; empty = the one that has a section",
                +[](Config* c) { return &c->mq_type; }),
            {"capimq", "amqp10", "amqp"}));
  keys->push_back(Hidden(Declare(
                             "amqp10.url", "CAPI_AMQP10_URL", "AMQP 1.0 server",
                             +[](Config* c) { return &c->amqp10.url; }),
                         Secrecy::kUrl));
  keys->push_back(Declare(
      "amqp10.address", "CAPI_AMQP10_ADDRESS", "queue on that server",
      +[](Config* c) { return &c->amqp10.address; }));
  keys->push_back(
      OneOf(Declare(
                "amqp10.retry_method", "CAPI_AMQP10_RETRY_METHOD", "how a message is given back",
                +[](Config* c) { return &c->amqp10.retry_method; }),
            {"release", "reject"}));
  keys->push_back(Within(Declare(
                             "amqp10.min_credit_window", "CAPI_AMQP10_MIN_CREDIT_WINDOW",
                             "0 = the size of the thread pool",
                             +[](Config* c) { return &c->amqp10.min_credit_window; }),
                         0, UINT32_MAX));
  keys->push_back(Hidden(Declare(
                             "amqp.url", "CAPI_AMQP_URL", "AMQP 0.9.1 server (release 1.1)",
                             +[](Config* c) { return &c->amqp.url; }),
                         Secrecy::kUrl));
  keys->push_back(OneOf(Declare(
                            "amqp.topology", "CAPI_AMQP_TOPOLOGY",
                            "own: one durable queue; original: exchange and queues of release "
                            "1.1.22",
                            +[](Config* c) { return &c->amqp.topology; }),
                        {"own", "original"}));
  keys->push_back(Declare(
      "amqp.exchange", "CAPI_AMQP_EXCHANGE", "", +[](Config* c) { return &c->amqp.exchange; }));
  keys->push_back(Within(Declare(
                             "amqp.prefetch_count", "CAPI_AMQP_PREFETCH_COUNT", "",
                             +[](Config* c) { return &c->amqp.prefetch_count; }),
                         0, UINT16_MAX));
  keys->push_back(Within(Declare(
                             "amqp.prefetch_size", "CAPI_AMQP_PREFETCH_SIZE", "",
                             +[](Config* c) { return &c->amqp.prefetch_size; }),
                         0, UINT32_MAX));
  keys->push_back(Declare(
      "mq_ssl_opts.cert_path", "CAPI_MQ_CERT_PATH", "client certificate for amqps",
      +[](Config* c) { return &c->mq_tls.cert_path; }));
  keys->push_back(Declare(
      "mq_ssl_opts.key_path", "CAPI_MQ_KEY_PATH", "its private key",
      +[](Config* c) { return &c->mq_tls.key_path; }));
  keys->push_back(Declare(
      "mq_ssl_opts.ca_path", "CAPI_MQ_CA_PATH",
      "roots, a file or a directory made by c_rehash; empty = the system's",
      +[](Config* c) { return &c->mq_tls.ca_path; }));
  keys->push_back(Declare(
      "mq_ssl_opts.enable_host_verification", "CAPI_MQ_ENABLE_HOST_VERIFICATION",
      "whether the certificate must be for the host",
      +[](Config* c) { return &c->mq_tls.enable_host_verification; }));
  keys->push_back(Milliseconds(Declare(
                                   "dead_letter_ttl", "CAPI_DEAD_LETTER_TTL",
                                   "delay before a rejected message comes back (release 1.1)",
                                   +[](Config* c) { return &c->dead_letter_ttl_ms; }),
                               100, kHour));
  keys->push_back(Hidden(Declare(
                             "capimq_client.url", "CAPI_CAPIMQ_CLIENT_URL", "HTTP broker",
                             +[](Config* c) { return &c->capimq_client.url; }),
                         Secrecy::kUrl));
  keys->push_back(Milliseconds(
      Declare(
          "capimq_client.heartbeat_interval", "CAPI_CAPIMQ_CLIENT_HEARTBEAT_INTERVAL", "0 = none",
          +[](Config* c) { return &c->capimq_client.heartbeat_interval_ms; }),
      101, 60000));
  keys->push_back(Within(Declare(
                             "capimq_broker.port", "CAPI_CAPIMQ_BROKER_PORT", "",
                             +[](Config* c) { return &c->capimq_broker.port; }),
                         1, kMostPort));
  keys->push_back(Declare(
      "capimq_broker.access_control_allow_origin", "CAPI_CAPIMQ_BROKER_ACCESS_CONTROL_ALLOW_ORIGIN",
      "as of the web API",
      +[](Config* c) { return &c->capimq_broker.access_control_allow_origin; }));
  keys->push_back(Milliseconds(
      Declare(
          "capimq_broker.returned_delivery_delay", "CAPI_CAPIMQ_BROKER_RETURNED_DELIVERY_DELAY",
          "delay before a returned message is delivered again",
          +[](Config* c) { return &c->capimq_broker.returned_delivery_delay_ms; }),
      100, kHour));
  keys->push_back(Within(Declare(
                             "capimq_broker.max_messages", "CAPI_CAPIMQ_BROKER_MAX_MESSAGES", "",
                             +[](Config* c) { return &c->capimq_broker.max_messages; }),
                         1001, 1000000000));
  keys->push_back(Milliseconds(
      Declare(
          "capimq_broker.dead_after_no_heartbeat_timeout",
          "CAPI_CAPIMQ_BROKER_DEAD_AFTER_NO_HEARTBEAT_TIMEOUT", "a consumer is given up after it",
          +[](Config* c) { return &c->capimq_broker.dead_after_no_heartbeat_timeout_ms; }),
      101, kHour));
}

struct Shown {
  Config* config;
  bool may_be_none;
  std::string operator()(std::string* (*target)(Config*)) const { return *target(config); }
  std::string operator()(int64_t* (*target)(Config*)) const {
    const int64_t value = *target(config);
    return may_be_none && value < 0 ? "none" : std::to_string(value);
  }
  std::string operator()(bool* (*target)(Config*)) const {
    return *target(config) ? "true" : "false";
  }
  std::string operator()(std::vector<std::string>* (*target)(Config*)) const {
    std::string text;
    for (const std::string& item : *target(config)) text += (text.empty() ? "" : ",") + item;
    return text;
  }
  std::string operator()(std::map<std::string, std::string>* (*target)(Config*)) const {
    std::string text;
    for (const auto& [name, value] : *target(config)) {
      text += (text.empty() ? "" : ",") + name + ":" + value;
    }
    return text;
  }
};

}  // namespace

const std::vector<Key>& Keys() {
  static const std::vector<Key>* const keys = [] {
    auto* declared = new std::vector<Key>();
    DeclarePrograms(declared);
    DeclareCassandra(declared);
    DeclareQueues(declared);
    return declared;
  }();
  return *keys;
}

std::string_view TypeName(const Key& key) {
  constexpr std::string_view kNames[] = {"text", "integer", "true or false", "list", "map"};
  if (key.unit == Unit::kMilliseconds) return "time in ms";
  if (key.unit == Unit::kBytes) return "size in bytes";
  return kNames[key.target.index()];
}

std::string ShowValue(const Key& key, const Config& config) {
  Config copy = config;  // the accessors are for writing
  std::string text = std::visit(Shown{&copy, key.may_be_none}, key.target);
  if (key.secrecy == Secrecy::kSecret && !text.empty()) return std::string(kRedacted);
  return key.secrecy == Secrecy::kUrl ? RedactUrl(text) : text;
}

}  // namespace capi::config
