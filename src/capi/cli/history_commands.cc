// What happened in keyspaces, and stopping a run: status, history, tables, stop.

#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "capi/cli/arguments.h"
#include "capi/cli/commands.h"
#include "capi/cli/configuration.h"
#include "capi/cli/result_table.h"
#include "capi/service/history.h"
#include "capi/service/preview.h"

namespace capi::cli {

namespace {

using Kind = ResultColumn::Kind;

struct HistoryArguments {
  std::string keyspace;
  int64_t run_id = 0;
  std::string node;
  std::string comment = "stopped by capi stop";
  std::string data_directory;
  std::string output = "table";
};

ResultCell Duration(int64_t begin_ms, int64_t end_ms) {
  if (begin_ms == 0) return {};
  return (end_ms == 0 ? Env::Default()->NowMillis() : end_ms) - begin_ms;
}

ResultCell NumberOrNothing(int64_t number) {
  return number == 0 ? ResultCell() : ResultCell(number);
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

std::string StatusText(const service::RunHistory& run) {
  return run.interrupted ? "interrupted" : std::string(RunStatusName(run.run.status));
}

Status PrintRuns(const service::KeyspaceOptions& keyspace, const HistoryArguments& arguments) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<service::RunHistory> runs, service::RunsOf(keyspace));
  ResultTable table({{"run", Kind::kId},
                     {"status"},
                     {"started", Kind::kMoment},
                     {"time", Kind::kDuration},
                     {"nodes", Kind::kNumber},
                     {"failed", Kind::kNumber},
                     {"start nodes"},
                     {"script"},
                     {"comment"}});
  for (const service::RunHistory& run : runs) {
    // Nobody knows when an interrupted run ended.
    const ResultCell time =
        run.interrupted ? ResultCell() : Duration(run.run.started_ms, run.run.ended_ms);
    const bool stopped = run.run.status == state::RunStatus::kStop;
    table.AddRow({run.run.run_id, StatusText(run), run.run.started_ms, time, run.num_nodes,
                  NumberOrNothing(run.num_failed), Joined(run.run.start_nodes), run.run.script_url,
                  stopped ? run.run.comment : std::string()});
  }
  std::printf("%s", table.ToText(arguments.output).c_str());
  return Status::OK();
}

Status PrintNodes(const service::KeyspaceOptions& keyspace, const HistoryArguments& arguments) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<service::NodeHistory> nodes,
                        service::NodesOf(keyspace, arguments.run_id));
  ResultTable table({{"node"},
                     {"status"},
                     {"batches", Kind::kNumber},
                     {"done", Kind::kNumber},
                     {"rows in", Kind::kNumber},
                     {"filtered", Kind::kNumber},
                     {"rejected", Kind::kNumber},
                     {"unmatched", Kind::kNumber},
                     {"duplicates", Kind::kNumber},
                     {"untagged", Kind::kNumber},
                     {"over limit", Kind::kNumber},
                     {"rows out", Kind::kNumber},
                     {"started", Kind::kMoment},
                     {"time", Kind::kDuration},
                     {"table"},
                     {"error"}});
  for (const service::NodeHistory& node : nodes) {
    const bool under_way = node.node.status == state::NodeStatus::kStart;
    table.AddRow({node.node.name, std::string(NodeStatusName(node.node.status)),
                  node.node.batches_total, node.batches_succeeded, node.counts.in,
                  NumberOrNothing(node.counts.filtered), NumberOrNothing(node.counts.rejected),
                  NumberOrNothing(node.counts.unmatched_left),
                  NumberOrNothing(node.counts.duplicates), NumberOrNothing(node.counts.untagged),
                  NumberOrNothing(node.counts.beyond_limit), node.counts.out, node.node.started_ms,
                  under_way ? ResultCell() : Duration(node.node.started_ms, node.node.ended_ms),
                  node.node.table, node.node.error.text});
  }
  std::printf("%s", table.ToText(arguments.output).c_str());
  return Status::OK();
}

Status PrintBatches(const service::KeyspaceOptions& keyspace, const HistoryArguments& arguments) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<service::BatchHistory> batches,
                        service::BatchesOf(keyspace, arguments.run_id, arguments.node));
  ResultTable table({{"batch", Kind::kId},
                     {"status"},
                     {"attempt", Kind::kId},
                     {"rows in", Kind::kNumber},
                     {"rows out", Kind::kNumber},
                     {"started", Kind::kMoment},
                     {"time", Kind::kDuration},
                     {"input"},
                     {"sha256"},
                     {"former attempts"},
                     {"error"}});
  for (const service::BatchHistory& batch : batches) {
    std::string input;
    std::string sha256;
    const auto json = nlohmann::json::parse(batch.batch.input, nullptr, /*exceptions=*/false);
    if (json.is_object()) {
      input = json.value("url", "");
      sha256 = json.value("sha256", "");
    }
    std::string former;
    for (const state::FormerAttempt& attempt : batch.former_attempts) {
      former += (former.empty() ? "" : "; ") + attempt.outcome +
                (attempt.text.empty() ? "" : ": " + attempt.text);
    }
    const bool under_way = batch.batch.status == state::NodeStatus::kStart;
    table.AddRow({batch.batch.id.batch_index, std::string(NodeStatusName(batch.batch.status)),
                  batch.batch.attempt, batch.counts.in, batch.counts.out, batch.batch.started_ms,
                  under_way ? ResultCell() : Duration(batch.batch.started_ms, batch.batch.ended_ms),
                  input, sha256, former, batch.batch.error.text});
  }
  std::printf("%s", table.ToText(arguments.output).c_str());
  return Status::OK();
}

Status PrintHistory(service::KeyspaceOptions keyspace, HistoryArguments arguments) {
  if (arguments.run_id == 0 && arguments.node.empty()) return PrintRuns(keyspace, arguments);
  if (arguments.run_id == 0) {
    CAPI_ASSIGN_OR_RETURN(arguments.run_id, service::NewestRun(keyspace));
  }
  return arguments.node.empty() ? PrintNodes(keyspace, arguments)
                                : PrintBatches(keyspace, arguments);
}

/// All keyspaces with their newest run.
Status PrintKeyspaces(service::KeyspaceOptions keyspace, const HistoryArguments& arguments) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<std::string> names, service::ListKeyspaces(keyspace));
  ResultTable table({{"keyspace"},
                     {"run", Kind::kId},
                     {"status"},
                     {"started", Kind::kMoment},
                     {"time", Kind::kDuration},
                     {"nodes", Kind::kNumber},
                     {"done", Kind::kNumber},
                     {"failed", Kind::kNumber}});
  Status failure;
  for (const std::string& name : names) {
    keyspace.name = name;
    const Result<std::vector<service::RunHistory>> runs = service::RunsOf(keyspace);
    if (!runs.ok()) {
      // A broken keyspace must not hide the others.
      if (failure.ok()) failure = Prefixed(runs.status(), "keyspace " + name + ": ");
      table.AddRow({name, {}, std::string("unreadable"), {}, {}, {}, {}, {}});
      continue;
    }
    if (runs->empty()) {
      table.AddRow({name, {}, std::string(), {}, {}, {}, {}, {}});
      continue;
    }
    const service::RunHistory& run = runs->back();
    table.AddRow({name, run.run.run_id, StatusText(run), run.run.started_ms,
                  run.interrupted ? ResultCell() : Duration(run.run.started_ms, run.run.ended_ms),
                  run.num_nodes, run.num_succeeded, NumberOrNothing(run.num_failed)});
  }
  std::printf("%s", table.ToText(arguments.output).c_str());
  return failure;
}

Status PrintStatus(const service::KeyspaceOptions& keyspace, const HistoryArguments& arguments) {
  if (keyspace.name.empty()) return PrintKeyspaces(keyspace, arguments);
  HistoryArguments newest = arguments;
  CAPI_ASSIGN_OR_RETURN(newest.run_id, service::NewestRun(keyspace));
  CAPI_ASSIGN_OR_RETURN(const std::vector<service::RunHistory> runs, service::RunsOf(keyspace));
  std::fprintf(stderr, "run %lld of keyspace %s: %s\n", static_cast<long long>(newest.run_id),
               keyspace.name.c_str(), StatusText(runs.back()).c_str());
  for (const std::string& problem : runs.back().problems) {
    std::fprintf(stderr, "a daemon cannot go on with it now: %s\n", problem.c_str());
  }
  return PrintNodes(keyspace, newest);
}

Status PrintTables(const service::KeyspaceOptions& keyspace, const HistoryArguments& arguments) {
  CAPI_ASSIGN_OR_RETURN(const std::vector<service::TableInfo> tables, service::TablesOf(keyspace));
  ResultTable table({{"run", Kind::kId}, {"table"}, {"node"}});
  for (const service::TableInfo& info : tables) {
    if (arguments.run_id != 0 && info.run_id != arguments.run_id) continue;
    table.AddRow({info.run_id, info.table, info.node});
  }
  std::printf("%s", table.ToText(arguments.output).c_str());
  return Status::OK();
}

Status Stop(const service::KeyspaceOptions& keyspace, const HistoryArguments& arguments) {
  int64_t run_id = arguments.run_id;
  if (run_id == 0) {
    CAPI_ASSIGN_OR_RETURN(run_id, service::NewestRun(keyspace));
  }
  CAPI_RETURN_NOT_OK(service::StopRun(keyspace, run_id, arguments.comment));
  std::printf("stopped run %lld of keyspace %s\n", static_cast<long long>(run_id),
              keyspace.name.c_str());
  return Status::OK();
}

using Action = std::function<Status(const service::KeyspaceOptions&, const HistoryArguments&)>;

int Act(const CLI::App& app, const HistoryArguments& arguments, const Action& action) {
  const std::optional<config::Config> config =
      LoadConfig(app, {{"data_dir", arguments.data_directory, "--data-dir"}});
  if (!config) return kExitUsage;
  const Result<service::KeyspaceOptions> keyspace =
      service::KeyspaceOptionsOf(*config, arguments.keyspace);
  const Status status = keyspace.ok() ? action(*keyspace, arguments) : keyspace.status();
  if (status.ok()) return kExitOk;
  PrintDiagnostics({}, {status});
  return KindOf(status) == ErrorKind::kUser ? kExitUsage : kExitFailed;
}

/// A command over a keyspace; returns it so that options can be added.
CLI::App* AddCommand(CLI::App* app, int* exit_code, const char* name, const char* description,
                     const std::shared_ptr<HistoryArguments>& arguments, bool needs_keyspace,
                     Action action) {
  CLI::App* command = app->add_subcommand(name, description);
  command->add_option("keyspace", arguments->keyspace, "Keyspace")->required(needs_keyspace);
  command->add_option("--data-dir", arguments->data_directory,
                      "Where keyspaces are kept (default: setting data_dir, else "
                      "~/.local/share/capillaries)");
  command->callback([app, exit_code, arguments, action = std::move(action)] {
    *exit_code = Act(*app, *arguments, action);
  });
  return command;
}

}  // namespace

void AddHistoryCommands(CLI::App* app, int* exit_code) {
  auto status = std::make_shared<HistoryArguments>();
  CLI::App* command = AddCommand(app, exit_code, "status",
                                 "Show how the newest run of a keyspace, or of all, is going",
                                 status, false, PrintStatus);
  AddOutputOption(command, &status->output);
  command->footer("Examples:\n  capi status\n  capi status flights --output json");

  auto history = std::make_shared<HistoryArguments>();
  command = AddCommand(app, exit_code, "history", "Show the runs, nodes or batches of a keyspace",
                       history, true, PrintHistory);
  command->add_option("--run", history->run_id, "Show the nodes of this run")
      ->check(CLI::PositiveNumber);
  command->add_option("--node", history->node,
                      "Show the batches of this node (of the newest run without --run)");
  AddOutputOption(command, &history->output);
  command->footer(
      "Examples:\n  capi history flights\n  capi history flights --run 2\n"
      "  capi history flights --run 2 --node read_flights --output csv");

  auto tables = std::make_shared<HistoryArguments>();
  command = AddCommand(app, exit_code, "tables", "List the finished tables of a keyspace", tables,
                       true, PrintTables);
  command->add_option("--run", tables->run_id, "Only of this run")->check(CLI::PositiveNumber);
  AddOutputOption(command, &tables->output);
  command->footer("Example: capi tables flights");

  auto stop = std::make_shared<HistoryArguments>();
  command =
      AddCommand(app, exit_code, "stop",
                 "Stop a run for good; its tables are not used by later runs", stop, true, Stop);
  command->add_option("--run", stop->run_id, "Run (default: the newest)")
      ->check(CLI::PositiveNumber);
  command->add_option("--comment", stop->comment, "Reason, kept in the history");
  command->footer("Example: capi stop flights --comment 'wrong input files'");
}

}  // namespace capi::cli
