// daemon: executes runs of a cluster, together with others of its kind.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/exit_deadline.h"
#include "capi/cli/run_execution.h"
#include "capi/cli/signal_watcher.h"
#include "capi/cli/text_table.h"
#include "capi/cli/version.h"
#include "capi/service/cluster.h"
#include "capi/service/daemon/daemon.h"
#include "capi/service/daemon/daemon_endpoint.h"
#include "capi/service/message_broker.h"

namespace capi::cli {

namespace {

struct DaemonArguments {
  std::string threads;
  std::string memory_limit;
  std::string data_directory;
  std::string metrics_port;
  int64_t drain_seconds = 30;
};

Result<std::unique_ptr<service::Daemon>> MakeDaemon(const config::Config& config,
                                                    const DaemonArguments& arguments) {
  if (!service::UsesCluster(config)) {
    return UserError("no_cluster",
                     "a daemon works on a cluster: cassandra.hosts (CAPI_CASSANDRA_HOSTS) is "
                     "missing; without a cluster capi run executes runs itself");
  }
  service::DaemonOptions options;
  options.engine = service::EngineOptionsOf(config);
  options.lease_ms = config.lease_time_ms;
  options.drain_ms = arguments.drain_seconds * 1000;
  CAPI_ASSIGN_OR_RETURN(options.broker, service::OpenBrokerOf(Env::Default(), config));
  CAPI_ASSIGN_OR_RETURN(options.cluster, service::Cluster::Connect(Env::Default(), config));
  const std::string address = options.cluster->address();
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<service::Daemon> daemon,
                        service::Daemon::Make(std::move(options)));
  std::fprintf(stderr, "daemon %s on the cluster %s: %d threads\n",
               workflow::ProcessInstance().c_str(), address.c_str(), daemon->status().threads);
  return daemon;
}

/// Null if the settings name no port.
Result<std::unique_ptr<http::Server>> ServeMetrics(const config::Config& config,
                                                   const service::Daemon* daemon) {
  if (config.log.prometheus_exporter_port == 0) return nullptr;
  service::EndpointOptions options;
  options.address = config.daemon_listen_address;
  options.port = static_cast<uint16_t>(config.log.prometheus_exporter_port);
  options.lease_ms = config.lease_time_ms;
  options.version = kVersion;
  CAPI_ASSIGN_OR_RETURN(std::unique_ptr<http::Server> server,
                        service::ServeDaemon(options, daemon));
  std::fprintf(stderr, "metrics: http://%s:%u/metrics\n", options.address.c_str(),
               static_cast<unsigned>(server->port()));
  return server;
}

/// What does not end although it was told to: a broker or a file server that does not answer.
constexpr auto kDrainGrace = std::chrono::seconds(2);

Status RunDaemon(const config::Config& config, const DaemonArguments& arguments,
                 SignalWatcher* signals, ExitDeadline* deadline) {
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<service::Daemon> daemon,
                        MakeDaemon(config, arguments));
  CAPI_ASSIGN_OR_RETURN(const std::unique_ptr<http::Server> server,
                        ServeMetrics(config, daemon.get()));
  signals->Start([&daemon, &arguments, deadline](const char* reason) {
    std::fprintf(stderr, "draining: batches under way are finished, no new ones begin\n");
    daemon->Drain(reason);
    // Nothing partial is visible when it is cut off, as after kill -9.
    const std::chrono::seconds drain(std::max<int64_t>(arguments.drain_seconds, 1));
    deadline->Start(drain + kDrainGrace,
                    "not everything has ended in time, the process ends at once: what it held is "
                    "taken over by other daemons when its lease has run out");
  });
  const Status status = daemon->Run();
  signals->Stop();
  return status;
}

int RunDaemonCommand(const CLI::App& app, const DaemonArguments& arguments) {
  const std::optional<config::Config> config =
      LoadConfigOf(app, "capidaemon",
                   {{"data_dir", arguments.data_directory, "--data-dir"},
                    {"threads", arguments.threads, "--threads"},
                    {"memory_limit", arguments.memory_limit, "--memory-limit"},
                    {"log.prometheus_exporter_port", arguments.metrics_port, "--metrics-port"}});
  if (!config) return kExitUsage;
  SignalWatcher signals;  // before the daemon makes threads, so that they inherit the mask
  ExitDeadline deadline;
  const Status status = RunDaemon(*config, arguments, &signals, &deadline);
  if (status.ok()) return kExitOk;
  PrintDiagnostics({}, {status});
  return ExitCodeOf(status);
}

}  // namespace

void AddDaemonCommand(CLI::App* app, int* exit_code) {
  auto arguments = std::make_shared<DaemonArguments>();
  CLI::App* command =
      app->add_subcommand("daemon", "Execute runs of a cluster, together with other daemons");
  command->add_option("--threads", arguments->threads, "Threads that compute (default: all cores)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--memory-limit", arguments->memory_limit,
                      "Such as 2GiB (default: 70 % of the memory)");
  command->add_option("--data-dir", arguments->data_directory,
                      "Where caches and spill files are kept (default: setting data_dir, else "
                      "~/.local/share/capillaries)");
  command
      ->add_option("--metrics-port", arguments->metrics_port,
                   "Port of /metrics, /health, /ready and /status; 0 = off (default: setting "
                   "log.prometheus_exporter_port)")
      ->check(CLI::Range(0, 65535));
  command
      ->add_option("--drain-seconds", arguments->drain_seconds,
                   "How long the end may take after SIGTERM: batches under way are finished, or "
                   "given back in the last quarter, at most 3 s (default: 30)")
      ->check(CLI::Range(0, 86400));
  command->footer(
      "Needs cassandra.hosts and a queue in the settings (docs/cluster.md). Ends after SIGTERM,\n"
      "when the batches under way are finished or given back.\n"
      "Exit codes: 0 drained, 1 it could not work, or not everything could be given back in time\n"
      "(others take it over when the lease has run out), 2 wrong settings\n"
      "Example: capi daemon --config /etc/capillaries/capi.json");
  command->callback(
      [app, arguments, exit_code] { *exit_code = RunDaemonCommand(*app, *arguments); });
}

}  // namespace capi::cli
