#pragma once

// The settings of all programs, typed (spec/config.md 3). Where they come from: loader.h.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace capi::config {

struct CassandraSettings {
  std::vector<std::string> hosts;
  int64_t port = 9042;
  std::string username;
  std::string password;
  std::string keyspace_replication_config =
      "{ 'class' : 'NetworkTopologyStrategy', 'datacenter1' : 1 }";
  int64_t writer_workers = 4;
  int64_t num_conns = 2;
  int64_t timeout_ms = 5000;
  int64_t connect_timeout_ms = 1000;
  std::string consistency = "QUORUM";
  bool disable_initial_host_lookup = false;
  std::string table_layout = "blocks";  ///< or "rows": also a CQL row for each record
  int64_t min_inserter_rate = 10;       ///< rows per second
  // TLS is used when one of these is set.
  std::string certificate_path;
  std::string key_path;
  std::string ca_path;
  bool enable_host_verification = false;
};

struct Amqp10Settings {
  std::string url;
  std::string address;
  std::string retry_method;       ///< "release" or "reject", "" = not given
  int64_t min_credit_window = 0;  ///< 0 = thread pool size
};

struct AmqpSettings {
  std::string url;
  std::string topology = "own";  ///< or "original": exchange and queues of release 1.1.22
  std::string exchange = "capillaries";
  int64_t prefetch_count = 20;
  int64_t prefetch_size = 0;
};

/// For amqps addresses, of either protocol. PEM files.
struct QueueTlsSettings {
  std::string ca_path;  ///< roots: a file, or a directory as made by c_rehash; "" = the system's
  std::string cert_path;
  std::string key_path;
  bool enable_host_verification = true;
};

struct CapiMqClientSettings {
  std::string url;  ///< without trailing slashes
  int64_t heartbeat_interval_ms = 0;
};

struct CapiMqBrokerSettings {
  int64_t port = 7654;
  std::string access_control_allow_origin;
  int64_t returned_delivery_delay_ms = 1000;
  int64_t max_messages = 10000000;
  int64_t dead_after_no_heartbeat_timeout_ms = 60000;
};

/// For the pool of formula interpreters.
struct PyCalcSettings {
  std::string interpreter_path = "python3";
  std::vector<std::string> interpreter_params = {"-u", "-"};
  int64_t execution_timeout_ms = 5000;
  int64_t memory_limit = 0;                   ///< bytes of one interpreter; 0 = default, -1 = none
  bool sandbox = true;                        ///< no network, no writing
  std::vector<std::string> passed_variables;  ///< of the environment
};

/// For files/: bytes behind addresses.
struct FileSettings {
  std::string ca_path;  ///< directory of PEM roots for https, "" = the system's
  std::map<std::string, std::string> private_keys;  ///< user to key file, for sftp
  std::string known_hosts;                          ///< for sftp, "" = ~/.ssh/known_hosts
  std::string s3_endpoint;                          ///< "" = AWS
  std::string s3_region;                            ///< "" = the chain of the AWS SDK
  std::vector<std::string> allowed_roots;           ///< local directories, empty = all
  std::vector<std::string> allowed_hosts;           ///< remote hosts, empty = all
  int64_t connect_timeout_ms = 10000;
  int64_t timeout_ms = 30000;  ///< without any progress
};

struct LogSettings {
  std::string level;  ///< "" = the program's own default
  std::string file;
  int64_t prometheus_exporter_port = 0;  ///< 0 = off
};

struct Config {
  std::string handler_executable_type;
  std::string mq_type;
  int64_t dead_letter_ttl_ms = 10000;

  // Embedded mode.
  std::string data_dir;      ///< "" = ~/.local/share/capillaries
  int64_t threads = 0;       ///< 0 = the processors this process may use
  int64_t memory_limit = 0;  ///< bytes, 0 = 70 % of the machine's memory

  int64_t daemon_thread_pool_size = 5;
  /// A daemon that does not renew its lease for this long is given up by the others.
  int64_t lease_time_ms = 15000;
  /// Bytes of table data on a daemon's disk, for each keyspace; soft.
  int64_t daemon_cache_size = int64_t{16} << 30;
  std::string daemon_listen_address = "127.0.0.1";
  int64_t webapi_port = 6543;
  std::string webapi_access_control_allow_origin = "http://localhost:8080,http://127.0.0.1:8080";

  CassandraSettings cassandra;
  Amqp10Settings amqp10;
  AmqpSettings amqp;
  QueueTlsSettings mq_tls;
  CapiMqClientSettings capimq_client;
  CapiMqBrokerSettings capimq_broker;
  PyCalcSettings py_calc;
  FileSettings files;
  LogSettings log;
};

}  // namespace capi::config
